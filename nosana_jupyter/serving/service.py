"""
A service: its servers, the address of this machine that leads to them, and the task that keeps it.

It ends when nobody has asked anything for long enough, when its time is over, or when no server can
be had any more; then all of its jobs are settled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from .. import schedules
from ..errors import HostFailed, JobError, NoHost, NosanaError
from ..events import Event
from ..line.control import Control
from ..money.journal import Receipt
from ..rent.logbook import mine
from ..rent.servicebook import Secret, Server, ServiceBook, ServiceRecord
from ..units import MicroNos, duration, nos
from .deployed import Deployed
from .gateway import Gateway
from .replica import Replica
from .terms import ENDLESS, Terms, View

if TYPE_CHECKING:
    from datetime import datetime

    from ..client import Client
    from ..money.consent import Confirm
    from .renting import Place

log = logging.getLogger("nosana_jupyter.serving.service")

LOOK = 30.0
"""Most seconds between two looks at the clock."""

STOPPED = "it was stopped"
"""Why a service is over that was to be."""


class Service:
    """
    One service, and the task that keeps it.

    Args:
        terms: What was asked for.
        client: Pays.
        book: Remembers it.
        record: What another process has left of it, if anything.
    """

    def __init__(
        self,
        terms: Terms,
        client: Client,
        book: ServiceBook,
        record: ServiceRecord | None = None,
    ) -> None:
        self.terms = terms
        self.name = terms.name
        self.client = client
        self.control = Control()
        self.over = ""
        """Why it is over, as a sentence."""

        self.failure: NosanaError | None = None
        self.told: Callable[[Event], None] = lambda _: None
        """Takes what happens until it is there, and when it ends."""

        self.receipts: list[Receipt] = []
        """Of its jobs that are over."""

        secret = book.secret(record) if record is not None else None
        self.left_behind = secret.servers if secret is not None else {}
        self.key = secret.key if secret is not None else f"sk-{secrets.token_urlsafe(32)}"
        """What requests have to bring. Never shown."""

        self.opened = record.opened if record is not None else time.time()
        self.gateway = Gateway(self, port=record.port if record is not None else 0)
        self.gateway.requests = record.requests if record is not None else 0
        self.task: asyncio.Task[None] | None = None
        self._servers = record.servers if record is not None else ()
        self._spent = record.spent if record is not None else MicroNos(0)
        self._ends = time.monotonic() + max(0.0, self.opened + terms.most - time.time())
        self._book = book
        self._closing = asyncio.Event()
        self.quoting = asyncio.Lock()
        """Held while a server is quoted: the cap is for all."""

        self._news = asyncio.Event()
        """Set, and replaced by another, when something about a server has changed."""

        self.replicas = self._kept()
        self.wakes: datetime | None = None
        """When it comes back, while it sleeps."""

        self.last = ""
        """Why it was over the last time."""

        self._answered = False
        """Whether it was up, since it was opened or woke."""

    def __repr__(self) -> str:
        return f"<service {self.name}: {self.state}>"

    # The task

    async def keep(self, opened: asyncio.Future[None], confirm: Confirm | None) -> None:
        """
        Keep the service until it is to end, or does.

        Args:
            opened: Told when the first server answers.
            confirm: Asked before the first real spend.
        """
        keeping: list[asyncio.Task[None]] = []
        terms = self.terms
        try:
            await self.gateway.open()
            self.note()
            left = list(self._servers)
            if terms.schedule and not terms.through and not left:
                # Nobody can be asked when the time comes.
                await self.replicas[0].agree(confirm)
            while await self._awake(opened, at_once=bool(left)):
                keeping[:] = [
                    asyncio.create_task(each.keep(confirm, left.pop(0) if left else None))
                    for each in self.replicas
                ]
                await self._watch(keeping, opened)
                if not self._again():
                    break
                await self._renew(keeping)
        except NosanaError as error:
            self.failure = error
        except asyncio.CancelledError:
            self.control.interrupted = True
            opened.cancel()
            for each in keeping:
                each.cancel()
            raise
        finally:
            self.over = self.over or STOPPED
            for replica in self.replicas:
                replica.close()
            await self.gateway.close()
            if keeping:
                await asyncio.wait(keeping)
            if keeping or not self._servers:  # What was not taken up stays to be taken up.
                self._book.end(self.record())
            if not opened.done():
                failure = self.failure or JobError(f"service {self.name} is over: {self.over}")
                opened.set_exception(failure)
            self.changed()

    async def _watch(self, keeping: list[asyncio.Task[None]], opened: asyncio.Future[None]) -> None:
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            while True:
                waits = asyncio.ensure_future(self._news.wait())
                await asyncio.wait(
                    {closing, waits, *keeping},
                    timeout=max(0.02, min(LOOK, self.ends_in, self.left)),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                waits.cancel()
                if (self.up or self.wakes is not None) and not opened.done():
                    opened.set_result(None)
                if self.up and not self._answered:
                    self._answered, self.gateway.used = True, time.monotonic()
                if closing.done():
                    return
                if all(each.done() for each in keeping):
                    self._fail(keeping)
                    return
                if self._answered and self.idle >= self.terms.idle:
                    self.over = f"no request came for {duration(self.terms.idle)}"
                    return
                if self.left <= 0:
                    self.over = f"its {duration(self.terms.most)} were over"
                    return
        finally:
            closing.cancel()

    async def _awake(self, opened: asyncio.Future[None], *, at_once: bool) -> bool:
        """Wait for the next tick of a schedule; say whether there is anything to be done."""
        if not self.terms.schedule or self.terms.through or at_once:
            return True
        self.wakes = schedules.next_tick(self.terms.schedule, schedules.now())
        if not opened.done():
            opened.set_result(None)
        self.changed()
        while (pause := (self.wakes - schedules.now()).total_seconds()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(pause, LOOK)):  # A machine may have slept.
                    await self._closing.wait()
                    return False
        self.wakes = None
        self.opened, self._ends = time.time(), time.monotonic() + self.terms.most
        self._answered = False
        self.changed()
        return True

    def _again(self) -> bool:
        """Say whether it comes back at the next tick."""
        if not self.terms.schedule or self.terms.through or self._closing.is_set():
            return False
        # What another host may do better, another day may as well.
        return self.failure is None or isinstance(self.failure, HostFailed | NoHost)

    async def _renew(self, keeping: list[asyncio.Task[None]]) -> None:
        """Settle the jobs of one tick, and be ready for the next."""
        self.last, self.failure, self.over = self.over, None, ""
        for replica in self.replicas:
            replica.close()
        await asyncio.wait(keeping)
        self.replicas = self._kept()

    def _kept(self) -> list[Replica] | list[Deployed]:
        """Return what keeps its servers."""
        if self.terms.through:
            return [Deployed(self)]
        return [Replica(self, number + 1) for number in range(self.terms.replicas)]

    def _fail(self, keeping: list[asyncio.Task[None]]) -> None:
        """Note why there is no server any more."""
        for each in keeping:
            each.result()
        failed = [each for each in self.replicas if each.failure is not None]
        if failed:
            self.failure, self.over = failed[0].failure, failed[0].over

    def close(self) -> None:
        """Let it end."""
        self._closing.set()

    async def end(self) -> None:
        """End it, and wait until its jobs are settled."""
        self.close()
        if self.task is not None:
            await asyncio.wait([self.task])

    # What its servers say

    def emit(self, number: int, event: Event) -> None:
        """Take what happens to a server."""
        if number == 1:  # What happens to several at once nobody could follow.
            self.told(event)

    def changed(self) -> None:
        """Let who waits for a server look again."""
        news, self._news = self._news, asyncio.Event()
        news.set()
        if not self.over:
            self.note()

    def settled(self, receipt: Receipt) -> None:
        """Note what a job has cost."""
        self.receipts.append(receipt)
        self._spent = MicroNos(self._spent + receipt.paid + receipt.network_fee)

    def committed(self, but: Replica | Deployed) -> MicroNos:
        """Return what jobs have cost and others may yet, in micro-NOS: the cap is for all."""
        others = sum(each.held for each in self.replicas if each is not but)
        return MicroNos(self._spent + others)

    # Requests

    async def place(self, tried: set[Place]) -> Place:
        """
        Return the server that has least to do, as soon as there is one.

        Args:
            tried: Those that come last.

        Raises:
            JobError: There will be none any more.
        """
        while not self.over:
            news = self._news
            if self.wakes is not None:
                raise JobError(f"service {self.name} {self.state}")
            if up := self.up:
                return min(
                    up, key=lambda each: (each in tried, each.busy + each.sockets, each.used)
                )
            await news.wait()
        raise JobError(f"service {self.name} is over: {self.over}")

    def doubt(self, place: Place) -> None:
        """Note that a server did not answer a request."""
        for each in self.replicas:
            if each.place is place:
                each.doubt()

    # How it stands

    @property
    def up(self) -> list[Place]:
        """The servers that answer."""
        return [each.place for each in self.replicas if each.place is not None and each.place.up]

    @property
    def hosts(self) -> int:
        """How many hosts answer."""
        up = self.up
        return sum(each.hosts for each in self.replicas if each.place in up)

    @property
    def is_over(self) -> bool:
        return self.task is not None and self.task.done()

    @property
    def url(self) -> str:
        """Where its requests go, on this machine; it does not change."""
        return self.gateway.url

    @property
    def idle(self) -> float:
        """Seconds without a request."""
        return self.gateway.idle

    @property
    def ends_in(self) -> float:
        """Seconds until it ends for want of requests."""
        return self.terms.idle - self.idle

    @property
    def left(self) -> float:
        """Seconds until the end of all that may be paid for."""
        return self._ends - time.monotonic()

    @property
    def state(self) -> str:
        """How it stands, in words."""
        if self.over:
            return f"over: {self.over}" if self.is_over else "ending"
        if self.wakes is not None:
            last = f"; {self.last}" if self.last else ""
            return f"sleeps until {schedules.told(self.wakes)}{last}"
        up = self.hosts
        if up == self.terms.replicas:
            return "busy" if self.gateway.busy else "up"
        waits = next((each.state for each in self.replicas if each.place not in self.up), "")
        if up:
            return f"{up} of {self.terms.replicas} up; {waits}"
        return waits

    def view(self) -> View:
        """Say how it stands."""
        running = [each.costs for each in self.replicas if each.costs]
        spent = [nos(self._spent)] if self._spent or not running else []
        places = [each.place for each in self.replicas if each.place is not None]
        return View(
            name=self.name, runs=self.terms.form.title, state=self.state,
            url="" if self.is_over else self.url,
            gpu=places[0].quote.market.gpu if places else "",
            hosts=self.hosts, replicas=self.terms.replicas,
            spent=" + ".join([*spent, *running]), requests=self.gateway.requests,
            idle=self.idle, ends_idle=self.terms.idle, left=max(0.0, self.left),
            trouble=next((each.time.trouble for each in self.replicas if each.time), ""),
            over=self.is_over, sleeps=self.wakes is not None,
            endless=self.terms.most >= ENDLESS, through=self.terms.through,
        )  # fmt: skip

    def record(self) -> ServiceRecord:
        """Return what is written down of it."""
        terms = self.terms
        servers = [
            Server(job=each.place.job.address, node=each.place.job.node, began=each.time.began)
            for each in self.replicas
            if each.place is not None and each.time is not None
        ]
        return ServiceRecord(
            name=self.name, network=self.client.network.name,
            wallet=self.client.jobs.payer.account, port=self.gateway.port,
            runs=terms.form.title, model=terms.form.model,
            form=msgspec.Raw(msgspec.json.encode(terms.form)), opened=self.opened,
            most=terms.most, idle=terms.idle, step=terms.step, replicas=terms.replicas,
            max_cost=terms.max_cost, vram=terms.wanted.vram, gpu=terms.wanted.gpu,
            market=terms.wanted.market, prefer=terms.wanted.prefer, secrets=tuple(terms.secrets),
            servers=tuple(servers) or self._servers, spent=self._spent,
            requests=self.gateway.requests, owner=mine(), strategy=terms.strategy,
            schedule=terms.schedule, through=terms.through,
        )  # fmt: skip

    def note(self) -> None:
        """Write down how it stands."""
        places = [each.place for each in self.replicas if each.place is not None]
        servers = {each.job.address: (each.base, each.key) for each in places}
        self._book.keep(self.record(), Secret(key=self.key, servers=servers or self.left_behind))
