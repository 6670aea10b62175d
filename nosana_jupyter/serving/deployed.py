"""
A service that Nosana's Deployment API keeps: one deployment in place of jobs of our own.

The deployment lists, prolongs and replaces its jobs by itself, from a vault that we fill step by
step within cap and budgets; what is left comes back when the service ends. All of its hosts stand
behind one address, to which that of this machine leads.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .. import schedules
from ..errors import HostFailed, JobError, NetworkError, NoHost, NosanaError, SessionLost
from ..events import Event, Posted, Quoted, Settled, Waiting
from ..market import quoting
from ..market.markets import Quote
from ..money import vault
from ..money.deployments import OVER, Deployment
from ..money.jobs import Job
from ..money.journal import owner_of
from ..rent.rental import settling
from ..sanitize import line
from ..units import Lamports, MicroNos, Seconds, duration, nos, parse_seconds
from ..wire.definition import document
from . import forms
from .renting import LOADING, Place
from .terms import INFINITE, SCHEDULED, SIMPLE

if TYPE_CHECKING:
    from ..money.consent import Confirm
    from ..rent.servicebook import Server
    from .service import Service

log = logging.getLogger("nosana_jupyter.serving.deployed")

PROBE, SOON = 5.0, 0.5
"""Seconds between looks at one that is up, and at one that is not."""

LATER = 20.0
"""Seconds before a vault is given more, where that did not go."""

ANEW = (INFINITE, SCHEDULED)
"""Strategies that list job after job, each of which takes rent."""

ROTATION = 20
"""Minutes before the end of a job at which another takes its place, where it is `infinite`."""

LOW = Lamports(2_000_000)
"""Lamports for each host below which a vault is given more."""

STRATEGIES = {
    "simple": "SIMPLE", "extend": "SIMPLE-EXTEND", "infinite": "INFINITE",
    "scheduled": "SCHEDULED",
}  # fmt: skip


@dataclass(kw_only=True, slots=True)
class Standing:
    """Since when a deployment runs, and why it gets no more."""

    began: float
    trouble: str = ""


class Deployed:
    """
    The deployment of a service.

    Args:
        service: The service.
    """

    number = 1

    def __init__(self, service: Service) -> None:
        self.service = service
        self.place: Place | None = None
        self.state = "waiting"
        """How it stands, in words."""

        self.failure: NosanaError | None = None
        self.over = ""
        """Why it is over, as a sentence."""

        self.time: Standing | None = None
        self.hosts = 0
        """How many of its jobs run."""

        self.waiting = False
        """Whether one of its jobs runs, or waits for a host."""

        self._job: Job | None = None
        self._quoted = 0
        self._in_vault = MicroNos(0)
        """What the vault held when it was last looked at."""

        self._later = 0.0
        self._closing = asyncio.Event()
        self._doubt = asyncio.Event()
        terms = service.terms
        self._minutes = math.ceil(terms.step / 60)
        if terms.strategy == INFINITE:
            self._minutes = max(60, self._minutes)

    def close(self) -> None:
        """Let it end."""
        self._closing.set()

    def doubt(self) -> None:
        """Look at it now: a request was not answered."""
        if self.place is not None:
            self.place.up = False
        self._doubt.set()

    @property
    def step(self) -> Seconds:
        """What one timeout of all of its jobs takes, in seconds of hosts."""
        return Seconds(60 * self._minutes * self.service.terms.replicas)

    @property
    def held(self) -> MicroNos:
        """What the vault was given, in micro-NOS."""
        if self._job is None:
            return MicroNos(self._quoted)
        intent = self._job.intent
        return MicroNos(intent.price * intent.timeout + intent.fee)

    @property
    def costs(self) -> str:
        """What the vault was given and holds, in words; empty if there is none."""
        if self._job is None:
            return ""
        return f"up to {nos(self.held)}, {nos(self._in_vault)} of it in the vault"

    async def agree(self, confirm: Confirm | None) -> Quote:
        """Say what it is given at first, ask whether it may, and return it."""
        quote = await self._quote()
        self._emit(Quoted(quote))
        await self.service.client.consent.ask(quote, confirm)
        return quote

    async def keep(self, confirm: Confirm | None, left: Server | None = None) -> None:
        """
        Keep the deployment until the service ends, or it does.

        Args:
            confirm: Asked before the first real spend.
            left: What another process has left, if anything.
        """
        try:
            async with self._left(left) if left else self._made(confirm) as deployment:
                await self._follow(deployment)
        except NosanaError as error:
            if not self._closing.is_set():
                self.failure, self.over = error, line(str(error).partition("\n")[0])
        finally:
            self.place = self.time = self._job = None
            self.hosts = self._quoted = 0
            self.service.changed()

    async def _quote(self) -> Quote:
        """Return what the vault is given at first: what is paid for at a time, and once more."""
        service, client = self.service, self.service.client
        rounds = 1 if service.terms.strategy == SIMPLE else 2
        found = await quoting.quote(
            client.network, client.rpc, client.settings, service.terms.wanted,
            Seconds(rounds * self.step), max_cost=service.terms.max_cost,
            spent=service.committed(self), seen=client.hosts,
        )  # fmt: skip
        self._quoted = found.most
        return found

    @asynccontextmanager
    async def _made(self, confirm: Confirm | None) -> AsyncIterator[Deployment]:
        """Make a vault and a deployment, fill the one and start the other."""
        service, client, jobs = self.service, self.service.client, self.service.client.jobs
        terms, manager = service.terms, vault.manager_of(jobs)
        self._emit(Waiting(f"asking {client.network.name} for its markets and hosts"))
        quote = await self.agree(confirm)
        posts = terms.replicas * (2 if terms.strategy in ANEW else 1)
        await vault.check(jobs, quote, posts)
        self._emit(Waiting("making a vault and a deployment"))
        address = await manager.new_vault()
        intent = vault.intend(jobs, quote, address, title=f"service {service.name}")
        self._job = job = Job(intent=intent, quote=quote)
        key = secrets.token_urlsafe(32)
        async with settling(jobs, job, emit=self._emit, control=service.control):
            deployment = await manager.create(address, self._body(quote, key))
            self._emit(Waiting("filling the vault: waiting for the chain"))
            await vault.fill(jobs, intent, posts)
            self._emit(Posted(address, quote.most, intent.held))
            await manager.start(deployment.id)
            if not deployment.endpoints:
                raise JobError("the deployment has no address")
            base = deployment.endpoints[0].url.rstrip("/")
            async with Place(job, quote, base, key, terms) as self.place:
                self.time = Standing(began=time.time())
                service.changed()
                yield deployment

    @asynccontextmanager
    async def _left(self, left: Server) -> AsyncIterator[Deployment]:
        """Go on with the deployment that another process has left."""
        service, jobs = self.service, self.service.client.jobs
        entry = jobs.journal.find(left.job)
        found = await vault.manager_of(jobs).of(left.job)
        if entry is None or entry.receipt is not None or not found:
            raise SessionLost(f"the deployment of service {service.name} is over")
        intent = entry.intent
        listed = await service.client.markets()
        market = next((each for each in listed if each.address == intent.market), None)
        if market is None:
            raise SessionLost(f"the market of service {service.name} is gone")
        jobs.journal.own(left.job, owner_of(os.getpid()))
        self._job = job = jobs.recall(entry)
        job.status = "done"
        quote = Quote(market=market, timeout=Seconds(intent.timeout), pay="nos")
        base, key = service.left_behind[left.job]
        async with (
            settling(jobs, job, emit=self._emit, control=service.control),
            Place(job, quote, base, key, service.terms) as self.place,
        ):
            self.time = Standing(began=left.began)
            yield found[0]

    def _body(self, quote: Quote, key: str) -> dict[str, Any]:
        """Return what is asked of the deployment API."""
        terms = self.service.terms
        asked = forms.definition(
            terms.form, key=key, vram=terms.wanted.vram, secrets={}, private=False
        )
        return {
            "name": self.service.name, "market": quote.market.address,
            "replicas": terms.replicas, "timeout": self._minutes,
            "strategy": STRATEGIES[terms.strategy], "confidential": True,
            "job_definition": document(asked),
            **({"rotation_time": ROTATION} if terms.strategy == INFINITE else {}),
            **({"schedule": schedules.fields(terms.schedule)} if terms.schedule else {}),
        }  # fmt: skip

    # While it runs

    async def _follow(self, deployment: Deployment) -> None:
        """Look after a deployment until it is to end, or does."""
        assert self.place is not None
        began, came, ever = time.monotonic(), 0.0, False
        chosen = self.service.client.settings
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            while not closing.done():
                before = (self.place.up, self.state, self.hosts)
                if self._runs:
                    await self.place.look()
                ever = ever or self.place.up
                await self._stand(deployment)
                now = time.monotonic()
                came = came or (now if self.hosts else 0.0)
                if self.service.terms.schedule:
                    self._sleep()
                elif not came and now - began > parse_seconds(chosen.wait):
                    raise NoHost(
                        f"no host took a job of the deployment within {chosen.wait}",
                        hint="See %nosana markets for another market.",
                    )
                elif not ever and came and now - came > max(LOADING, parse_seconds(chosen.boot)):
                    raise HostFailed(
                        f"{self.service.terms.form.title} was not up within "
                        f"{duration(now - came)}, which are paid"
                    )
                if before != (self.place.up, self.state, self.hosts):
                    self._emit(Waiting(self.state))
                    self.service.changed()
                doubt = asyncio.ensure_future(self._doubt.wait())
                await asyncio.wait(
                    {closing, doubt}, timeout=SOON if self._runs and not self.place.up else PROBE,
                    return_when=asyncio.FIRST_COMPLETED,
                )  # fmt: skip
                doubt.cancel()
                self._doubt.clear()
        finally:
            closing.cancel()

    @property
    def _runs(self) -> bool:
        """Whether there may be a host: before its schedule's next tick there is none."""
        return self.service.wakes is None

    def _sleep(self) -> None:
        """Note when its schedule wakes it, while it has no job; between two ticks it has none."""
        assert self.place is not None
        terms, was = self.service.terms, self.service.wakes
        if self.waiting:
            self.service.wakes = None
        elif was is None or was <= schedules.now():
            self.place.up = False
            self.service.wakes = schedules.next_tick(terms.schedule, schedules.now())
        if was != self.service.wakes:
            self.service.changed()

    async def _stand(self, deployment: Deployment) -> None:
        """
        Look how a deployment stands, and give its vault more if it will soon need it.

        Raises:
            JobError: It is over.
        """
        jobs, terms = self.service.client.jobs, self.service.terms
        assert self.place is not None
        manager = vault.manager_of(jobs)
        try:
            found = await manager.of(deployment.vault)
            self.hosts = await manager.count(deployment.id, "RUNNING")
            queued = terms.schedule and await manager.count(deployment.id, "QUEUED")
            self.waiting = bool(self.hosts or queued)
            status = next((each.status for each in found if each.id == deployment.id), "STOPPED")
            why = await manager.last(deployment.id) if status not in ("STARTING", "RUNNING") else ""
            await self._more(deployment.vault)
        except NetworkError as error:
            log.info("deployment %s: %s", deployment.id, error)
            self.state = f"{line(str(error))}"
            return
        if status in OVER:
            trouble = self.time.trouble if self.time is not None else ""
            more = f", and its vault got no more: {trouble}" if trouble else ""
            raise JobError(f"the deployment has ended: {why}{more}")
        if self.place.up:
            self.state = "up"
        elif why:
            self.state = why
        else:
            self.state = terms.form.starting if self.hosts else "waiting for hosts to take its jobs"

    async def _more(self, address: str) -> None:
        """Give the vault another step, where it does not hold the next; note why, if not."""
        service, jobs = self.service, self.service.client.jobs
        terms = service.terms
        self._in_vault, lamports = await vault.holds(jobs, address)
        entry = jobs.journal.find(address)
        if entry is None or entry.receipt is not None:
            raise JobError("somebody with this wallet has swept its vault")
        assert self._job is not None
        self._job.intent = intent = entry.intent
        share = intent.fee * self.step // intent.timeout if intent.timeout else 0
        least = vault.SOL_A_JOB if terms.strategy in ANEW else LOW
        poor = lamports < least * terms.replicas
        if terms.strategy == SIMPLE or time.monotonic() < self._later or service.left <= 0:
            return
        if self._in_vault >= intent.price * self.step + share and not poor:
            return
        try:
            cap = await quoting.cap(jobs.network, service.client.settings, terms.max_cost)
            if cap is not None:
                cap = replace(cap, amount=MicroNos(cap.amount - service.committed(self)))
            self._job.intent = await vault.add(
                jobs, address, self.step, terms.replicas if poor else 0, cap=cap
            )
        except NosanaError as error:
            self._later = time.monotonic() + LATER
            if self.time is not None:
                self.time.trouble = f"{error} {error.hint}".strip()
            log.info("service %s gets no more: %s", service.name, error)
        else:
            if self.time is not None:
                self.time.trouble = ""

    def _emit(self, event: Event) -> None:
        match event:
            case Waiting(text=text) if text:
                self.state = text
            case Settled(receipt=receipt):
                self.service.settled(receipt)
        self.service.emit(self.number, event)
