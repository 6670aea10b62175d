"""
The keys of what is sealed: each is made of a wallet's secret and the object's name.

So whoever has the wallet opens what was sealed for it, on any machine, and nobody has to keep keys.
A host is given the key of the one object that it makes. Who has no wallet, and pays with credits,
has a secret in a file beside the settings.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from .. import settings
from ..errors import UsageError
from ..network import Network, running

PURPOSE = b"sealed objects"
SECRET = "sealing.key"  # noqa: S105 - the name of a file


def key(network: Network, ident: bytes) -> bytes:
    """
    Return the key of an object that is to be sealed.

    Raises:
        UsageError: There is a wallet, and it cannot be used.
    """
    chosen = settings.load()
    if chosen.pay == "credits" and not network.wallet:
        return _of(_own(), ident)
    place, given = network.wallet or chosen.wallet, ""
    if not network.wallet:
        given = settings.private_key()
    return _of(_derived(place, given), ident)


def candidates(network: Network, ident: bytes) -> Iterator[bytes]:
    """Yield the keys that an object of a name may have: of every wallet that is here."""
    chosen = settings.load()
    local = running()
    wallets = [(network.wallet, ""), (chosen.wallet, settings.private_key())]
    wallets += [(local.wallet, "")] if local is not None else []
    for number, (place, given) in enumerate(wallets):
        if place or number == 1:
            with contextlib.suppress(UsageError):
                yield _of(_derived(place, given), ident)
    if (settings.home() / SECRET).exists():
        yield _of(_own(), ident)


def _derived(place: str, given: str) -> bytes:
    from ..chain.keys import open_wallet

    return open_wallet(place, key=given).derive(PURPOSE)


def _of(secret: bytes, ident: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    made = HKDF(algorithm=SHA256(), length=32, salt=ident, info=b"nosana-jupyter|sealed object")
    return made.derive(secret)


def _own() -> bytes:
    """Return the secret of who has no wallet, made if it is not there."""
    path = settings.home() / SECRET
    with contextlib.suppress(FileExistsError):
        # Never over one: what was sealed with it would be lost.
        draft = path.with_name(f".{SECRET}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(os.urandom(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        finally:
            draft.unlink()
    return path.read_bytes()
