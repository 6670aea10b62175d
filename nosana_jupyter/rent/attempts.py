"""
Hosts that are asked for one cell, one after another, until it begins.

A cell that has begun is never run again: what it has done cannot be taken back. Until then a host
that fails is paid for its seconds, remembered, and left for the next. The cap of the cell holds
over all of them.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Protocol, TypeVar

from ..errors import (
    HostFailed,
    NodeError,
    NosanaError,
    ProgramError,
    RemoteProtocolError,
    Unsealed,
)
from ..events import Event, Left, Quoted
from ..market.markets import Quote
from ..market.reputation import Reputation
from ..money.jobs import Job
from ..money.receipt import together
from ..node import FINAL
from ..sanitize import line
from ..units import MicroNos
from .claims import NotAsTold

log = logging.getLogger("nosana_jupyter.rent.attempts")


class Guest(Protocol):
    """A host that is rented."""

    @property
    def job(self) -> Job:
        """Its job."""


T = TypeVar("T", bound=Guest)

TAKEN = frozenset({"NotInMarketQueue", "MarketInWrongState"})
"""
What the program says when the host that was meant has just taken another job, and when nobody
waits in its market any more.
"""

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
        hosts: Remembers them.
        most: Most hosts that are asked.
    """

    def __init__(self, ask: Ask, hosts: Reputation, *, most: int) -> None:
        self._ask = ask
        self._hosts = hosts
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
        avoided = self._hosts.avoided()
        markets = {each.receipt.market_address for each in self.left}
        return await self._ask(spent=self.spent, avoid=avoided | markets)

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
        if again and job is None and isinstance(error, ProgramError) and error.name in TAKEN:
            return await self.quote()
        if job is None or job.receipt is None or job.receipt.status == "unsettled":
            raise self._with_money(error)
        if job.begun or not (again and _passes(error)):
            raise self._with_money(error)
        why = _reason(error)
        left = Left(job.node, why, job.receipt)
        if job.node and not isinstance(error, NotAsTold):
            self._hosts.failed(job.node, why)
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

    def judging(self, hosted: AbstractAsyncContextManager[T]) -> AbstractAsyncContextManager[T]:
        """Rent a host; note it if the host breaks the rules while it is rented."""
        return judged(self._hosts, hosted, lambda: self.job.node if self.job else "")

    def succeeded(self, image: str, source: str = "") -> None:
        """
        Note that the host of the present attempt has begun, and what it took for it.

        Args:
            image: What its runner runs in.
            source: The cell that it has run, if it was rented for one.
        """
        job = self.job
        if job is None or not job.node:
            return
        self._hosts.ran(job.node)
        self._hosts.timed(job.node, job.intent.market, f"start {image}", job.boot_seconds)
        if source and job.status == "done":
            name = hashlib.sha256(source.encode()).hexdigest()[:16]
            self._hosts.timed(job.node, job.intent.market, f"cell {name}", job.work_seconds)

    def _with_money(self, error: NosanaError) -> NosanaError:
        """Say in an error what the hosts cost that were left before."""
        if self.left:
            names = "attempt" if len(self.left) == 1 else f"{len(self.left)} attempts"
            cost = together([each.receipt for each in self.left])
            earlier = f"the {names} before cost {cost}"
            error.money = f"{error.money}; {earlier}" if error.money else earlier
        return error


@asynccontextmanager
async def judged(
    hosts: Reputation, hosted: AbstractAsyncContextManager[T], node: Callable[[], str]
) -> AsyncIterator[T]:
    """Meet a host; note what it keeps, or that it has broken the rules from then on."""
    met = False
    try:
        async with hosted as session:
            met = True
            try:
                yield session
            finally:
                if session.job.keeps is not None:
                    hosts.keeps(node(), session.job.keeps)
    except RemoteProtocolError as error:
        # Before it is met the chain is heard, too.
        if met or isinstance(error, NotAsTold):
            with noted(hosts, node()):
                raise
        raise


@contextmanager
def noted(hosts: Reputation, node: str) -> Iterator[None]:
    """Note what a host says that no runner says; what does not open may be anybody's."""
    try:
        yield
    except RemoteProtocolError as error:
        if node and not isinstance(error, Unsealed):
            hosts.lied(node, _reason(error))
        raise


def _reason(error: NosanaError) -> str:
    """Return what is kept of an error."""
    return line(str(error).partition("\n")[0])[:LONGEST]


def _passes(error: NosanaError) -> bool:
    """Say whether another host may do better."""
    if isinstance(error, NodeError):
        return error.status not in FINAL
    return isinstance(error, HostFailed | RemoteProtocolError)
