"""
Hosts that are asked for one cell, one after another, until it begins.

A cell that has begun is never run again: what it has done cannot be taken back. Until then a host
that fails is paid for its seconds, remembered, and left for the next. The cap of the cell holds
over all of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Protocol

from .errors import HostFailed, NodeError, NosanaError, RemoteProtocolError
from .events import Event, Left, Quoted
from .jobs import Job
from .journal import Journal
from .markets import Quote
from .network import Network
from .node import FINAL
from .receipt import together
from .sanitize import line
from .units import MicroNos

log = logging.getLogger("nosana_jupyter.attempts")

LATELY = 1800.0
"""Seconds for which a host that failed is avoided, where a market lets one choose."""

LONGEST = 300
"""Characters of a reason that are kept."""


class Ask(Protocol):
    """Quotes the cell anew, within what is left of its cap."""

    async def __call__(self, *, spent: int, avoid: AbstractSet[str]) -> Quote: ...


class Attempts:
    """
    The hosts that were asked for one cell.

    Args:
        ask: Quotes the cell.
        journal: Remembers hosts.
        network: Where.
        most: Most hosts that are asked.
    """

    def __init__(self, ask: Ask, journal: Journal, network: Network, *, most: int) -> None:
        self._ask = ask
        self._journal = journal
        self._network = network.name
        self._most = most
        self.job: Job | None = None
        """The job of the present attempt."""

        self.left: list[Left] = []

    @property
    def spent(self) -> MicroNos:
        """What the hosts cost that were left, in micro-NOS, whoever paid for it."""
        return MicroNos(sum(each.receipt.paid + each.receipt.network_fee for each in self.left))

    def post(self, job: Job) -> None:
        """Note the job of the present attempt."""
        self.job = job

    async def quote(self) -> Quote:
        """
        Quote the cell; hosts that failed lately come last.

        A market picks its hosts itself, the next in its queue: one whose queue does not say who
        that is, and has given us such a host before, comes last as well.
        """
        blamed = self._journal.blamed(self._network, since=time.time() - LATELY)
        markets = {each.receipt.market_address for each in self.left}
        return await self._ask(spent=self.spent, avoid=blamed | markets)

    async def following(
        self, error: NosanaError, emit: Callable[[Event], None], *, again: bool
    ) -> Quote:
        """
        Leave the host, and quote the cell for the next.

        Args:
            error: What the path broke with; its job is settled.
            emit: Takes `Left` and `Quoted`.
            again: Whether the user still wants the cell.

        Raises:
            NosanaError: The same error, where no other host is to be asked.
        """
        job, self.job = self.job, None
        if job is None or job.receipt is None or job.receipt.status == "unsettled":
            raise self._with_money(error)
        if job.begun or not (again and _passes(error)):
            raise self._with_money(error)
        why = line(str(error).partition("\n")[0])[:LONGEST]
        left = Left(job.node, why, job.receipt)
        if job.node:
            self._journal.blame(self._network, job.node, why)
        if len(self.left) + 1 >= self._most:
            nodes = len({left.node, *(each.node for each in self.left)})
            if self._most > 1:
                hosts = "1 host" if nodes == 1 else f"{nodes} hosts"
                error.hint = f"{self._most} attempts on {hosts} failed. {error.hint}".strip()
            raise self._with_money(error)
        self.left.append(left)
        try:
            quote = await self.quote()
        except NosanaError as refused:
            self.left.pop()
            error.hint = f"No other host was asked: {refused}. {error.hint}".strip()
            raise self._with_money(error) from None
        emit(left)
        emit(Quoted(quote))
        return quote

    def succeeded(self) -> None:
        """Note that the host of the present attempt has run the cell."""
        if self.job is not None and self.job.node:
            self._journal.clear(self._network, self.job.node)

    def _with_money(self, error: NosanaError) -> NosanaError:
        """Say in an error what the hosts cost that were left before."""
        if self.left:
            names = "attempt" if len(self.left) == 1 else f"{len(self.left)} attempts"
            cost = together([each.receipt for each in self.left])
            earlier = f"the {names} before cost {cost}"
            error.money = f"{error.money}; {earlier}" if error.money else earlier
        return error


def _passes(error: NosanaError) -> bool:
    """Say whether another host may do better."""
    if isinstance(error, NodeError):
        return error.status not in FINAL
    return isinstance(error, HostFailed | RemoteProtocolError)
