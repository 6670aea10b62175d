"""
A cell whose end nobody has heard: found in the logbook, and followed from where its runner is, or
from what that has left behind.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ..errors import HostFailed, UsageError
from ..events import Running, Said, Waiting
from ..line import conversation, patience, stored
from ..line.control import Control
from ..line.hearing import Bookmark, Ended
from ..line.link import Link
from ..links.keep import links_in
from ..money.jobs import Job
from ..money.journal import DETACHED, owner_of
from ..node import Node
from ..outcome import Outcome
from ..rent import attempts, attesting, noting
from ..rent.logbook import CellRecord, Logbook, SessionRecord, mine
from ..rent.rental import FINISH, settling
from ..rent.session import Emit
from ..rent.watch import collect, watching
from ..travel import secret_store
from ..travel.secrecy import NO_SECRETS, Secrets
from ..wire import seal
from ..wire.messages import Hello, Interrupt, Stream
from ..wire.parcel import Kept

if TYPE_CHECKING:
    from ..client import Client
    from ..rent.standing import View

REACH = 20.0
"""Seconds in which a runner is reached that another process has spoken to."""

FIRST_LOOK = 1.5
LOOK = 0.5
"""Seconds between two looks at what a host has kept, while its runner does not answer."""

KEPT = 86_400.0
"""Seconds for which a cell is remembered whose end nobody has heard."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A job that can be attached to."""

    session: SessionRecord
    cells: tuple[CellRecord, ...]
    """Those whose end nobody has heard, oldest first."""

    keys: tuple[bytes, bytes] = field(repr=False)
    """Secret key and token of the job."""

    is_open: bool
    """Whether it may still run."""

    @property
    def followed(self) -> bool:
        """Whether another process that lives follows it."""
        return self.session.kept_elsewhere

    @property
    def detached(self) -> bool:
        return self.session.detached or any(each.detached for each in self.cells)

    def answers_to(self, name: str) -> bool:
        """Say whether a user may mean it: by its name, its job or a cell."""
        session = self.session
        cells = any(each.cell.startswith(name) for each in self.cells)
        return cells or name == session.name or (len(name) >= 4 and session.job.startswith(name))

    @property
    def state(self) -> str:
        """How it stands, in words."""
        if not self.is_open:
            return "over, and nobody has fetched what it said"
        if self.followed:
            return "another kernel follows it"
        return "detached" if self.detached else "nobody follows it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attached:
    """What came of an attachment."""

    ends: tuple[tuple[CellRecord, Outcome], ...]
    """Cells whose end was heard."""

    session: View | None = None
    """The session that is kept here from now on."""


def find(client: Client, logbook: Logbook) -> list[Found]:
    """Return what this wallet can attach to, newest first: cells, and sessions that are open."""
    network, account = client.network.name, client.jobs.payer.account
    open_ = {entry.intent.job for entry in client.journal.open_jobs(network, account)}
    found = []
    for record in logbook.remembered(network, account):
        keys = logbook.keys(record.job)
        cells = tuple(each for each in logbook.cells(record.job) if each.unfetched)
        late = time.time() - record.opened > KEPT + record.most
        if keys is None or (record.job not in open_ and (not cells or late)):
            logbook.end(record.job)
        elif cells or not record.single:
            is_open = record.job in open_
            found.append(Found(session=record, cells=cells, keys=keys, is_open=is_open))
    return found[::-1]


def pick(found: list[Found], name: str) -> list[Found]:
    """
    Return what a user may mean; without a name, what nobody else follows.

    Raises:
        UsageError: There is nothing of this name, or nothing at all.
    """
    if name:
        meant = [each for each in found if each.answers_to(name)]
    else:
        meant = [each for each in found if not each.followed or each.detached]
        meant = [each for each in meant if each.is_open] or meant[:1]
    if not meant:
        raise UsageError(
            f"there is nothing called {name!r} to attach to" if name
            else "there is nothing to attach to: no cell goes on that nobody follows",
            hint="See %nosana sessions and %nosana jobs.",
        )  # fmt: skip
    return meant


async def alone(
    client: Client, found: Found, emit: Emit, control: Control, *, peek: bool
) -> Outcome:
    """
    Follow the only cell of a job to its end, and settle the job.

    Args:
        client: Of the wallet that pays.
        found: The job.
        emit: Takes what happens.
        control: Stops the cell.
        peek: Whether it goes on when it is let go.

    Raises:
        NosanaError: The path broke, or nothing is left of the cell. What it raises itself is
            among the events.
        CancelledError: The user gave it up, or let it go.
    """
    record, cell = found.session, found.cells[-1]
    entry = client.journal.find(record.job)
    if entry is None:
        raise UsageError(f"the journal does not know job {record.job}", hint="See %nosana jobs.")
    job = client.jobs.recall(entry)
    job.status, job.begun, job.node = "done", True, record.node
    logbook = Logbook(client.journal.path)
    detached = cell.detached or peek
    client.journal.own(job.address, DETACHED if detached else owner_of(os.getpid()))
    logbook.change(msgspec.structs.replace(record, owner=mine(), detached=detached))

    def leave() -> None:
        job.released = True

    control.detached, control.leaving = detached, leave if detached else None
    control.body, control.parting = asyncio.current_task(), leave
    secrets = known_secrets(cell.secrets, emit)
    ended: Ended | None = None
    ran_by = client.jobs.who(record.gpu or "its host")
    emit(Running(job.address, record.node, ran_by, title=cell.title, secret=bool(cell.secrets)))
    try:
        with secrets.hiding(emit) as hidden:
            ended = await _followed(client, found, job, hidden, control, detached=detached)
    finally:
        control.body = control.leaving = control.parting = None
        if ended is not None or not job.released:
            state = ended.status if ended else "interrupted" if control.interrupted else "lost"
            logbook.note(msgspec.structs.replace(cell, state=state))
            logbook.end(job.address)
        logbook.close()
    return Outcome(
        job=job.address,
        receipt=job.receipt or entry.receipt,
        status=ended.status,
        values=ended.values,
        handles=secrets.handles(ended.handles),
        changed=cell.changes,
        landed=ended.landed,
        later=ended.later,
    )


async def _followed(
    client: Client, found: Found, job: Job, emit: Emit, control: Control, *, detached: bool
) -> Ended:
    """Hear the cell from its runner, or from what that has left; settle the job."""
    record, cell = found.session, found.cells[-1]
    mark = Bookmark(cell=cell.cell, witness=attesting.recall(client.journal.path, cell.cell))
    key, token = seal.Key(found.keys[0]), found.keys[1]
    host = Node(client.network, record.node, client.jobs.payer.sign, job.address)
    async with settling(client.jobs, job, emit=emit, control=control):
        emit(Waiting("looking for its runner"))
        left = partial(stored.fetch, client.settings, host, key, token=token, job=job.address)
        link = Link(
            record.url, key, token, job.address, first=REACH, room=control.room,
            patience=patience.allowed(client.settings),
        )  # fmt: skip
        async with link:
            met = await _met(client, link, job, left) if found.is_open else []
            if not isinstance(met, Hello):
                kept = met or await left()
                with attempts.noted(client.hosts, record.node):
                    ended = await _recalled(kept, cell, mark, emit)
                job.status = ended.closes_as
                return ended
            emit(Waiting(""))
            async with watching(host, client.jobs, job) as watch:
                watch.guide(link)
                link.left = left
                await link.send(stored.lease(client.settings, job.address, detached=detached))
                control.talking = True
                control.soft = lambda: link.send(Interrupt())
                try:
                    with attempts.noted(client.hosts, record.node):
                        ended = await conversation.attach(
                            link, mark, emit,
                            returns=cell.returns, gets=noting.wanted(cell),
                        )  # fmt: skip
                finally:
                    control.soft = None
                await link.goodbye()
        job.cell_seconds, job.peak_memory = ended.seconds, ended.peak_memory
        job.peak_card, job.status = ended.peak_card, ended.closes_as
        job.saved = links_in(ended.values)
        await collect(host, within=FINISH)
    return ended


async def _met(
    client: Client, link: Link, job: Job, left: Callable[[], Awaitable[list[Kept]]]
) -> Hello | list[Kept]:
    """
    Wait for the runner, or for what it has left; nothing if the job is closed.

    Raises:
        HostFailed: Neither answers. The job is left as it is.
    """
    if not await client.jobs.is_open(job):
        return []
    greeting = asyncio.ensure_future(conversation.greet(link))
    pause = FIRST_LOOK
    try:
        while not (await asyncio.wait([greeting], timeout=pause))[0]:
            pause = LOOK
            if kept := await left():
                return kept
        return greeting.result()
    except HostFailed as error:
        job.released = True
        error.hint = (
            f"Try %nosana attach {job.address[:12]} again in a moment; its job goes on meanwhile. "
            f"To end it: %nosana stop {job.address[:12]}"
        )
        raise
    finally:
        greeting.cancel()


async def _recalled(left: list[Kept], cell: CellRecord, mark: Bookmark, emit: Emit) -> Ended:
    """
    Hear a cell from what its runner has left behind.

    Raises:
        HostFailed: It is not in there, or had not ended.
    """
    for kept in left:
        if kept.cell == cell.cell:
            return await stored.recall(
                kept, mark, emit,
                returns=cell.returns, gets=noting.wanted(cell),
            )  # fmt: skip
    raise HostFailed(
        f"the runner of the cell {cell.title!r} has ended, and nothing is left of what it said",
        hint="A host keeps that for a while, some for a minute. For longer, name a place of your "
        "own: %nosana config store ADDRESS",
    )


def known_secrets(names: Iterable[str], emit: Emit) -> Secrets:
    """Return the secrets of cells as far as they are found here; say which are not."""
    values: dict[str, str] = {}
    missing = []
    for name in names:
        try:
            values |= secret_store.find([name])
        except UsageError:
            missing.append(name)
    if missing:
        text = (
            f"What --secret {', '.join(missing)} held is not known here: outputs are shown as they "
            "come, and may hold it.\n"
        )
        emit(Said(Stream("stderr", text)))
    return Secrets(values) if values else NO_SECRETS
