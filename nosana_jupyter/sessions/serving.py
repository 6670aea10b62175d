"""
Cells in a session that is kept: run, or taken up again where another process has begun them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..errors import CellTimeout, HostFailed, NosanaError, SessionLost, SessionUnpaid, TakenOver
from ..events import Billed, Cell, Joined, Plan, Said, Waiting
from ..line.control import Control
from ..line.hearing import Ended
from ..money.bills import CellBill, share
from ..money.journal import DETACHED, owner_of
from ..outcome import Outcome
from ..rent import noting
from ..rent.logbook import CellRecord
from ..rent.noting import Note
from ..rent.session import ANEW, Emit, Session
from ..rent.sizing import Watch
from ..rent.watch import AGAIN
from ..travel.prepare import Prepared, imported, prepare, rows
from ..units import Seconds, duration
from ..vram import Estimate
from ..wire.messages import Stream
from .attaching import known_secrets

GRACE = 2.0
"""Seconds in which two interrupts of a cell are one, and do not end the session."""

A_WHILE = 60
"""Seconds after which it is said how long ago a session has ended."""

LISTED = 20
"""Most names that are listed as lost."""

INSIST = 5.0
"""Seconds after which a cell whose time is over is interrupted again."""

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
    kept.secret = kept.secret or bool(cell.secrets)
    session = _joined(kept, emit)
    note = Note.of(kept.logbook, cell, session.job.address)
    clock: asyncio.Future[None] | None = None

    def begin(prepared: Prepared) -> None:
        nonlocal clock
        note.begin(prepared)
        if cell.limit is not None:
            clock = asyncio.ensure_future(_expire(cell.limit, emit, control))
        control.parting = kept.part
        if cell.detach:
            kept.client.journal.own(session.job.address, DETACHED)
            control.leaving = kept.leave

    if cell.detach:
        await kept.cover(cell.timeout, emit)
    watch = Watch(Estimate(), emit, session=kept.name, quote=session.quote)
    talk = session.run(cell, watch.take, control, note.mark, begin)
    try:
        outcome = await _noted(kept, session, note, talk, emit, control)
    finally:
        if clock is not None:
            clock.cancel()
    if cell.limit is None or not control.expired or outcome.status != "interrupted":
        return outcome
    return dataclasses.replace(outcome, failure=_out_of_time(kept.name, cell.limit, outcome))


async def plan(kept: Kept, cell: Cell) -> Plan:
    """
    Say what goes to a session with a cell, beside what it has.

    Raises:
        SessionLost: It is over; says what was in it.
        CellError: The cell cannot run.
    """
    session = kept.session
    if session is None or session.ended.is_set():
        raise kept.gone()
    session.held.forget(cell.namespace)
    prepared = await asyncio.to_thread(prepare, cell, session.settings, session.held)
    found = await asyncio.to_thread(rows, cell)
    there = set(session.held.names) - prepared.sent.keys()
    return Plan(
        rows=tuple(row for row in found if row.name not in there),
        packages=prepared.packages,
        modules=prepared.modules,
        returns=tuple(dict.fromkeys((*prepared.load.returns, *cell.gets))),
        quote=session.quote,
        notes=prepared.notes,
        session=kept.name,
    )


async def _expire(limit: Seconds, emit: Emit, control: Control) -> None:
    """Interrupt a cell when its time is over, again and again until it heeds that."""
    await asyncio.sleep(limit)
    while True:
        control.expire()
        await asyncio.sleep(INSIST)
        emit(Waiting(f"its {duration(limit)} are over, and it does not heed its interrupts"))


def _out_of_time(session: str, limit: Seconds, outcome: Outcome) -> CellTimeout:
    longer = duration(2 * limit).replace(" ", "")
    return CellTimeout(
        f"the cell ran out of its {duration(limit)}, and was interrupted",
        hint=f"Give it more with --timeout, as in --timeout {longer}.",
        money=f"{outcome.bill.text}; session {session} goes on" if outcome.bill else "",
    )


def gone(kept: Kept, error: SessionLost | None = None) -> SessionLost:
    """
    Return what to raise in a cell of a session that is over.

    Args:
        kept: The session.
        error: What ended the cell, if it was there then.
    """
    why = kept.failure
    if isinstance(why, TakenOver):
        return SessionLost(
            f"session {kept.name} goes on in another notebook or kernel, which has taken it over",
            hint=f"Take it back: %nosana attach {kept.name}. To run cells in jobs of their own: "
            f"%nosana down {kept.name}",
            money="its job is paid for until it ends there",
        )
    reason = kept.over or (error.why if error is not None else "it never opened")
    lost = _lost(kept)
    names = ", ".join([*lost[:LISTED], *(["…"] if len(lost) > LISTED else [])])
    # Why its process ended says more than that it did.
    cause = why.hint if isinstance(why, HostFailed) and why.hint != AGAIN else ""
    hint = f"{cause} {ANEW} To run cells in jobs of their own: %nosana down {kept.name}"
    passed = int(time.time() - kept.ended) if kept.ended else 0
    since = f"has been over for {duration(passed)}" if passed >= A_WHILE else "is over"
    first, newline, log = reason.partition("\n")
    if names:
        first += f". Lost with it: {names}"
    kind = SessionUnpaid if kept.time.unpaid else SessionLost
    told = kind(
        f"session {kept.name} {since}: {first}{newline}{log}",
        hint=hint.strip(),
        money=(why.money if why else "") or (kept.receipt.story if kept.receipt else ""),
    )
    told.receipt = kept.receipt
    return told


def _lost(kept: Kept) -> list[str]:
    """Return the names that were only there, without what its cells have but imported."""
    session = kept.session
    found = session.held.only_there if session is not None else []
    if session is None or not found:
        return []
    cells = kept.logbook.cells(session.job.address)
    modules = imported(each.source for each in cells)
    return [name for name in found if name not in modules]


async def resume_all(
    kept: Kept, cells: Sequence[CellRecord], emit: Emit, control: Control, *, peek: bool
) -> None:
    """Follow the cells of a session whose end nobody has heard, one after another."""
    session = kept.session
    if session is None:
        return
    before = kept.logbook.cells(session.job.address)
    if names := dict.fromkeys(name for each in before for name in each.secrets):
        kept.secret = True
        session.know(known_secrets(names, emit))
    if not cells:
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
        kept.resumed.append((record, await resume(kept, record, emit, control)))
    await session.survey()


async def resume(kept: Kept, record: CellRecord, emit: Emit, control: Control) -> Outcome:
    """Go on with a cell of a session that another process has begun; raises as `run` does."""
    session = _joined(kept, emit, record.title)
    note = Note(kept.logbook, record)
    note.has_begun = True
    talk = session.resume(
        note.mark, emit, control, returns=record.returns, gets=noting.wanted(record)
    )
    return await _noted(kept, session, note, talk, emit, control)


def _joined(kept: Kept, emit: Emit, title: str = "") -> Session:
    session = kept.session
    if session is None or session.ended.is_set():
        raise kept.gone()
    kept.tell_time(emit)
    ran_by = kept.client.jobs.who(session.quote.market.gpu)
    words = f"in session {kept.name} on {ran_by}"
    emit(Joined(kept.name, session.job.address, session.quote, words, title, kept.secret))
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
    if resumed:
        control.parting = kept.part
        control.leaving = kept.leave if control.detached else None
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
        control.body = control.leaving = control.parting = None
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
        later=ended.later,
        gone=ended.gone,
    )


def _bill(kept: Kept, session: Session, seconds: float) -> CellBill:
    startup = max(0.0, session.opened - kept.time.began)
    bill = share(session.quote, seconds, startup=startup, cells=max(1, session.cells))
    kept.bills.append(bill)
    return bill
