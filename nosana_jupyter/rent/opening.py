"""
A host, from its rent to a runner that has said hello, and back: one block that settles its job.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial

from .. import ipfs
from ..errors import SessionLost
from ..events import Running, Waiting
from ..line import conversation, patience, stored
from ..line.control import Control
from ..line.link import Link
from ..market.markets import Quote
from ..money.jobs import Job, Jobs
from ..money.journal import PLAIN, owner_of
from ..network import Network
from ..node import Node
from ..settings import Settings
from ..travel import pythons
from ..units import parse_seconds
from ..wire import launch, seal
from . import claims, sources
from .attesting import Attests
from .boot import deliver, meet, runner_url
from .logbook import SessionRecord
from .rental import FINISH, rent, settling
from .session import ANEW, Emit, Order, Session
from .waiting import wait_for_host
from .watch import collect, watching

REACH = 20.0
"""Seconds in which the runner of a session is reached that another process has opened."""


@asynccontextmanager
async def hosted(
    network: Network,
    jobs: Jobs,
    settings: Settings,
    quote: Quote,
    order: Order,
    *,
    pin_token: str,
    emit: Emit,
    control: Control,
    posted: Callable[[Job], None],
    kept: bool = False,
) -> AsyncIterator[Session]:
    """
    Rent one host, and meet its runner; leaving settles the job, whatever happened inside.

    Args:
        network: Where.
        jobs: Of the wallet that pays.
        settings: How long to wait for what.
        quote: Market and timeout.
        order: What is rented.
        pin_token: Of the pin service.
        emit: Takes what happens until the runner is there, and `Settled`.
        control: Tells an interrupt from a failure.
        posted: Takes the job as soon as there is one.
        kept: Whether cells come from other tasks than the one that holds the block open.

    Raises:
        NosanaError: The host failed, or what was raised inside; says where the money is.
        CancelledError: The user gave it up; the job is settled all the same.
    """
    emit(Waiting("publishing the part of the job that all may see"))
    cid, runner = await asyncio.gather(
        ipfs.publish(network, jobs.payer.stub(), token=pin_token),
        asyncio.to_thread(sources.packed),
    )
    key, token = seal.Key(), os.urandom(32)
    emit(Waiting("posting the job: waiting for the chain"))
    async with rent(jobs, quote, cid, title=order.title, emit=emit, control=control) as job:
        posted(job)
        emit(Waiting(f"waiting for a host of {quote.market.slug}: {quote.market.free}"))
        node = await wait_for_host(
            jobs, job, at_most=parse_seconds(settings.wait), tell=lambda text: emit(Waiting(text))
        )
        emit(Running(job.address, node, jobs.who(quote.market.gpu)))
        asked = launch.cell_definition(
            image=order.image, client_key=key.public, token=token, vram=order.wanted.vram,
            python=pythons.needed(order.has_code), lease=int(parse_seconds(settings.lease)),
            settings=launch.installer_settings(order.environment), sources=runner,
            cache_key=jobs.payer.cache_key(node),
        )  # fmt: skip
        taken = time.monotonic()
        host = Node(network, node, jobs.payer.sign, job.address)
        async with watching(host, jobs, job) as watch:
            emit(Waiting("handing the job to the host"))
            await deliver(host, asked, settings, jobs.rpc)
            emit(Waiting("waiting for the runner to start"))
            url = await runner_url(host, network, asked)
            async with Link(
                url, key, token, job.address, patience=patience.allowed(settings),
                room=control.room,
            ) as link:  # fmt: skip
                hello = await meet(link, host, emit, settings)
                claims.check(
                    hello, quote.market, order.wanted, stand_in=network.stand_in, cuda=quote.cuda
                )
                job.boot_seconds = time.monotonic() - taken
                watch.guide(link)
                link.left = partial(stored.fetch, settings, host, key, token=token, job=job.address)
                await link.send(stored.lease(settings, job.address, detached=False))
                place = order.image if hello.isolated else PLAIN
                async with aclosing(Attests(jobs, job, order, hello)) as attests:
                    yield Session(
                        saw=partial(jobs.journal.saw, place), attests=attests,
                        job=job, quote=quote, order=order, host=host, link=link, hello=hello,
                        settings=settings, kept=kept, url=url, key=key, token=token,
                    )  # fmt: skip
                if not job.released:
                    emit(Waiting("waiting for the host to end the job"))
                    await link.goodbye()
        if not job.released:
            await collect(host, within=FINISH)


@asynccontextmanager
async def reopened(
    network: Network,
    jobs: Jobs,
    settings: Settings,
    quote: Quote,
    order: Order,
    record: SessionRecord,
    keys: tuple[bytes, bytes],
    *,
    emit: Emit,
    control: Control,
) -> AsyncIterator[Session]:
    """
    Meet the runner of a session that another process has opened; who kept it is told.

    Args:
        network: Where.
        jobs: Of the wallet that pays.
        settings: How long to wait for what.
        quote: Price of the session.
        order: What was rented.
        record: What is known of it.
        keys: Secret key and token of its job.
        emit: Takes `Settled`.
        control: Tells an interrupt from a failure.

    Raises:
        NosanaError: It is over, or its runner does not answer; says where the money is.
    """
    entry = jobs.journal.find(record.job)
    if entry is None or entry.receipt is not None:
        raise SessionLost(f"job {record.job} of session {record.name} is over", hint=ANEW)
    job = jobs.recall(entry)
    job.status, job.begun, job.node = "done", True, record.node
    jobs.journal.own(record.job, owner_of(os.getpid()))
    host = Node(network, record.node, jobs.payer.sign, job.address)
    key, token = seal.Key(keys[0]), keys[1]
    async with settling(jobs, job, emit=emit, control=control):
        async with (
            watching(host, jobs, job) as watch,
            Link(
                record.url, key, token, job.address, first=REACH,
                patience=patience.allowed(settings),
            ) as link,
        ):  # fmt: skip
            hello = await conversation.greet(link)
            watch.guide(link)
            link.left = partial(stored.fetch, settings, host, key, token=token, job=job.address)
            await link.send(stored.lease(settings, job.address, detached=False))
            place = order.image if hello.isolated else PLAIN
            async with aclosing(Attests(jobs, job, order, hello)) as attests:
                yield Session(
                    saw=partial(jobs.journal.saw, place), attests=attests,
                    job=job, quote=quote, order=order, host=host, link=link, hello=hello,
                    settings=settings, kept=True, url=record.url, key=key, token=token,
                    opened=record.opened,
                )  # fmt: skip
            if not job.released:
                await link.goodbye()
        if not job.released:
            await collect(host, within=FINISH)
