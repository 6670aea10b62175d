"""
The market list: what it says of each market, and what the chain does.

It is made by others: it is bounded, and an entry that cannot be read is left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
from solders.pubkey import Pubkey

from ..dial import verified
from ..errors import NetworkError
from ..network import proxied, shown, unreached
from ..sanitize import line
from ..units import GiB, MicroNos
from .markets import Market
from .tiers import memory_of

if TYPE_CHECKING:
    from ..chain.accounts import Market as Account
    from ..chain.rpc import Rpc
    from ..network import Network

log = logging.getLogger("nosana_jupyter.market.listing")

T = TypeVar("T")

UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)
"""What reading raises."""

LARGEST = 8 << 20
"""Most bytes of a market list."""

MOST, MOST_CARDS = 2000, 50
"""Most markets of a list, and kinds of cards of one."""

MOST_KEPT, LONGEST_KEPT = 200, 400
"""Most images of one market, or addresses, and characters of one."""

LONGEST_NAME = 80
"""Characters of the name of a market or of a card that are shown."""

PATIENCE = 30.0
"""Seconds for a whole market list."""

Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e6)]


class _Listed(msgspec.Struct):
    """An entry of the market list: the fields we read, of the many there are."""

    address: str
    slug: str = ""
    name: str = ""
    type: str = "OTHER"
    gpu_types: list[str] = []
    lowest_vram: Amount | None = None
    usd_reward_per_hour: Amount | None = None
    network_fee_percentage: Percent = 10.0
    """Where the list is silent we allow for the highest fee there has been."""

    client: bool = True
    required_images: object = None
    required_remote_resources: object = None
    """What its hosts keep. No market is left out for what stands in these two."""


_Entries = Annotated[list[msgspec.Raw], msgspec.Meta(max_length=MOST)]


async def fetch(network: Network, rpc: Rpc) -> list[Market]:
    """
    Read the market list and, for each market, its price and queue on chain.

    Returns:
        Markets with a price, cheapest first.

    Raises:
        NetworkError: The list cannot be read.
    """
    entries = await _get(network, "/api/markets/", listed)
    accounts = await rpc.fronts([each.address for each in entries])
    if entries and not accounts:
        raise NetworkError(
            f"the RPC at {shown(network.rpc)} knows none of the markets of {network.name}: it is "
            "of another network",
            hint="Set another: %nosana config rpc --ask, or --unset for the public one.",
        )
    found = []
    for entry in entries:
        account, waiting = accounts.get(entry.address, (None, 0))
        if account is not None and entry.client and account.job_price:
            found.append(market(entry, account, waiting))
    return sorted(found, key=lambda each: (each.price, each.slug))


def listed(content: bytes) -> list[_Listed]:
    """
    Read a market list; entries that cannot be read are left out.

    Raises:
        ValueError: It is none; or one of `UNREADABLE`.
    """
    found = []
    raw = msgspec.json.decode(content, type=_Entries)
    for each in raw:
        try:
            entry = msgspec.json.decode(each, type=_Listed)
            Pubkey.from_string(entry.address)
        except (msgspec.DecodeError, ValueError) as error:
            log.info("an entry of the market list cannot be read: %s", line(str(error))[:200])
        else:
            found.append(entry)
    if raw and not found:
        raise ValueError("no entry can be read")
    return found


def market(entry: _Listed, account: Account, waiting: int) -> Market:
    """
    Return a market.

    Args:
        entry: What the list says of it.
        account: What the chain does.
        waiting: Length of its queue.
    """
    hosts = waiting if account.queue_type == 1 else 0
    return Market(
        address=entry.address,
        slug=_name(entry.slug) or entry.address,
        name=_name(entry.name) or _name(entry.slug),
        kind=_name(entry.type),
        gpus=tuple(_name(each) for each in entry.gpu_types[:MOST_CARDS]),
        vram=GiB(entry.lowest_vram or memory_of(entry.gpu_types, entry.slug)),
        price=MicroNos(account.job_price),
        fee_percent=Decimal(str(entry.network_fee_percentage)),
        usd_per_hour=Decimal(str(entry.usd_reward_per_hour or 0)),
        stake=account.node_xnos_minimum,
        hosts=hosts,
        first=str(account.queue[0]) if hosts else "",
        jobs=waiting if account.queue_type == 0 else 0,
        images=kept(entry.required_images),
        resources=kept(entry.required_remote_resources),
    )


def kept(listed: object) -> tuple[str, ...]:
    """Return what a market's hosts keep, as names and addresses; what is neither is left out."""
    rows = listed[:MOST_KEPT] if isinstance(listed, list) else []
    texts = (each.get("url") if isinstance(each, dict) else each for each in rows)
    return tuple(line(each)[:LONGEST_KEPT] for each in texts if isinstance(each, str) and each)


async def fee_percent(network: Network, market: str) -> Decimal:
    """Return the network fee of a market, in percent; the highest there was if it is silent."""
    found = await _get(
        network, f"/api/markets/{market}/", partial(msgspec.json.decode, type=_Listed)
    )
    return Decimal(str(found.network_fee_percentage))


def _name(text: str) -> str:
    """Return a name of somebody else's as it can be shown and typed."""
    return line(text)[:LONGEST_NAME]


async def _get(network: Network, path: str, read: Callable[[bytes], T]) -> T:
    import httpx

    content = bytearray()
    try:
        async with (
            asyncio.timeout(PATIENCE),
            httpx.AsyncClient(
                timeout=10, trust_env=proxied(network.api), verify=verified(network.api)
            ) as http,
            http.stream("GET", network.api + path, follow_redirects=True) as answer,
        ):
            answer.raise_for_status()
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > LARGEST:
                    raise ValueError("it is too large")
        return read(bytes(content))
    except (*UNREADABLE, httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        garbled = isinstance(error, UNREADABLE)
        raise NetworkError(
            f"the market list of {network.name} at {shown(network.api)} cannot be read: "
            f"{'its answer is no list of markets' if garbled else unreached(error)}",
            hint="Try again in a moment, or set another: %nosana config api --ask",
        ) from None  # Its words may name an address in full.
