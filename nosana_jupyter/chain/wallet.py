"""
The keypair that pays. Its secret is read, used to sign, and shown nowhere.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import NoReturn

import base58
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from ..errors import UsageError

LARGEST = 4096
"""Most characters of a key file."""

_KEY_LIKE = re.compile(r"\[[\d\s,]+\]?|[1-9A-HJ-NP-Za-km-z]{80,90}")
"""A secret that was given where the name of its file belongs."""


class Wallet:
    """
    A Solana keypair.

    Args:
        keypair: The pair; make one with `Wallet.load` or `Wallet.create`.
    """

    # Without a dictionary of attributes, which debuggers and `vars` would show.
    __slots__ = ("_keypair",)

    def __init__(self, keypair: Keypair) -> None:
        self._keypair = keypair

    @classmethod
    def load(cls, path: Path) -> Wallet:
        """
        Read a key file: a JSON array of 64 numbers, as the Solana tools write it, or base58.

        Raises:
            UsageError: There is no such file, others can read it, or it holds no key.
        """
        if _KEY_LIKE.match(str(path)):
            path = Path()
            raise UsageError(
                "the setting wallet holds a key, where the name of a key file belongs",
                hint="Write the key to a file that only you can read, and name that file.",
            )
        try:
            # One handle, so that what is judged is what is read.
            with path.open(encoding="utf-8") as file:
                mode = os.fstat(file.fileno()).st_mode
                if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise UsageError(
                        f"others on this machine can read the wallet at {path}",
                        hint=f"chmod 600 {path}",
                    )
                found = _parsed(file.read(LARGEST + 1))
        except FileNotFoundError:
            raise UsageError(
                f"there is no wallet at {path}",
                hint="Make one: %nosana wallet create, or name another: %nosana config wallet FILE",
            ) from None
        except OSError as error:
            raise UsageError(
                f"the wallet at {path} cannot be read: {error.strerror}",
                hint="Name another: %nosana config wallet FILE",
            ) from None
        except UnicodeDecodeError:
            found = ""
        if isinstance(found, str):
            _refuse(str(path), found)
        return cls(found)

    @classmethod
    def read(cls, text: str, *, where: str = "the key") -> Wallet:
        """
        Read a key from text.

        Raises:
            UsageError: It is no key. The text is not repeated in the message.
        """
        found = _parsed(text)
        # Tracebacks may show what variables hold.
        text = ""
        if isinstance(found, str):
            _refuse(where, found)
        return cls(found)

    @classmethod
    def new(cls) -> Wallet:
        """Make a new key, which is nowhere yet."""
        return cls(Keypair())

    @classmethod
    def create(cls, path: Path) -> Wallet:
        """Make a new key and write it where only its owner can read it; never over another."""
        wallet = cls.new()
        wallet.write(path)
        return wallet

    def write(self, path: Path) -> None:
        """Write the key as the Solana tools do, for its owner alone to read; never over a file."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(list(bytes(self._keypair)), file)
            file.flush()
            os.fsync(file.fileno())

    @property
    def pubkey(self) -> Pubkey:
        return self._keypair.pubkey()

    @property
    def address(self) -> str:
        """The public key in base58."""
        return str(self.pubkey)

    @property
    def keypair(self) -> Keypair:
        """The pair itself, for signing transactions."""
        return self._keypair

    def sign(self, message: bytes) -> bytes:
        """Return the ed25519 signature of a message."""
        return bytes(self._keypair.sign_message(message))

    def derive(self, purpose: bytes) -> bytes:
        """Return a secret of 32 bytes that only the holder of this key knows."""
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        made = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"nosana-jupyter|" + purpose)
        return made.derive(self._keypair.secret())

    def __repr__(self) -> str:
        return f"Wallet({self.address})"

    def __reduce__(self) -> str:
        raise TypeError("a wallet does not travel")


def _parsed(text: str) -> Keypair | str:
    """
    Return the key that a text holds, or why it holds none.

    It raises nothing: errors quote what was read, and tracebacks may show what variables hold.
    """
    text = text.strip()
    if len(text) > LARGEST:
        return ""
    try:
        secret = bytes(json.loads(text)) if text.startswith("[") else base58.b58decode(text)
        if len(secret) != 64:
            return f": it has {len(secret)} bytes where 64 are due"
        return Keypair.from_bytes(secret)
    except (ValueError, TypeError, RecursionError):
        return ""


def _refuse(where: str, why: str) -> NoReturn:
    raise UsageError(
        f"{where} holds no key{why}",
        hint="A key is a JSON array of 64 numbers, or 64 bytes in base58.",
    ) from None
