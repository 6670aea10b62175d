"""
The payer that the settings name.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..loopback import is_loopback
from ..network import shown
from . import wallets
from .credits import Credits
from .prepaid import PLACE, Account
from .purse import Purse

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from ..chain.rpc import Rpc
    from ..chain.wallet import Wallet
    from ..network import Network
    from ..settings import Settings
    from .payer import Payer


async def open_payer(network: Network, rpc: Rpc, chosen: Settings, stack: AsyncExitStack) -> Payer:
    """
    Return who pays.

    Args:
        network: Where.
        rpc: Its chain.
        chosen: What the user has set.
        stack: Closes what is opened.

    Raises:
        UsageError: There is no wallet, or credits are to pay and there is no API key.
    """
    if chosen.pay != "credits":
        return Purse(rpc, *await asyncio.to_thread(_keys, network, chosen))
    account = Account(network, api_key(network, chosen))
    stack.push_async_callback(account.close)
    return Credits(rpc, account)


def _keys(network: Network, chosen: Settings) -> tuple[Wallet, Wallet | None]:
    """Return the wallet that posts, and another that pays if there is one."""
    return wallets.find(network, chosen), wallets.find_payer(network, chosen)


def api_key(network: Network, chosen: Settings) -> str:
    """
    Return the key of the network's own account, or else the user's: one never goes elsewhere.

    Raises:
        UsageError: There is none, or it would travel in the clear.
    """
    if network.api_key:
        return Path(network.api_key).read_text().strip()
    if network.wallet:
        raise UsageError(
            f"{network.name} has no accounts with credits, and is not to see your API key",
            hint="Pay in NOS: %nosana config pay nos",
        )
    for address in (network.api, network.manager or network.api):
        if not address.startswith("https:") and not is_loopback(address):
            raise UsageError(
                f"an API key does not travel to {shown(address)}, where anybody could read it",
                hint="Set an address that begins with https:// : %nosana config api URL",
            )
    if not chosen.api_key:
        raise UsageError(
            f"credits are to pay on {network.name}, and no API key is set",
            hint=f"Make one at {PLACE} and set it: NOSANA_API_KEY in the environment, or "
            "%nosana config api_key --ask. Or pay in NOS: %nosana config pay nos",
        )
    return chosen.api_key
