"""
Where a wallet's key is kept: a file, the keyring of the system, the environment of the process.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import base58

from ..errors import UsageError
from .wallet import Wallet

if TYPE_CHECKING:
    from types import ModuleType

DEFAULT = "~/.config/solana/id.json"
"""The file of the Solana tools."""

OTHERS = ("~/.nosana/nosana_key.json",)
"""Files in which other tools of Nosana keep a key."""

KEYRING = "keyring:"
"""What a place in the keyring begins with."""

SERVICE = "nosana-jupyter"
"""Under which the keyring keeps our keys."""

ENVIRONMENT = "the environment"


def open_wallet(place: str, *, key: str = "") -> Wallet:
    """
    Read a wallet.

    Args:
        place: Its key file, or `keyring:NAME`; by default the file of the Solana tools.
        key: The key itself, if the environment holds it; it goes before any place.

    Raises:
        UsageError: There is none, or it cannot be used; says what to do.
    """
    if key:
        try:
            return Wallet.read(key, where=f"NOSANA_PRIVATE_KEY in {ENVIRONMENT}")
        finally:
            # Tracebacks may show what variables hold; so below.
            key = ""
    if place.startswith(KEYRING):
        return _from_keyring(place)
    return Wallet.load(Path(place or DEFAULT).expanduser())


def others() -> list[str]:
    """Return the key files of other tools that there are on this machine."""
    return [each for each in OTHERS if Path(each).expanduser().is_file()]


def create(place: str) -> Wallet:
    """
    Make a new key and keep it, in a file or in the keyring; never over another.

    Raises:
        UsageError: There is one already, or it cannot be written.
    """
    return _keep(Wallet.new(), place)


def take(text: str, place: str) -> Wallet:
    """
    Keep a key that was made elsewhere, in a file or in the keyring; never over another.

    Args:
        text: The key, or the path of a file that holds it.
        place: Where to keep it.

    Raises:
        UsageError: It is no key, there is one already, or it cannot be written.
    """
    try:
        text = text.strip()
        # No key begins like a path: `C:` is neither base58 nor an array.
        named = text.startswith(("/", "~", ".")) or text[1:2] == ":"
        wallet = Wallet.load(Path(text).expanduser()) if named else Wallet.read(text)
    finally:
        text = ""
    return _keep(wallet, place)


def _keep(wallet: Wallet, place: str) -> Wallet:
    if place.startswith(KEYRING):
        _to_keyring(wallet, place)
        return wallet
    path = Path(place).expanduser()
    try:
        wallet.write(path)
    except OSError as error:
        # A file where a folder belongs also exists.
        if isinstance(error, FileExistsError) and (path.exists() or path.is_symlink()):
            raise UsageError(
                f"there is a file {place} already, and it was not touched",
                hint="Name another file.",
            ) from None
        raise UsageError(
            f"the wallet cannot be written to {place}: {error.strerror}", hint="Name another file."
        ) from None
    return wallet


def _from_keyring(place: str) -> Wallet:
    keyring = _keyring()
    try:
        text = keyring.get_password(SERVICE, _name(place))
    except keyring.errors.KeyringError as error:
        raise _locked(error) from None
    if not text:
        raise UsageError(
            f"the keyring holds no wallet {_name(place)!r}",
            hint=f"Put one there: %nosana wallet import {place}",
        )
    try:
        return Wallet.read(text, where=place)
    finally:
        text = ""


def _to_keyring(wallet: Wallet, place: str) -> None:
    keyring = _keyring()
    try:
        if keyring.get_password(SERVICE, _name(place)):
            raise UsageError(
                f"the keyring holds a wallet {_name(place)!r} already, and it was not touched",
                hint=f"Name another: {KEYRING}NAME",
            )
        keyring.set_password(
            SERVICE, _name(place), base58.b58encode(bytes(wallet.keypair)).decode()
        )
    except keyring.errors.KeyringError as error:
        raise _locked(error) from None


def _name(place: str) -> str:
    name = place.removeprefix(KEYRING)
    if not name:
        raise UsageError("which wallet of the keyring?", hint=f"Write {KEYRING}NAME.")
    return name


def _keyring() -> ModuleType:
    """
    Return the module that speaks to the keyring of this system.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise UsageError(
            "the keyring of this system cannot be asked: a package is missing",
            hint="Install it: pip install nosana-jupyter[keyring]; or keep the key in a file.",
        ) from None
    return keyring


def _locked(error: Exception) -> UsageError:
    # Without its words: backends are many, and what they say of an entry is not ours to know.
    return UsageError(
        f"the keyring of this system does not answer ({type(error).__name__})",
        hint="Unlock it, or keep the key in a file: %nosana config wallet FILE",
    )
