"""
A session that stays open between cells, and the task that keeps it.

The task holds the block of the session's job open. It ends the job when no cell has run for long
enough, and gives it more time while that may be wanted: so that little is deposited at once. What
ended it otherwise is told to the next cell, which is never run elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..errors import NosanaError, SessionLost
from ..events import Cell, Event, Said, SaidLate, Waiting
from ..line.control import Control
from ..money.bills import CellBill, worth
from ..money.journal import DETACHED
from ..money.receipt import Receipt
from ..outcome import Outcome
from ..rent.logbook import CellRecord, Logbook, SessionRecord, mine
from ..rent.prolonging import Prolonging
from ..rent.session import Session
from ..rent.standing import Terms, View, refuse
from ..units import Seconds, duration, parse_seconds
from ..wire.messages import Stream
from . import serving

if TYPE_CHECKING:
    from ..client import Client

log = logging.getLogger("nosana_jupyter.sessions.kept")

LOOK = 30.0
"""Most seconds between two looks at the clock."""

ENDED = "it was ended"
"""Why a session is over that was to be."""

Emit = Callable[[Event], None]


class Kept:
    """
    One session, and the task that keeps it.

    Args:
        terms: What was asked for.
        client: Pays.
        logbook: Remembers it.
        late: Takes what cells say that are over.
    """

    def __init__(
        self,
        terms: Terms,
        client: Client,
        logbook: Logbook,
        late: Callable[[SaidLate], None] = lambda _: None,
    ) -> None:
        self.terms = terms
        self.name = terms.name
        self.client = client
        self.session: Session | None = None
        self.failure: NosanaError | None = None
        self.over = ""
        """Why it is over, as a sentence."""

        self.time = Prolonging(
            client.jobs, client.settings, name=f"session {terms.name}",
            step=terms.order.timeout, most=terms.most, max_cost=terms.order.max_cost,
        )  # fmt: skip
        self.detached = False
        """Whether it goes on when this process ends."""

        self.released = False
        """Whether it was let go of, and another may have its name."""

        self.resumed: list[tuple[CellRecord, Outcome]] = []
        """Cells that another process had begun, and what came of them."""

        self.secret = False
        """Whether a cell there was given secrets."""

        self.bills: list[CellBill] = []
        self.emit: Emit = lambda _: None
        """Takes what happens to the job outside of cells."""

        self.task: asyncio.Task[None] | None = None
        self.logbook = logbook
        self._late = late
        self._closing = asyncio.Event()
        self.ended = 0.0
        """Unix time of its end. 0: it is not over."""

        self._record: SessionRecord | None = None

    # The task

    async def keep(
        self,
        block: AbstractAsyncContextManager[Session],
        opened: asyncio.Future[None],
        *,
        again: bool = False,
    ) -> None:
        """
        Hold the job's block open until it is to end, or does.

        Args:
            block: Rents the host, or meets the runner of a job that was left; settles the job.
            opened: Told when there is a session.
            again: Whether others have run cells there.
        """
        try:
            async with block as session:
                self.session = session
                session.listen(self._late)
                await self._note(session)
                if again:
                    await session.survey()
                opened.set_result(None)
                await self._watch(session)
        except NosanaError as error:
            self._fail(error, opened)
        except asyncio.CancelledError:
            opened.cancel()
            raise
        finally:
            if self.session is not None:
                self.over = self.over or ENDED
                self.ended = time.time()
                self.session.close(self.failure)
                if not self.session.job.released:
                    self.logbook.end(self.session.job.address)

    def _fail(self, error: NosanaError, opened: asyncio.Future[None]) -> None:
        self.failure = error
        status = self.session.job.status if self.session is not None else ""
        self.over = {
            "timeout": f"its {duration(self.time.paid)} were over"
            + (f", and it got no more: {self.time.trouble}" if self.time.trouble else ""),
            "stopped": "somebody with this wallet has stopped or swept its job",
        }.get(status, str(error))
        if not opened.done():
            opened.set_exception(error)

    async def _note(self, session: Session) -> None:
        job = session.job
        run = await self.client.rpc.run_of(job.address, at=job.intent.run)
        self.time.began = float(run.time) if run else session.opened
        wanted = self.terms.order.wanted
        record = SessionRecord(
            job=job.address,
            name=self.name,
            network=job.intent.network,
            wallet=job.intent.wallet,
            node=job.node,
            url=session.url,
            opened=session.opened,
            step=self.terms.order.timeout,
            began=self.time.began,
            most=self.terms.most,
            idle=self.terms.idle,
            lease=parse_seconds(session.settings.lease),
            max_cost=self.terms.order.max_cost,
            image=self.terms.order.image,
            vram=wanted.vram,
            gpu=wanted.gpu,
            market=wanted.market,
            owner=mine(),
        )
        self._record = record
        self.time.paid = Seconds(session.job.intent.timeout)
        self.logbook.open(record, secret=session.key.secret(), token=session.token)

    async def _watch(self, session: Session) -> None:
        """Wait until the session is to end; give it more time meanwhile."""
        closing = asyncio.ensure_future(self._closing.wait())
        lost = asyncio.ensure_future(session.lost())
        try:
            while True:
                await asyncio.wait(
                    {closing, lost},
                    timeout=self._pause(session),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if lost.done():
                    raise lost.result()
                if closing.done():
                    return
                if not session.busy and self.idle >= self.terms.idle:
                    self.over = f"no cell ran for {duration(self.terms.idle)}"
                    return
                if self.time.wanted(math.inf if session.busy else self.terms.idle - self.idle):
                    await self.time.extend(session.job.address)
        finally:
            closing.cancel()
            lost.cancel()

    @property
    def idle(self) -> float:
        """Seconds without a cell."""
        session = self.session
        return 0.0 if session is None or session.busy else time.monotonic() - session.used

    def _pause(self, session: Session) -> float:
        """Return after how many seconds there may be something to do."""
        pauses = [LOOK, self.time.pause]
        if not session.busy:
            pauses.append(self.terms.idle - self.idle)
        return max(0.02, min(pauses))

    async def cover(self, seconds: Seconds, emit: Emit) -> None:
        """See that a cell has so much time, which nobody may be there to prolong."""
        session = self.session
        lacks = Seconds(math.ceil(seconds - self.time.left))
        if session is not None and lacks > 0 and self.time.paid < self.terms.most:
            emit(Waiting("asking for more time for the session: waiting for the chain"))
            await self.time.extend(session.job.address, Seconds(max(lacks, 60)))

    def tell_time(self, emit: Emit) -> None:
        """Say so where the session gets no more time."""
        if self.time.trouble:
            left = duration(max(0, int(self.time.left)))
            text = f"The session has {left} left, and gets no more: {self.time.trouble}\n"
            emit(Said(Stream("stderr", text)))

    @property
    def is_over(self) -> bool:
        """Whether it is over, and only waits to be let go."""
        return self.task is None or self.task.done()

    # Cells

    async def run(self, cell: Cell, emit: Emit, control: Control) -> Outcome:
        """Run a cell in the session: see `serving`."""
        return await serving.run(self, cell, emit, control)

    def gone(self, error: SessionLost | None = None) -> SessionLost:
        """Return what to raise in a cell that came too late, or was there when it ended."""
        return serving.gone(self, error)

    @property
    def receipt(self) -> Receipt | None:
        """What it cost, once it is over."""
        return self.session.job.receipt if self.session is not None else None

    def leave(self) -> None:
        """Let go of the session and let its job go on: its runner ends it if nobody comes."""
        session, record = self.session, self._record
        if session is None or record is None or session.ended.is_set():
            return
        self.logbook.change(replace(record, owner="", detached=True))
        self.client.journal.own(record.job, DETACHED)
        self.part()

    def part(self) -> None:
        """Let its job go on, as if this process had been killed: nobody follows it then."""
        if self.session is not None:
            self.over = "it was left to go on by itself"
            self.session.job.released = True
            self._closing.set()

    @property
    def is_left(self) -> bool:
        """Whether its job goes on without this process."""
        return self.session is not None and self.session.job.released

    def close(self) -> None:
        """Let the session end."""
        self._closing.set()

    async def end(self, emit: Emit | None = None) -> None:
        """End the session, and wait until its job is settled."""
        if emit is not None:
            self.emit = emit
        self.close()
        if self.task is not None:
            await asyncio.wait([self.task])

    def serves(self, cell: Cell) -> None:
        """
        See that a cell gets here what it asks for.

        Raises:
            UsageError: It does not; says what differs.
        """
        if self.session is not None:
            refuse(self.terms, self.session.quote.market, cell, self.session.settings)

    def view(self) -> View:
        """Say how it stands."""
        session = self.session
        if session is None:
            return View(
                name=self.name, job="", node="", gpu="", state=self.over or "opening", opened=0,
                left=self.terms.most, idle=0, most=self.terms.most, ends_idle=self.terms.idle,
                spent="", cells=0,
            )  # fmt: skip
        over = session.ended.is_set()
        receipt = self.receipt
        return View(
            name=self.name,
            job=session.job.address,
            node=session.job.node,
            gpu=session.quote.market.gpu,
            most=self.terms.most,
            state=f"over: {self.over.partition(chr(10))[0]}"
            if over
            else "busy"
            if session.busy
            else "open",
            over=over,
            opened=session.opened,
            left=max(0.0, self.terms.most - self.time.passed),
            idle=self.idle,
            ends_idle=self.terms.idle,
            spent=_spent(receipt) if receipt else worth(session.quote, self.time.passed),
            cells=session.cells,
            trouble=self.time.trouble,
        )


def _spent(receipt: Receipt) -> str:
    return "not settled" if receipt.status == "unsettled" else receipt.spent
