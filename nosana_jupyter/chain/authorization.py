"""
Authorization strings: `<message>:<signature in base58>[:<unix milliseconds>]`.

The time is not signed, and without one a string never expires: so ours always carry one, sign a
message that names the job, and are never logged.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable

import base58
from solders.pubkey import Pubkey
from solders.signature import Signature

from ..errors import RemoteProtocolError
from .wallet import Wallet

_DIGITS = re.compile(r"\s*[+-]?[0-9]+")

Sign = Callable[[str], Awaitable[str]]
"""Makes an authorization string of a message: with a key of ours, or by asking who holds it."""

EXPIRY = 300
"""Seconds that a string holds unless a job's timeout says otherwise."""


def authorize(
    wallet: Wallet, message: str, *, include_time: bool = True, now: int | None = None,
    separator: str = ":",
) -> str:  # fmt: skip
    """
    Return an authorization string.

    Args:
        wallet: Who signs.
        message: What is signed; must not hold the separator.
        include_time: Whether it expires.
        now: Unix time in milliseconds.
        separator: Between the parts.
    """
    signature = str(Signature.from_bytes(wallet.sign(message.encode())))
    parts = [message, signature]
    if include_time:
        parts.append(str(int(time.time() * 1000) if now is None else now))
    return separator.join(parts)


def check(
    text: str, signer: Pubkey | str, *, expected: str | None = None, expiry: float = EXPIRY,
    now: int | None = None, separator: str = ":",
) -> bool:  # fmt: skip
    """
    Say whether a string was signed by `signer`.

    Args:
        text: The string.
        signer: The public key it should come from.
        expected: The message it must carry; any, if nothing.
        expiry: Seconds that it holds, if it says when it was made.
        now: Unix time in milliseconds.
        separator: Between the parts.

    Raises:
        RemoteProtocolError: It is malformed, expired, or carries another message.
    """
    message, _, rest = text.partition(separator)
    signature, _, moment = rest.partition(separator)
    moment = moment.partition(separator)[0]
    if not message or not signature:
        raise RemoteProtocolError("Invalid signature.")
    if expected is not None and message != expected:
        raise RemoteProtocolError("Failed to authenticate message.")
    # As the official check reads it: leading digits count, and what has none is no time at all.
    if digits := _DIGITS.match(moment):
        clock = time.time() * 1000 if now is None else now
        if clock - float(digits[0].strip()) >= expiry * 1000:
            raise RemoteProtocolError("Authorization has expired.")
    try:
        raw = base58.b58decode(signature)
        if len(raw) != 64:
            return False
        key = signer if isinstance(signer, Pubkey) else Pubkey.from_string(signer)
        return Signature.from_bytes(raw).verify(key, message.encode())
    except ValueError:
        return False
