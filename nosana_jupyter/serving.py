"""
Cells in a session that is kept: run, or taken up again where another process has begun them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from . import noting
from .attaching import known_secrets
from .bills import CellBill, share
from .control import Control
from .errors import NosanaError, SessionLost
from .events import Billed, Cell, Joined, Outcome, Said
from .hearing import Ended
from .journal import DETACHED, owner_of
from .logbook import CellRecord
from .noting import Note
from .prepare import Prepared
from .secrecy import Secrets
from .sessions import Emit, Session
from .wire.messages import Stream

GRACE = 2.0
"""Seconds in which two interrupts of a cell are one, and do not end the session."""

if TYPE_CHECKING:
    from .kept import Kept


async def run(kept: Kept, cell: Cell, emit: Emit, control: Control) -> Outcome:
    """
    Run a cell in a session.

    Raises:
        SessionLost: It is over; says what was in it.
        NosanaError: The path broke.
        CancelledError: The user gave the cell up, or it is left to go on.
    """
    session = _joined(kept, emit)
    note = Note.of(kept.logbook, cell, session.job.address)

    def begin(prepared: Prepared) -> None:
        note.begin(prepared)
        if cell.detach:
            kept.client.journal.own(session.job.address, DETACHED)
            control.leaving = kept.leave

    if cell.detach:
        await kept.cover(cell.timeout)
    talk = session.run(cell, emit, control, note.mark, begin)
    return await _noted(kept, session, note, talk, emit, control)


async def resume_all(
    kept: Kept, cells: Sequence[CellRecord], emit: Emit, control: Control, *, peek: bool
) -> None:
    """Follow the cells of a session whose end nobody has heard, one after another."""
    session = kept.session
    if session is None or not cells:
        return
    known = {each.cell for each in session.hello.cells}
    for cell in cells:
        if cell.cell not in known:
            kept.logbook.note(replace(cell, state="lost"))
            text = f"Of the cell {cell.title!r} its host knows nothing any more.\n"
            emit(Said(Stream("stderr", text)))
            continue
        record = replace(cell, detached=cell.detached or peek)
        if record.detached:
            kept.client.journal.own(session.job.address, DETACHED)
        secrets = known_secrets(cell, emit)
        kept.resumed.append((record, await resume(kept, record, emit, control, secrets)))
    await session.survey()


async def resume(
    kept: Kept, record: CellRecord, emit: Emit, control: Control, secrets: Secrets
) -> Outcome:
    """Go on with a cell of a session that another process has begun; raises as `run` does."""
    session = _joined(kept, emit)
    note = Note(kept.logbook, record)
    note.has_begun = True
    talk = session.resume(
        note.mark, emit, control,
        returns=record.returns, gets=noting.wanted(record), secrets=secrets,
    )  # fmt: skip
    return await _noted(kept, session, note, talk, emit, control)


def _joined(kept: Kept, emit: Emit) -> Session:
    session = kept.session
    if session is None or session.ended.is_set():
        raise kept.gone()
    kept.tell_time(emit)
    ran_by = kept.client.jobs.who(session.quote.market.gpu)
    words = f"in session {kept.name} on {ran_by}"
    emit(Joined(kept.name, session.job.address, session.quote, words))
    return session


async def _noted(
    kept: Kept,
    session: Session,
    note: Note,
    talk: Coroutine[Any, Any, Ended],
    emit: Emit,
    control: Control,
) -> Outcome:
    """Follow a cell, and note what became of it and what it cost."""
    began, resumed = time.monotonic(), note.has_begun
    state = "lost"
    ended: Ended | None = None
    control.body = asyncio.current_task()
    control.grace = GRACE
    control.detached = note.record.detached
    if resumed and control.detached:
        control.leaving = kept.leave
    try:
        ended = await talk
        state = ended.status
    except SessionLost as error:
        raise kept.gone(error) from None
    except NosanaError:
        state = "error"
        raise
    except asyncio.CancelledError:
        state = "interrupted"
        raise
    finally:
        control.body = control.leaving = None
        # One that ran before this process came has taken longer than we know.
        seconds = ended.seconds if resumed and ended else time.monotonic() - began
        bill = _bill(kept, session, seconds)
        if not (note.has_begun and session.job.released):
            note.end(state, bill)
        if note.record.detached and not session.job.released:
            kept.client.journal.own(session.job.address, owner_of(os.getpid()))
    emit(Billed(bill))
    return Outcome(
        job=session.job.address,
        receipt=None,
        session=kept.name,
        held=session.held,
        bill=bill,
        status=ended.status,
        values=ended.values,
        handles=ended.handles,
        changed=note.record.changes or ended.changed,
        landed=ended.landed,
    )


def _bill(kept: Kept, session: Session, seconds: float) -> CellBill:
    startup = max(0.0, session.opened - kept.began)
    bill = share(session.quote, seconds, startup=startup, cells=max(1, session.cells))
    kept.bills.append(bill)
    return bill
