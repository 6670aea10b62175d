"""
A host of a service, from its rent to a server that answers, and back: one block, which settles.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from .. import dial, ipfs
from .. import network as networks
from ..errors import HostFailed, NodeError, NosanaError, SessionLost
from ..events import Event, Running, Waiting
from ..line.control import Control
from ..line.patience import allowed
from ..market.caches import Cached, Report
from ..market.markets import Quote
from ..money.jobs import Job
from ..money.journal import owner_of
from ..network import proxied
from ..node import Node
from ..rent import boot
from ..rent.rental import rent, settling
from ..rent.waiting import wait_for_host
from ..rent.watch import Watch, watching
from ..units import Seconds, duration, parse_seconds
from ..wire.definition import service_id
from . import forms
from .terms import Terms

if TYPE_CHECKING:
    from ..client import Client

Emit = Callable[[Event], None]

LOADING = 1800.0
"""Seconds that a model has to be fetched and loaded, if the setting `boot` is less."""

FIRST, SLOWEST = 0.05, 2.0
"""Pauses between looks at a server that is not up yet, in seconds; they grow."""

PATIENT = 5.0
"""Seconds that a health check may take."""

STUCK = 600.0
"""Seconds for which a server may be silent whose host says that it runs."""


class Place:
    """
    A server that answers, on one host.

    Args:
        job: Its job.
        quote: Price of it.
        base: Where it is, for us alone.
        key: What it requires.
        terms: What was asked for.
    """

    def __init__(self, job: Job, quote: Quote, base: str, key: str, terms: Terms) -> None:
        self.job = job
        self.quote = quote
        self.base = base
        self.key = key
        self.busy = 0
        """Requests that it is at work on."""

        self.sockets = 0
        """WebSockets that are open to it."""

        self.gone = asyncio.Event()
        """Set once it is given up."""

        self.used = 0.0
        """When the last of them ended, on the monotonic clock."""

        self.up = False
        self.heard = time.monotonic()
        """When it last said anything."""

        self.watch: Watch | None = None
        self._form = terms.form
        verify: Any = dial.certificates() if base.startswith("https:") else False
        self.http = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=10),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            verify=verify,
            trust_env=proxied(base),
            follow_redirects=False,
        )

    def __repr__(self) -> str:
        return f"<server of job {self.job.address}>"

    async def __aenter__(self) -> Place:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.up = False
        self.gone.set()
        await self.http.aclose()

    async def look(self) -> bool:
        """Look whether it is up."""
        path = self._form.health.lstrip("/")
        headers = {"Authorization": f"Bearer {self.key}"}
        try:
            # What it says beyond that may have no end.
            async with (
                asyncio.timeout(PATIENT),
                self.http.stream("GET", f"{self.base}/{path}", headers=headers) as answer,
            ):
                self.up = answer.status_code == 200
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            self.up = False
        if self.up:
            self.heard = time.monotonic()
        return self.up

    def lost(self, patience: float) -> HostFailed | None:
        """Return why it is to be given up now, if it is."""
        silent = time.monotonic() - self.heard
        hope = self.watch.hope() if self.watch is not None else ""
        # Our own line may be cut; and a server at work on one long request may not answer others.
        if silent <= patience or (hope and (silent < STUCK or "chain" in hope)):
            return None
        return HostFailed(f"the server has not answered for {duration(int(silent))}")


@asynccontextmanager
async def hosted(
    client: Client,
    quote: Quote,
    terms: Terms,
    *,
    emit: Emit,
    control: Control,
    posted: Callable[[Job], None],
    taken: Callable[[Job], Awaitable[None]],
    more: Callable[[], Awaitable[None]],
) -> AsyncIterator[Place]:
    """
    Rent one host, and wait until its server is up; leaving settles the job, whatever happened.

    Args:
        client: Pays.
        quote: Market and timeout.
        terms: What runs.
        emit: Takes what happens until it is up, and `Settled`.
        control: Tells an interrupt from a failure.
        posted: Takes the job as soon as there is one.
        taken: Takes it once a host has it.
        more: Called again and again meanwhile: gives the job more time.

    Raises:
        NosanaError: The host failed, or what was raised inside; says where the money is.
        CancelledError: The user gave it up; the job is settled all the same.
    """
    network, jobs, chosen = client.network, client.jobs, client.settings
    emit(Waiting("publishing the part of the job that all may see"))
    token = networks.pin_token(network, chosen)
    cid = await ipfs.publish(network, jobs.payer.stub(), token=token)
    key = secrets.token_urlsafe(32)
    asked = forms.definition(terms.form, key=key, vram=terms.wanted.vram, secrets=terms.secrets)
    title = f"service {terms.name}"
    emit(Waiting("posting the job: waiting for the chain"))
    async with rent(jobs, quote, cid, title=title, emit=emit, control=control) as job:
        posted(job)
        emit(Waiting(f"waiting for a host of {quote.market.slug}: {quote.market.free}"))
        node = await wait_for_host(
            jobs, job, at_most=parse_seconds(chosen.wait), tell=lambda text: emit(Waiting(text))
        )
        emit(Running(job.address, node, jobs.who(quote.market.gpu)))
        began = time.monotonic()
        await taken(job)
        host = Node(network, node, jobs.payer.sign, job.address)
        async with _of_server(), watching(host, jobs, job) as watch:
            emit(Waiting("handing the job to the host"))
            await boot.deliver(host, asked, chosen, jobs.rpc)
            emit(Waiting(terms.form.starting))
            within = max(LOADING, parse_seconds(chosen.boot))
            name = await host.service(terms.form.port, within=boot.NAMED)
            name = name or service_id(operation=0, port=terms.form.port, job=job.address)
            place = Place(job, quote, network.address(name).rstrip("/"), key, terms)
            async with place:
                await _up(place, host, terms, emit, within, parse_seconds(chosen.answer), more)
                job.boot_seconds, job.begun = time.monotonic() - began, True
                place.watch = watch
                yield place
        await _end(client, job)


@asynccontextmanager
async def reopened(
    client: Client,
    terms: Terms,
    address: str,
    base: str,
    key: str,
    *,
    emit: Emit,
    control: Control,
    taken: Callable[[Job], Awaitable[None]],
) -> AsyncIterator[Place]:
    """
    Go on with a server that another process has left; leaving settles its job.

    Raises:
        NosanaError: It is over, or does not answer; says where the money is.
    """
    jobs = client.jobs
    entry = jobs.journal.find(address)
    if entry is None or entry.receipt is not None or not await jobs.is_open(jobs.recall(entry)):
        raise SessionLost(f"job {address} of service {terms.name} is over")
    listed = await client.markets()
    market = next((each for each in listed if each.address == entry.intent.market), None)
    if market is None:
        raise SessionLost(f"job {address} of service {terms.name} is of a market that is gone")
    quote = Quote(market=market, timeout=Seconds(entry.intent.timeout), pay=entry.intent.pay)
    job = jobs.recall(entry)
    run = await jobs.rpc.run_of(address, at=entry.intent.run)
    job.status, job.begun, job.node = "done", True, str(run.node) if run else ""
    jobs.journal.own(address, owner_of(os.getpid()))
    await taken(job)
    host = Node(client.network, job.node, jobs.payer.sign, address)
    async with settling(jobs, job, emit=emit, control=control):
        async with _of_server(), watching(host, jobs, job) as watch:
            place = Place(job, quote, base, key, terms)
            async with place:
                place.watch = watch
                while not await place.look():
                    if (failure := place.lost(allowed(client.settings))) is not None:
                        raise failure
                    await asyncio.sleep(SLOWEST)
                yield place
        await _end(client, job)


async def _end(client: Client, job: Job) -> None:
    """End a job on chain: no host ends a service by itself."""
    if not job.released:
        await client.jobs.settle(job)


async def _up(
    place: Place,
    host: Node,
    terms: Terms,
    emit: Emit,
    within: float,
    silence: float,
    more: Callable[[], Awaitable[None]],
) -> None:
    """
    Wait until a server is up; show what its host does until then.

    Raises:
        HostFailed: It does not come, or the host has fallen silent.
    """
    form = terms.form
    progress = boot.Progress(form.starting)
    showing = asyncio.create_task(boot.show(host, emit, progress))
    asking = asyncio.create_task(boot.ask(host, every=silence / 3))
    pause = FIRST
    try:
        while not await place.look():
            now = time.monotonic()
            if now - host.heard > silence:
                quiet = duration(int(now - host.heard))
                raise HostFailed(f"host {host.address} has not answered for {quiet}")
            if now - host.since > within:
                raise HostFailed(
                    f"{form.title} was not up on host {host.address} within {duration(within)}, "
                    f"which are paid: {form.health} does not answer 200",
                    hint="Name a path that does answer: --health /v1/models",
                )
            await more()
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, SLOWEST)
        place.job.keeps = _kept(form, progress)
    finally:
        for task in (showing, asking):
            task.cancel()
        await asyncio.gather(showing, asking, return_exceptions=True)


def _kept(form: forms.Form, progress: boot.Progress) -> Report | None:
    """
    Return what the host of a server has fetched for it, which it keeps for a day.

    Its log says how large it is, and whether it was there before; one that says nothing of it is
    held to have had it.
    """
    wants = forms.resources(form)
    if not wants:
        return None
    here, before = [], []
    for kind, name in wants:
        count, was_there = progress.fetched(name)
        here.append(Cached(kind, name, count))
        before += here[-1:] if was_there else []
    return Report(found=tuple(before), now=tuple(here), whole=False)


@asynccontextmanager
async def _of_server() -> AsyncIterator[None]:
    """Speak of a server where cells have a runner."""
    try:
        yield
    except BaseException as error:
        failure: BaseException = error
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
        if isinstance(failure, NosanaError) and not isinstance(failure, NodeError):
            text = str(failure)
            for theirs in ("the process of the cell", "the process of the runner", "the runner"):
                text = text.replace(theirs, "the server")
            failure.args = (text.replace("its cell", "it").replace("the cell", "the service"),)
            if any(word in failure.hint for word in ("cell", "Python", "--timeout")):
                failure.hint = ""
        if failure is error:
            raise
        raise failure from None
