"""
A host that is none of those that run the same cell already.

A market gives a job to the next host in its queue, and nobody says which. Where two results are to
be compared, the poster names the node: `assign` takes it out of the queue, wherever it stands.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..chain.accounts import QueueType
from ..errors import NoHost
from ..events import Event, Waiting
from ..network import proxied
from ..units import MicroNos, Seconds, duration, parse_seconds

if TYPE_CHECKING:
    from ..chain.rpc import Rpc
    from ..market.markets import Quote
    from ..settings import Settings
    from ..travel.prepare import Prepared

EVERY = 2.0
"""Seconds between looks for a host, where no subscription tells of a change."""


@dataclass(kw_only=True, slots=True)
class Apart:
    """What a further copy of a cell keeps away from."""

    nodes: set[str] = field(default_factory=set)
    """Addresses of the hosts that run, or have run, the other copies."""

    spent: MicroNos = MicroNos(0)  # noqa: RUF009 - an integer
    """What the other copies may cost, in micro-NOS: the cap of the cell holds over all of them."""

    prepared: Prepared | None = None
    """What was made of the cell for its first copy, where that is to run again as it was."""

    at_most: Seconds | None = None
    """Longest wait for another host, in seconds. None: as the settings have it."""

    prefers: Callable[[str], float] = lambda _: 0.0
    """Ranks hosts, the lowest first."""


async def place(
    rpc: Rpc, quote: Quote, apart: Apart, settings: Settings, emit: Callable[[Event], None]
) -> Quote:
    """
    Return a quote that names its host.

    Args:
        rpc: The chain.
        quote: Says the market.
        apart: Hosts that will not do.
        settings: How long to wait for another one.
        emit: Takes `Waiting`.

    Raises:
        NoHost: There was no other one in all this time. Nothing was spent on it.
    """
    asked = 0
    at_most = apart.at_most or parse_seconds(settings.wait)
    deadline = time.monotonic() + at_most
    market = quote.market
    async for _ in rpc.changes(market.address, every=EVERY):
        account = await rpc.market(market.address)
        nodes = account is not None and account.queue_type == QueueType.NODES
        queue = [str(each) for each in account.queue] if account and nodes else []
        free = [each for each in queue if each not in apart.nodes]
        if free:
            node = min(free, key=apart.prefers)
            apart.nodes.add(node)  # Before another copy looks.
            return replace(quote, node=node)
        if time.monotonic() > deadline:
            break
        if rpc.network.hosts and asked <= len(apart.nodes):
            asked = len(apart.nodes) + 1
            await _ask_for(rpc.network.hosts, asked)
        emit(Waiting(f"waiting for another host of {market.slug}, to compare results"))
    raise NoHost(
        f"{market.slug} has had no other host within {duration(at_most)}. Nothing was spent on it",
        hint="See %nosana markets for who has several; --market names one.",
    )


async def _ask_for(address: str, count: int) -> None:
    """Let a network have more hosts, where it can; what waits for one goes on waiting."""
    import httpx

    with contextlib.suppress(httpx.HTTPError):
        async with httpx.AsyncClient(timeout=10, trust_env=proxied(address)) as http:
            await http.post(address, json={"hosts": count})
