"""
What is written down of a cell when its host is told to run it, so that who comes later finds it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from msgspec.structs import replace

from ..errors import HostFailed
from ..events import Cell
from ..line.control import Control
from ..line.hearing import Bookmark, Ended
from ..money.bills import CellBill
from ..money.journal import DETACHED, Journal, owner_of
from ..travel.landing import Wanted
from ..travel.prepare import Prepared, title
from ..units import Seconds, parse_seconds
from .logbook import CellRecord, Logbook, SessionRecord, mine
from .session import Emit, Session


class Note:
    """
    The line of one cell in the logbook.

    Args:
        logbook: The book.
        record: What is known of the cell.
    """

    def __init__(self, logbook: Logbook, record: CellRecord) -> None:
        self._logbook = logbook
        self.record = record
        self.mark = Bookmark(cell=record.cell)
        self.has_begun = False

    @classmethod
    def of(cls, logbook: Logbook, cell: Cell, job: str) -> Note:
        """Return one for a cell that is to run in a job."""
        record = CellRecord(
            cell=os.urandom(8).hex(), job=job, title=title(cell.source), source=cell.source,
            count=cell.count, started=time.time(), detached=cell.detach, outs=cell.returns,
            gets=cell.gets, gets_limit=cell.gets_limit, folder=str(Path.cwd()),
            secrets=tuple(cell.secrets),
        )  # fmt: skip
        return cls(logbook, record)

    def begin(self, prepared: Prepared) -> None:
        """Note that the host is told to run it."""
        self.record = replace(
            self.record, returns=tuple(prepared.load.returns), changes=prepared.changes
        )
        self.has_begun = True
        self._logbook.note(self.record)

    def end(self, state: str, bill: CellBill | None = None) -> None:
        """Note what became of it."""
        seconds, cost = (bill.seconds, bill.cost) if bill else (0.0, self.record.cost)
        self._logbook.note_later(replace(self.record, state=state, seconds=seconds, cost=cost))


def wanted(record: CellRecord) -> Wanted | None:
    """Return which files come back from a cell that was noted, and where they go."""
    if not record.gets:
        return None
    folder = Path(record.folder)
    if record.gets_limit is None:
        return Wanted(record.gets, folder)
    return Wanted(record.gets, folder, limit=record.gets_limit)


async def alone(
    journal: Journal, session: Session, prepared: Prepared, cell: Cell, emit: Emit, control: Control
) -> Ended:
    """
    Run the only cell of a job, which another process may take up while it runs.

    Raises:
        NosanaError: The path broke. What the cell itself raises is among the events.
        CancelledError: The user gave the cell up, or it is left to go on.
    """
    logbook = Logbook(journal.path)
    job = session.job
    note = Note.of(logbook, cell, job.address)

    def begin(prepared: Prepared) -> None:
        record = _single(session, cell)
        logbook.open(record, secret=session.key.secret(), token=session.token)
        note.begin(prepared)
        control.parting = leave
        if cell.detach:
            journal.own(job.address, DETACHED)
            control.leaving = leave

    def leave() -> None:
        job.released = True

    control.detached = cell.detach
    try:
        began = time.monotonic()
        ended = await session.run(prepared, emit, control, note.mark, begin)
        job.work_seconds = time.monotonic() - began
        note.end(ended.status)
        logbook.end(job.address)
    except HostFailed as error:
        if note.has_begun:
            again = "" if error.hint.startswith("Run the cell again") else error.hint
            error.hint = f"{again} What it had said may still be had: %nosana attach".strip()
        raise
    finally:
        control.leaving = control.parting = None
        if control.interrupted and note.has_begun and not job.released:
            note.end("interrupted")
            logbook.end(job.address)
        elif cell.detach and not job.released:
            journal.own(job.address, owner_of(os.getpid()))
        logbook.close()
    return ended


def _single(session: Session, cell: Cell) -> SessionRecord:
    job, order = session.job, session.order
    return SessionRecord(
        job=job.address, name="", network=job.intent.network, wallet=job.intent.wallet,
        node=job.node, url=session.url, opened=session.opened, began=session.opened,
        step=order.timeout, most=order.timeout, idle=Seconds(0),
        lease=parse_seconds(session.settings.lease), max_cost=order.max_cost, image=order.image,
        vram=order.wanted.vram, gpu=order.wanted.gpu, market=order.wanted.market, owner=mine(),
        detached=cell.detach, single=True,
    )  # fmt: skip
