"""
Which wallet a user means, and how another one becomes it.
"""

from __future__ import annotations

from .. import settings
from ..chain import keys
from ..chain.wallet import Wallet
from ..network import Network
from ..settings import Settings
from ..settings.forms import KEY_VARIABLE


def find(network: Network, chosen: Settings) -> Wallet:
    """
    Open the wallet that pays on a network: its own where it brings one, or the user's.

    Raises:
        UsageError: There is none, or it cannot be used; says what to do.
    """
    if network.wallet:
        return keys.open_wallet(network.wallet)
    return keys.open_wallet(chosen.wallet, key=settings.private_key())


def find_payer(network: Network, chosen: Settings) -> Wallet | None:
    """
    Open another wallet that pays for the user's, if there is one.

    Raises:
        UsageError: It cannot be used; says what to do.
    """
    # A network that brings a wallet of its own is not to see the user's.
    return None if network.wallet or not chosen.payer else keys.open_wallet(chosen.payer)


def place(network: Network, chosen: Settings) -> str:
    """Say where the wallet that pays on a network is kept, whether or not it is there."""
    if not network.wallet and settings.private_key():
        return f"{KEY_VARIABLE} in the environment"
    return network.wallet or chosen.wallet or keys.DEFAULT


def others() -> list[str]:
    """Return key files of other tools that the user may mean."""
    return keys.others()


def create(where: str = "") -> Wallet:
    """
    Make a new wallet, and let it be the one that pays.

    Args:
        where: File or `keyring:NAME`; by default the file of the Solana tools.

    Raises:
        UsageError: There is one already, or it cannot be written.
    """
    settings.check("wallet", where)
    wallet = keys.create(where or keys.DEFAULT)
    _choose(where)
    return wallet


def take(key: str, where: str = "") -> Wallet:
    """
    Keep a key that was made elsewhere, and let it be the wallet that pays.

    Args:
        key: The key, or the path of a file that holds it.
        where: File or `keyring:NAME` to keep it in; by default the file of the Solana tools.

    Raises:
        UsageError: It is no key, there is one already, or it cannot be written.
    """
    settings.check("wallet", where)
    try:
        wallet = keys.take(key, where or keys.DEFAULT)
    finally:
        # Tracebacks may show what variables hold.
        key = ""
    _choose(where)
    return wallet


def _choose(where: str) -> None:
    if settings.load().wallet != where:
        settings.save("wallet", where)
