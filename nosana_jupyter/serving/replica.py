"""
One of the servers of a service: a host is rented, looked after, and replaced by another when it is
lost, as long as time and money of the service allow.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ..chain.accounts import QueueType
from ..errors import HostFailed, NodeError, NoHost, NosanaError, RemoteProtocolError, SessionLost
from ..events import Event, Quoted, Running, Settled, Waiting
from ..line.patience import allowed
from ..market import quoting
from ..market.markets import Quote
from ..money.bills import worth
from ..node import FINAL
from ..rent.attempts import Attempts
from ..rent.prolonging import Prolonging
from ..sanitize import line
from ..units import MicroNos, Seconds, duration
from . import renting
from .renting import Place
from .terms import SIMPLE

if TYPE_CHECKING:
    from ..money.consent import Confirm
    from ..money.jobs import Job
    from ..rent.servicebook import Server
    from .service import Service

log = logging.getLogger("nosana_jupyter.serving.replica")

PROBE = 5.0
"""Seconds between looks at a server that is up."""

SOON = 0.5
"""The same at one that is not."""

BRIEF = 300.0
"""Seconds that a server runs at least that has not come to nothing."""

MOST_BRIEF = 3
"""Servers in a row that may come to nothing."""

PAUSES = (0.0, 2.0, 20.0)
"""Seconds before another host is asked, after so many that came to nothing."""


class Replica:
    """
    One server of a service, wherever it runs.

    Args:
        service: The service.
        number: From 1.
    """

    hosts = 1

    def __init__(self, service: Service, number: int) -> None:
        self.service = service
        self.number = number
        self.place: Place | None = None
        self.state = "waiting"
        """How it stands, in words."""

        self.failure: NosanaError | None = None
        self.over = ""
        """Why it is over, as a sentence."""

        self.time: Prolonging | None = None
        """Of its open job, once a host has that."""

        self._job: Job | None = None
        self._quoted = 0
        """What its next job may cost, in micro-NOS, until that is posted."""

        self._closing = asyncio.Event()
        self._doubt = asyncio.Event()
        """Set when a request has found it wanting."""

        self._lost: set[str] = set()
        """Addresses of hosts that were lost."""

        self._ever = False
        """Whether it was ever up."""

        self._brief = 0

    def close(self) -> None:
        """Let it end."""
        self._closing.set()

    def doubt(self) -> None:
        """Look at it now: a request was not answered."""
        if self.place is not None:
            self.place.up = False
        self._doubt.set()

    @property
    def held(self) -> MicroNos:
        """What its open job may cost, in micro-NOS."""
        if self._job is None:
            return MicroNos(self._quoted)
        intent = self._job.intent
        paid = self.time.paid if self.time is not None else intent.timeout
        return MicroNos(intent.price * paid + intent.fee)

    @property
    def costs(self) -> str:
        """What its open job has cost so far, in words; empty if there is none."""
        if self.place is None or self.time is None:
            return ""
        return worth(self.place.quote, self.time.passed)

    async def agree(self, confirm: Confirm | None) -> None:
        """Say what a server costs, and ask whether it may, before there is to be one."""
        quote = await self._attempts().quote()
        self._quoted = 0
        self._emit(Quoted(quote))
        await self.service.client.consent.ask(quote, confirm)

    async def keep(self, confirm: Confirm | None, left: Server | None = None) -> None:
        """
        Keep a server up until the service ends, or there can be none.

        Args:
            confirm: Asked before the first real spend.
            left: What another process has left, if anything.
        """
        while not self._closing.is_set() and not self.over:
            began = time.monotonic()
            try:
                async with self._left(left) if left else self._rented(confirm) as place:
                    began = time.monotonic()
                    self.place, self.state, self._ever = place, "up", True
                    self.service.changed()
                    await self._watch(place)
            except NosanaError as error:
                if not self._goes_on(error, began, again=left is not None):
                    return
                self.state = f"{_sentence(error)}: another host is asked"
                log.info("service %s, server %s: %s", self.service.name, self.number, error)
            finally:
                self.place = self.time = self._job = left = None
                self._quoted = 0
                self.service.changed()
            await self._rest()

    def _goes_on(self, error: NosanaError, began: float, *, again: bool) -> bool:
        """Say whether another host is to be asked after an error; note why not."""
        if self._closing.is_set():
            return False
        status = self._job.status if self._job is not None else ""
        paid = self.time.paid if self.time is not None else Seconds(0)
        reason = {
            "timeout": f"its {duration(paid)} were over"
            + (f", and it got no more: {self.time.trouble}" if self.time else ""),
            "stopped": "somebody with this wallet has stopped or swept its job",
        }.get(status)
        self._brief = self._brief + 1 if time.monotonic() - began < BRIEF else 0
        # Who asks for the first time has asked several hosts already.
        passes = (again or self._ever) and _passes(error) and self.service.left > 0
        passes = passes and not (self._ever and self.service.terms.strategy == SIMPLE)
        if reason is None and passes and self._brief <= MOST_BRIEF:
            if self.place is not None:
                self._lost.add(self.place.job.node)
                self.service.client.hosts.failed(self.place.job.node, _sentence(error))
            return True
        self.failure, self.over = error, reason or _sentence(error)
        return False

    async def _rest(self) -> None:
        pause = PAUSES[min(self._brief, len(PAUSES)) - 1] if self._brief else 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._closing.wait()

    @asynccontextmanager
    async def _left(self, left: Server) -> AsyncIterator[Place]:
        """Go on with what another process has left."""
        service = self.service
        base, key = service.left_behind[left.job]
        async with renting.reopened(
            service.client, service.terms, left.job, base, key,
            emit=self._emit, control=service.control, taken=self._taken,
        ) as place:  # fmt: skip
            yield place

    @asynccontextmanager
    async def _rented(self, confirm: Confirm | None) -> AsyncIterator[Place]:
        """Rent the first host, of those that are asked one after another, that comes up."""
        service, client = self.service, self.service.client
        tries = self._attempts()
        self._emit(Waiting(f"asking {client.network.name} for its markets and hosts"))
        quote = await tries.quote()
        self._emit(Quoted(quote))
        await client.consent.ask(quote, confirm)

        def posted(job: Job) -> None:
            tries.post(job)
            self._job, self.time = job, None

        async with AsyncExitStack() as stack:
            while True:
                block = tries.judging(renting.hosted(
                    client, quote, service.terms,
                    emit=self._emit, control=service.control, posted=posted,
                    taken=self._taken, more=lambda: self._more(math.inf),
                ))  # fmt: skip
                try:
                    place = await stack.enter_async_context(block)
                    break
                except NosanaError as error:
                    again = not (service.control.interrupted or self._closing.is_set())
                    quote = await tries.following(error, self._emit, again=again)
            tries.succeeded(service.terms.form.image)
            yield place

    def _attempts(self) -> Attempts:
        """Return the hosts that are asked, of which there are none yet."""
        service, client = self.service, self.service.client

        async def ask(*, spent: int = 0, avoid: AbstractSet[str] = frozenset()) -> Quote:  # noqa: ARG001 - the service counts all of its jobs
            self._job, self._quoted = None, 0
            async with service.quoting:  # What one is quoted, others have not.
                found = await quoting.quote(
                    client.network, client.rpc, client.settings, service.terms.wanted,
                    Seconds(min(service.terms.step, max(60, int(service.left)))),
                    max_cost=service.terms.max_cost, spent=service.committed(self), avoid=avoid,
                    seen=client.hosts,
                )  # fmt: skip
                self._quoted = found.most
            found = await self._elsewhere(found)
            return await client.jobs.priced(found, cell=f"service {service.name}")

        return Attempts(ask, client.hosts, most=int(client.settings.attempts))

    async def _elsewhere(self, quote: Quote) -> Quote:
        """Name a host, where one waits, if the market would give us one that we have just lost."""
        account = await self.service.client.rpc.market(quote.market.address) if self._lost else None
        if account is None or account.queue_type != QueueType.NODES:
            return quote
        queue = [str(each) for each in account.queue]
        free = [each for each in queue if each not in self._lost]
        return replace(quote, node=free[0]) if free and queue[0] != free[0] else quote

    def _emit(self, event: Event) -> None:
        match event:
            case Waiting(text=text) if text:
                self.state = text
            case Running(node=node):
                self.state = f"starting on host {node[:8]}"
            case Settled(receipt=receipt):
                self.service.settled(receipt)
        self.service.emit(self.number, event)

    async def _taken(self, job: Job) -> None:
        """Note that a host has the job: from now on it is paid."""
        service = self.service
        terms = service.terms
        made = Prolonging(
            service.client.jobs, service.client.settings, name=f"service {service.name}",
            step=terms.step, most=terms.most, max_cost=terms.max_cost,
        )  # fmt: skip
        run = await service.client.rpc.run_of(job.address, at=job.intent.run)
        made.began = float(run.time) if run else job.started
        made.paid = Seconds(job.intent.timeout)
        made.most = Seconds(max(made.paid, int(made.passed + service.left)))
        self._job, self.time = job, made

    async def _more(self, ends: float) -> None:
        """Give the job more time, if it will soon need it, and will not have ended until then."""
        if self.time is not None and self._job is not None and self.time.wanted(ends):
            await self.time.extend(self._job.address, spent=self.service.committed(self))
            self.service.changed()

    async def _watch(self, place: Place) -> None:
        """Look after a server until it is to end; give it more time meanwhile."""
        assert self.time is not None
        patience = allowed(self.service.client.settings)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            while True:
                doubt = asyncio.ensure_future(self._doubt.wait())
                pause = min(PROBE if place.up else SOON, max(0.02, self.time.pause))
                await asyncio.wait(
                    {closing, doubt}, timeout=pause, return_when=asyncio.FIRST_COMPLETED
                )
                doubt.cancel()
                self._doubt.clear()
                if closing.done():
                    return
                was = place.up
                if await place.look() != was:
                    self.state = "up" if place.up else "does not answer"
                    self.service.changed()
                if (failure := place.lost(patience)) is not None:
                    raise failure
                await self._more(math.inf if place.busy else self.service.ends_in)
        finally:
            closing.cancel()


def _passes(error: NosanaError) -> bool:
    """Say whether another host may do better."""
    if isinstance(error, NodeError):
        return error.status not in FINAL
    return isinstance(error, HostFailed | NoHost | RemoteProtocolError | SessionLost)


def _sentence(error: NosanaError) -> str:
    return line(str(error).partition("\n")[0])
