"""
The forms in which the RPC takes and gives accounts, filters and transactions.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import base58
from solders.account import Account
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from ..errors import NosanaError
from . import lookups, tokens
from .outcome import Outcome

Read = Callable[[Pubkey], Account | None]
"""Reads another account: the mint of a token account says how many decimals it has."""

ENCODINGS = ("binary", "base58", "base64", "base64+zstd", "jsonParsed")

ZSTD_BLOCK = 128 << 10
"""Most bytes of a block of Zstandard."""

LONGEST_BASE58 = 128
"""Most bytes of an account in base58."""

MOST_FILTERS = 4
LONGEST_FILTER = 128


class BadRequest(NosanaError):
    """A request that cannot be answered, with its JSON-RPC code."""

    def __init__(self, message: str, *, code: int = -32602) -> None:
        super().__init__(message)
        self.code = code


def account_json(
    account: Account | None, config: Any, *, read: Read, notice: bool = False
) -> dict[str, Any] | None:
    """
    Return an account in the form the RPC gives it.

    Args:
        account: The account, if there is one.
        config: What the client says about encoding and slice.
        read: Reads other accounts.
        notice: Whether it goes into a notification, where what is too long for base58 is a text
            and no error.

    Raises:
        BadRequest: It cannot be given in that form.
    """
    if account is None:
        return None
    config = config or {}
    encoding = config.get("encoding", "binary")
    if encoding not in ENCODINGS:
        raise BadRequest(f"Invalid params: unknown variant `{encoding}`.")
    parsed = _parsed(account, read=read) if encoding == "jsonParsed" else None
    return {
        "data": parsed or _encoded(bytes(account.data), encoding, config, notice=notice),
        "executable": account.executable,
        "lamports": account.lamports,
        "owner": str(account.owner),
        "rentEpoch": 18_446_744_073_709_551_615,
        "space": len(account.data),
    }


def _encoded(raw: bytes, encoding: str, config: dict[str, Any], *, notice: bool) -> Any:
    if cut := config.get("dataSlice"):
        offset, length = int(cut["offset"]), int(cut["length"])
        if offset < 0 or length < 0:
            raise BadRequest("Invalid params: a slice begins and ends within the data")
        raw = raw[offset : offset + length]
    if encoding == "base64+zstd":
        return [base64.b64encode(_zstd(raw)).decode(), encoding]
    if encoding not in ("binary", "base58"):
        return [base64.b64encode(raw).decode(), "base64"]
    if len(raw) <= LONGEST_BASE58:
        text = base58.b58encode(raw).decode()
    elif notice:
        text = "error: data too large for bs58 encoding"
    else:
        raise BadRequest(
            "Encoded binary (base 58) data should be less than 128 bytes, please use "
            "Base64 encoding.",
            code=-32600,
        )
    return text if encoding == "binary" else [text, "base58"]


def _zstd(raw: bytes) -> bytes:
    """Return a frame of Zstandard that holds the data as it is: clients unpack it all the same."""
    blocks = [raw[at : at + ZSTD_BLOCK] for at in range(0, len(raw), ZSTD_BLOCK)] or [b""]
    frame = b"\x28\xb5\x2f\xfd\xa0" + len(raw).to_bytes(4, "little")
    for block in blocks[:-1]:
        frame += (len(block) << 3).to_bytes(3, "little") + block
    return frame + (len(blocks[-1]) << 3 | 1).to_bytes(3, "little") + blocks[-1]


def _parsed(account: Account, *, read: Read) -> dict[str, Any] | None:
    """Return the data of a token account, mint or lookup table as `jsonParsed` shows it."""
    program = "spl-token"
    held, mint = tokens.read(account), tokens.read_mint(account)
    if held is not None:
        unit = tokens.read_mint(read(held.mint))
        native = account.data[109] == 1
        decimals = 9 if native or unit is None else unit.decimals
        info: dict[str, Any] = {
            "isNative": native,
            "mint": str(held.mint),
            "owner": str(held.owner),
            "state": "frozen" if held.state == 2 else "initialized",
            "tokenAmount": tokens.amount_json(held.amount, decimals),
        }
        kind = "account"
    elif mint is not None:
        info = {
            "decimals": mint.decimals,
            "freezeAuthority": _optional_key(account.data[46:82]),
            "isInitialized": True,
            "mintAuthority": _optional_key(account.data[0:36]),
            "supply": str(mint.supply),
        }
        kind = "mint"
    elif table := lookups.table(account):
        info, kind, program = table.json(), "lookupTable", "address-lookup-table"
    else:
        return None
    return {
        "program": program,
        "space": len(account.data),
        "parsed": {"type": kind, "info": info},
    }


def _optional_key(data: bytes) -> str | None:
    return str(Pubkey.from_bytes(data[4:36])) if data[0] else None


def filters(config: dict[str, Any]) -> list[int | tuple[int, bytes]]:
    """
    Read the filters of `getProgramAccounts` and `programSubscribe`.

    Raises:
        BadRequest: There are too many, or one is unknown or too long.
    """
    asked = config.get("filters") or []
    if len(asked) > MOST_FILTERS:
        raise BadRequest(f"Too many filters provided; max {MOST_FILTERS}")
    found: list[int | tuple[int, bytes]] = []
    for entry in asked:
        if "dataSize" in entry:
            found.append(int(entry["dataSize"]))
        elif "memcmp" in entry:
            rule = entry["memcmp"]
            if isinstance(rule["bytes"], list):
                data = bytes(rule["bytes"])
            elif rule.get("encoding") == "base64":
                data = base64.b64decode(rule["bytes"], validate=True)
            else:
                data = base58.b58decode(rule["bytes"])
            offset = int(rule["offset"])
            if len(data) > LONGEST_FILTER or offset < 0:
                raise BadRequest("Invalid param: encoded binary data too large")
            found.append((offset, data))
        else:
            raise BadRequest(f"Invalid params: unknown filter {json.dumps(entry)[:80]}")
    return found


def read_transaction(text: str, config: dict[str, Any]) -> VersionedTransaction:
    """
    Read a transaction as `sendTransaction` takes it.

    Raises:
        BadRequest: It is not one.
    """
    encoding = config.get("encoding", "base58")
    if encoding not in ("base58", "base64"):
        raise BadRequest(f"unsupported encoding: {encoding}. Supported encodings: base58, base64")
    try:
        if encoding == "base64":
            raw = base64.b64decode(text, validate=True)
        else:
            raw = base58.b58decode(text)
    except ValueError as error:
        raise BadRequest(f"invalid {encoding} encoding: {error}") from None
    try:
        return VersionedTransaction.from_bytes(raw)
    except ValueError as error:
        raise BadRequest(
            f"failed to deserialize solana_transaction::versioned::VersionedTransaction: {error}"
        ) from None


def status_json(outcome: Outcome) -> dict[str, Any]:
    """Return what `getSignatureStatuses` says of a transaction."""
    return {
        "slot": outcome.slot,
        "confirmations": None,
        "err": outcome.err,
        "status": {"Ok": None} if outcome.err is None else {"Err": outcome.err},
        "confirmationStatus": "finalized",
    }
