"""
A host that has said hello, for as long as its job lasts: cells run there, one after another.

A cell without a session is a session with exactly one cell in it. The job belongs to the block that
`opening` has: it is settled when that is left, whatever happens inside. Cells may come from other
tasks; what ends the job meanwhile ends them as well.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..cell.held import Held
from ..errors import CellError, HostFailed, JobError, NosanaError, RemoteProtocolError, SessionLost
from ..events import Cell, Event, Said, SaidLate, Waiting
from ..line import conversation, stored, transfer
from ..line.control import Control
from ..line.hearing import Bookmark, Ended
from ..line.installing import Environment
from ..line.link import Link
from ..links.keep import links_in
from ..market.markets import Quote
from ..money.jobs import Job
from ..node import Node
from ..settings import Settings
from ..travel.landing import Wanted
from ..travel.light import make_ready
from ..travel.load import NO_CODE, Load
from ..travel.prepare import Prepared
from ..travel.secrecy import NO_SECRETS, Secrets, Trickle
from ..wire import seal
from ..wire.messages import Hello, Interrupt, Lease, Stream
from .attesting import Attests
from .orders import Order

__all__ = ["ANEW", "TURN", "Emit", "Order", "Session"]

ANEW = "Open another with %nosana up, and run again the cells that made what this one needs."

TURN = "waiting for another cell of the session to end"

Emit = Callable[[Event], None]


@dataclass(kw_only=True, slots=True, eq=False)
class Session:
    """A job whose runner is there."""

    job: Job
    quote: Quote
    order: Order
    host: Node
    link: Link
    hello: Hello
    settings: Settings
    kept: bool = False
    """Whether another task holds its block open, and is to hear of what ends it."""

    saw: Callable[[Mapping[str, str | None]], None] | None = None
    """Takes what the image has."""

    url: str = ""
    """Where the runner listens."""

    key: seal.Key = field(repr=False)
    token: bytes = field(repr=False)
    attests: Attests
    opened: float = field(default_factory=time.time)
    """Unix time of the runner's hello."""

    used: float = field(default_factory=time.monotonic)
    """When a cell has last ended here, on the monotonic clock."""

    cells: int = 0
    """Cells that were begun."""

    busy: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the job is settled, or nobody knows how to."""

    failure: NosanaError | None = None
    """Why it has ended, if not because it was to."""

    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _broken: asyncio.Future[NosanaError] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    _talking: asyncio.Task[object] | None = None
    _environment: Environment = field(init=False)
    _secrets: Secrets = NO_SECRETS
    """Of all cells so far: what one was given, a later one can show."""

    _lease: Lease | None = None
    """What the runner was told of it."""

    held: Held = field(init=False)
    """The names that live there."""

    def __post_init__(self) -> None:
        self._environment = Environment(self.link, self.saw)
        self.held = Held(self.job.address)

    async def run(
        self,
        cell: Cell | Prepared,
        emit: Emit,
        control: Control | None = None,
        mark: Bookmark | None = None,
        begins: Callable[[Prepared], None] | None = None,
    ) -> Ended:
        """
        Run a cell here, after those that came before it.

        Args:
            cell: What to run, or what was made of it.
            emit: Takes what happens.
            control: Stops it.
            mark: Under which name it runs, for who comes later.
            begins: Takes what was made of it, right before its runner is told to run it.

        Raises:
            NosanaError: The path broke. What the cell itself raises is among the events.
            CancelledError: The user gave the cell up.
        """
        control = control or Control()
        if waited := self._turn.locked():
            emit(Waiting(TURN))
        async with self._turn:
            if waited:
                emit(Waiting(""))
            self.check()
            if isinstance(cell, Prepared):
                prepared, namespace = cell, None
            else:
                namespace = cell.namespace
                self.held.forget(namespace)
                prepared = await make_ready(cell, self.settings, self.held)
                for note in prepared.notes:
                    emit(Said(Stream("stderr", f"{note}\n")))
            conversation.check(self.hello, prepared.load, emit, again=self.cells > 0)
            begin = partial(begins, prepared) if begins else None
            ended = await self._followed(
                self._converse(prepared.load, emit, control, mark, begin), control
            )
            if namespace is not None:
                self._learn(prepared, ended, namespace)
            return replace(ended, changed=prepared.changes)

    async def fetch(self, name: str) -> Ended:
        """
        Bring back the value of a name, however large. It may be none that can come back.

        Raises:
            NosanaError: The path broke.
        """
        return await self._aside((name,))

    async def survey(self) -> None:
        """Learn which names live there, where other processes have run cells."""
        ended = await self._aside(())
        self.held.renewed(ended.bound, {})

    async def _aside(self, returns: tuple[str, ...]) -> Ended:
        """Bring back names with a cell of no code, which leaves no trace."""
        load = replace(NO_CODE, returns=returns, wanted=returns, most=0)
        async with self._turn:
            self.check()
            talk = self._converse(load, lambda _: None, control := Control(), None, None)
            return await self._followed(talk, control)

    async def resume(
        self,
        mark: Bookmark,
        emit: Emit,
        control: Control,
        *,
        returns: Sequence[str],
        gets: Wanted | None,
    ) -> Ended:
        """
        Follow a cell that another process has begun here, from the place of its bookmark on.

        Raises:
            NosanaError: The path broke. What the cell itself raises is among the events.
            CancelledError: The user gave the cell up.
        """
        async with self._turn:
            self.check()
            mark.witness = self.attests.recall(mark.cell)
            with self._secrets.hiding(emit) as hidden:
                talk = self._taken_up(mark, hidden, control, returns, gets)
                return await self._followed(talk, control)

    async def _taken_up(
        self, mark: Bookmark, emit: Emit, control: Control, returns: Sequence[str],
        gets: Wanted | None,
    ) -> Ended:  # fmt: skip
        control.talking = True
        await self.lease(detached=control.detached)
        return await self._heard(
            conversation.attach(self.link, mark, emit, returns=returns, gets=gets), control
        )

    async def lease(self, *, detached: bool) -> None:
        """Say how long the runner is to wait for a client, if that is another time than before."""
        terms = stored.lease(self.settings, self.job.address, detached=detached)
        before = self._lease or stored.lease(self.settings, self.job.address, detached=False)
        if terms != before:
            self._lease = terms
            await self.link.send(terms)

    def _learn(self, prepared: Prepared, ended: Ended, namespace: Mapping[str, Any]) -> None:
        """Note which names live there now. What came back is put into its place later."""
        for name, value in prepared.sent.items():
            self.held.take(name, value, namespace)
        found = {*ended.values, *ended.handles, *ended.bound}
        self.held.renewed(found, namespace)
        self.held.drop(ended.gone)

    def know(self, secrets: Secrets) -> None:
        """Hide from now on what others have given to cells here."""
        self._secrets = secrets.after(self._secrets)

    def listen(self, take: Callable[[SaidLate], None]) -> None:
        """Pass on, from now on and at any time, what cells say that are over."""
        self.link.late = Trickle(lambda: self._secrets, take).take

    def check(self) -> None:
        """
        See that the job still runs.

        Raises:
            SessionLost: It does not.
        """
        if self.ended.is_set() or self._broken.done():
            raise self._lost()

    def _lost(self, error: NosanaError | None = None) -> SessionLost:
        """Return what to raise in a cell that comes, or came, too late."""
        given_up = self._broken.result() if self._broken.done() else None
        why = self.failure or error or given_up
        told = SessionLost(
            f"the session on job {self.job.address} is over: {why or 'it was ended'}",
            hint=ANEW,
            money=why.money if why else "",
        )
        told.receipt = self.job.receipt
        told.why = str(why or "it was ended")
        return told

    def lose(self, error: NosanaError) -> None:
        """Give the job up: whoever holds its block open ends it."""
        if not self._broken.done():
            self._broken.set_result(error)

    async def lost(self) -> NosanaError:
        """Wait until the line to the runner is of no use any more; return why."""
        while not self._broken.done():
            given_up = asyncio.ensure_future(self.link.over.wait())
            both: set[asyncio.Future[Any]] = {self._broken, given_up}
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                given_up.cancel()
            while self.busy and not self._broken.done():  # What is left of its cell is fetched.
                await asyncio.wait({self._broken}, timeout=0.1)
            if self.link.lost is not None:
                self.lose(self.link.lost)
        return self._broken.result()

    def close(self, failure: NosanaError | None = None) -> None:
        """Note that the job is over, and end the cell that runs."""
        self.failure = failure
        self.held.alive = False
        self.ended.set()
        if self._talking is not None:
            self._talking.cancel()

    async def _followed(self, talk: Coroutine[Any, Any, Ended], control: Control) -> Ended:
        """Follow a cell, and let the block that holds the job know if that cannot go on."""
        self.busy = True
        self._talking = asyncio.current_task() if self.kept else None
        try:
            return await talk
        except asyncio.CancelledError:
            # Not the user, but the end of the job may have cancelled it.
            over = self.ended.is_set() and not control.interrupted
            given_up = control.talking and not self.job.released
            if not self.kept or not (over or given_up):
                raise
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
            if not over:
                # What it was in the middle of cannot be taken up again.
                self.lose(HostFailed("a cell did not heed its interrupt, and was given up"))
                await self._settled()
            raise self._lost() from None
        except (JobError, RemoteProtocolError) as error:
            if not self.kept:
                raise
            # The money is known when the job is settled.
            self.lose(error)
            await self._settled()
            raise self._lost(error) from None
        finally:
            self.busy = False
            self._talking = None
            self.used = time.monotonic()

    async def _settled(self) -> None:
        """Wait until the block that holds the job has ended."""
        self._talking = None  # There is nothing to be cancelled any more.
        await self.ended.wait()

    async def _converse(
        self,
        load: Load,
        emit: Emit,
        control: Control,
        mark: Bookmark | None,
        begin: Callable[[], None] | None,
    ) -> Ended:
        """Install, send, run, and take what comes back, without the secrets that went there."""
        self._secrets = load.secrets.after(self._secrets)
        with self._secrets.hiding(emit) as hidden:
            ended = await self._talk(load, hidden, control, mark, begin)
        return replace(ended, handles=self._secrets.handles(ended.handles))

    async def _talk(
        self,
        load: Load,
        emit: Emit,
        control: Control,
        mark: Bookmark | None,
        begin: Callable[[], None] | None,
    ) -> Ended:
        link = self.link
        control.talking = True
        if self.kept:
            control.soft = lambda: link.send(Interrupt())
        link.patience.tell = lambda text: emit(Waiting(text))
        try:
            buffers = await self._ready(load, emit, control)
            await self.lease(detached=control.detached)
        finally:
            link.patience.tell = control.soft = None
        if not self.kept or load.packages or load.extras or load.buffers:
            emit(Waiting(""))
        self.job.begun = True
        self.cells += bool(load.code)
        if load.code:
            mark = self.attests.marked(mark or Bookmark(), load, buffers)
        if begin is not None:
            begin()
        return await self._heard(conversation.execute(link, load, emit, mark), control)

    async def _heard(self, talk: Coroutine[Any, Any, Ended], control: Control) -> Ended:
        """Let the user interrupt the cell while it runs; note what it used."""
        control.soft = lambda: self.link.send(Interrupt())
        try:
            ended = await talk
        finally:
            control.soft = None
        self.job.keeps = ended.keeps or self.job.keeps
        self.job.cell_seconds += ended.seconds
        self.job.saved |= links_in(ended.values)
        self.job.peaked(memory=ended.peak_memory, card=ended.peak_card)
        return ended

    async def _ready(self, load: Load, emit: Emit, control: Control) -> list[bytes]:
        """
        Install and send what a cell needs; return the digests of its buffers.

        Raises:
            CancelledError: The user has interrupted that. The session can go on.
        """
        try:
            await self._environment.prepare(load, emit)
        except CellError:
            if not (self.kept and control.interrupted):
                raise
        if self.kept and control.interrupted:
            control.talking = False
            raise asyncio.CancelledError
        buffers = await transfer.upload(
            self.link, load.buffers, emit, unpacks=self.hello.unpacks, table=load.table
        )
        if self.kept and control.interrupted:
            # The runner takes with a cell of no code what was sent for this one.
            nothing = replace(NO_CODE, buffers=load.buffers)
            await conversation.execute(self.link, nothing, lambda _: None)
            control.talking = False
            raise asyncio.CancelledError
        return buffers
