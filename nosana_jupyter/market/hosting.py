"""
Hosts: what they have locked up on chain, and beside it what this machine has seen of them.

A stake says what a host can lose, a record what it has done. Neither chooses a host by itself: who
takes the richest one can be foreseen, and two that help each other lie would see to be it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..chain.accounts import QueueType, Stake
from .caches import Held
from .markets import Market
from .reputation import Record, Reputation
from .timings import UNTIMED, Pace

if TYPE_CHECKING:
    from ..chain.rpc import Rpc

FRESH = 30.0
"""Seconds for which a stake is not looked at again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """One host."""

    node: str
    markets: tuple[Market, ...]
    """Those in whose queue it waits, cheapest first."""

    stake: Stake | None
    """What it has locked up. None: it never has, or has taken all of it."""

    record: Record
    pace: Pace = UNTIMED
    """How fast it is beside others of its market."""

    held: Held | None = None
    """What it is believed to keep of earlier jobs from here."""


class Stakes:
    """
    Stakes by their owners, each read at most twice a minute.

    Args:
        rpc: The chain.
    """

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._known: dict[str, tuple[float, Stake | None]] = {}

    async def of(self, owners: Iterable[str]) -> dict[str, Stake | None]:
        """
        Return what each of some owners has staked.

        Raises:
            NetworkError: The chain does not answer.
        """
        wanted = list(dict.fromkeys(owners))
        now = time.monotonic()
        old = [each for each in wanted if self._known.get(each, (-FRESH,))[0] <= now - FRESH]
        if old:
            found = await self._rpc.stakes(old)
            self._known |= {each: (now, found.get(each)) for each in old}
        return {each: self._known[each][1] for each in wanted}

    def forget(self, owner: str) -> None:
        """Look at a stake again on next use: something has just changed it."""
        self._known.pop(owner, None)


async def hosts(
    rpc: Rpc, stakes: Stakes, seen: Reputation, markets: Sequence[Market]
) -> list[Host]:
    """
    Return the hosts that this machine knows, what was last seen first; then those that wait.

    Args:
        rpc: The chain.
        stakes: What hosts have staked.
        seen: What is known of hosts.
        markets: Those whose queues are looked at.

    Raises:
        NetworkError: The chain does not answer.
    """
    records = seen.all()
    queues = await rpc.markets([each.address for each in markets if each.hosts])
    waits: dict[str, list[Market]] = {each.node: [] for each in records}
    for market in markets:
        found = queues.get(market.address)
        if found is not None and found.queue_type == QueueType.NODES:
            for node in found.queue:
                waits.setdefault(str(node), []).append(market)
    held = await stakes.of(waits)
    known = {each.node: each for each in records}
    return [
        Host(
            node=node, markets=tuple(waits_in), stake=held[node],
            record=known.get(node) or Record(node),
            pace=seen.pace(node) if node in known else UNTIMED,
            held=seen.kept(node),
        )
        for node, waits_in in waits.items()
    ]  # fmt: skip
