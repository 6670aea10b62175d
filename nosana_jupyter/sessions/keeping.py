"""
The sessions of a process, by name. The usual one is called `main`, or is the only one.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from ..errors import SessionLost, UsageError
from ..events import SaidLate
from ..line.control import Control
from ..line.hearing import Ended
from ..rent.logbook import Logbook, SessionRecord
from ..rent.session import ANEW, Session
from ..rent.standing import Terms, View, terms_of
from ..units import duration
from . import attaching, serving
from .attaching import Attached, Found
from .kept import ENDED, Emit, Kept

if TYPE_CHECKING:
    from ..client import Client
    from ..events import Cell, Plan
    from ..money.consent import Confirm
    from ..outcome import Outcome

MAIN = "main"
"""What a session is called that is not named."""


class Keeping:
    """
    The sessions of this process, by name; also those that are over, until they are let go.

    Args:
        start: Starts what goes on by itself.
        late: Takes what cells say that are over.
    """

    def __init__(
        self,
        start: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
        late: Callable[[SaidLate], None] = lambda _: None,
    ) -> None:
        self._start = start
        self._late = late
        self._kept: dict[str, Kept] = {}
        self._logbook: Logbook | None = None
        self._past: dict[str, tuple[str, float]] = {}
        """Why those are over that were let go of, and since when."""

    @property
    def logbook(self) -> Logbook:
        """The tables, opened on first use."""
        if self._logbook is None:
            self._logbook = Logbook()
        return self._logbook

    def pick(self, name: str) -> Kept | None:
        """
        Return the session that a cell is for: of this name, or the usual one.

        Raises:
            UsageError: There is none of this name, or there are several and none is the usual one.
        """
        if name:
            if name not in self._kept:
                raise self._none(name, "Nothing was run")
            return self._kept[name]
        if len(self._kept) > 1 and MAIN not in self._kept:
            raise UsageError(
                f"which session: {self._listed()}? Nothing was run",
                hint="Name it with --session NAME, or run the cell in a job of its own: --cold",
            )
        return self._kept.get(MAIN) or next(iter(self._kept.values()), None)

    def serving(self, cell: Cell) -> Kept | None:
        """
        Return the session that a cell is for, if any.

        Raises:
            UsageError: There is no such session, or it has not what the cell asks for.
        """
        kept = self.pick(cell.session or "")
        if kept is not None:
            kept.serves(cell)
        return kept

    def _listed(self) -> str:
        """Return the names of the sessions, and which of them are over."""
        return ", ".join(
            f"{name} (over)" if kept.is_over else name for name, kept in self._kept.items()
        )

    def _none(self, name: str, after: str) -> UsageError:
        """Return what to raise for a name that no session has here; say what became of it."""
        open_ = [each for each, kept in self._kept.items() if not kept.is_over]
        others = f"{', '.join(open_) or 'none'} {'are' if len(open_) > 1 else 'is'} open"
        if name in self._past:
            why, at = self._past[name]
            ago = duration(int(time.time() - at))
            ended = f"was ended {ago} ago" if why == ENDED else f"ended {ago} ago: {why}"
            text, hint = f"session {name} {ended}", f"%nosana up {name}"
        elif (known := self.logbook.named(name)) is not None:
            kept = "is kept by another kernel" if known.kept_elsewhere else "is not taken up here"
            text, hint = f"session {name} {kept}", f"Take it up: %nosana attach {name}"
            if not known.kept_elsewhere:
                hint += "; or end what no kernel keeps: %nosana sweep"
        else:
            text, hint = f"there is no session {name!r}", f"Open it: %nosana up {name}"
            if open_:
                hint = f"Write --session {open_[0]}, or open it: %nosana up {name}"
        return UsageError(f"{text}; {others}. {after}", hint=hint)

    async def up(
        self, client: Client, terms: Terms, emit: Emit, control: Control, confirm: Confirm | None
    ) -> Kept:
        """
        Open a session; return when its runner has said hello.

        Raises:
            UsageError: There is one of this name.
            NosanaError: No host could be had; says where the money is.
            CancelledError: The user gave it up; the job is settled all the same.
        """
        check_name(terms.name)
        kept = self._reserve(client, terms)
        block = client.open_session(
            terms.order, lambda event: kept.emit(event), control=control, confirm=confirm, kept=True
        )
        return await self._opened(kept, block, emit, control)

    def attachable(self, client: Client) -> list[Found]:
        """Return what a client's wallet can attach to, newest first."""
        ours = {view.job for view in self.views()}
        found = attaching.find(client, self.logbook)
        followed = client.jobs.followed
        return [
            each
            for each in found
            if each.session.job not in (followed if each.session.single else ours)
        ]

    async def take_up(
        self, client: Client, name: str, emit: Emit, control: Control, *, peek: bool
    ) -> Attached:
        """
        Attach to the one job that is meant: a session, or that of a cell.

        Raises:
            UsageError: There is none, or several are meant.
            NosanaError: It is over and nothing is left of it, or the path broke.
            CancelledError: The user gave it up, or let it go.
        """
        meant = attaching.pick(self.attachable(client), name)
        if len(meant) > 1:
            which = ", ".join(each.session.name or each.session.job[:12] for each in meant)
            raise UsageError(f"which: {which}?", hint="Write %nosana attach and one of them.")
        found = meant[0]
        if found.session.single:
            outcome = await attaching.alone(client, found, emit, control, peek=peek)
            return Attached(ends=((found.cells[-1], outcome),))
        kept = await self.attach(client, found.session.job, emit, control, peek=peek)
        return Attached(ends=tuple(kept.resumed), session=kept.view())

    async def take_up_cell(
        self, client: Client, name: str, emit: Emit, control: Control, *, peek: bool, leave: bool
    ) -> Outcome:
        """
        Attach to the last cell that is meant; raises as `take_up` does.

        Args:
            client: Of the wallet that pays.
            name: Its job, or that of its session.
            emit: Takes what it says.
            control: Stops it.
            peek: Whether it goes on when it is let go.
            leave: Whether its session goes on when this process ends.
        """
        attached = await self.take_up(client, name, emit, control, peek=peek)
        if leave and attached.session is not None:
            self._kept[attached.session.name].detached = True
        if not attached.ends:
            raise UsageError("no cell runs there", hint="See %nosana sessions.")
        return attached.ends[-1][1]

    async def attach(
        self, client: Client, name: str, emit: Emit, control: Control, *, peek: bool = False
    ) -> Kept:
        """
        Take up a session that another process has opened; the one that keeps it, if any, lets go.

        Args:
            client: Of the wallet that pays.
            name: Its name or job. Empty: the only one there is.
            emit: Takes what happens, and what its cells say whose end nobody has heard.
            control: Stops it.
            peek: Whether it goes on when it is let go.

        Raises:
            UsageError: There is none such, or one of that name is open here.
            NosanaError: It is over, or its runner does not answer.
        """
        sessions = [each for each in self.attachable(client) if not each.session.single]
        found = [each for each in sessions if not name or each.answers_to(name)]
        if len(found) != 1:
            which = ", ".join(f"{each.session.name} ({each.session.job[:12]})" for each in found)
            raise UsageError(
                f"which session: {which}?" if found else "there is no such session to attach to",
                hint="See %nosana sessions.",
            )
        record, cells = found[0].session, found[0].cells
        kept = self._reserve(client, terms_of(record))
        block = client.reopen(record, found[0].keys, lambda event: kept.emit(event), control)
        await self._opened(kept, block, emit, control, again=not cells)
        try:
            await serving.resume_all(kept, cells, emit, control, peek=peek)
        except asyncio.CancelledError:
            if kept.is_left and self._kept.get(kept.name) is kept:
                del self._kept[kept.name]
            raise
        return kept

    def _reserve(self, client: Client, terms: Terms) -> Kept:
        before = self._kept.get(terms.name)
        if before is not None and not before.is_over:
            raise UsageError(
                f"session {terms.name} is open. Nothing was spent",
                hint=f"End it with %nosana down {terms.name}, or give the other one another name.",
            )
        kept = self._kept[terms.name] = Kept(terms, client, self.logbook, self._late)
        return kept

    async def _opened(
        self,
        kept: Kept,
        block: AbstractAsyncContextManager[Session],
        emit: Emit,
        control: Control,
        *,
        again: bool = False,
    ) -> Kept:
        """Start the task that keeps a session, and wait until there is one."""
        terms = kept.terms
        kept.emit = emit
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        kept.task = control.body = self._start(kept.keep(block, opened, again=again))
        try:
            await opened
        except BaseException:
            # The task has settled what there was to settle; it is waited for all the same.
            await asyncio.wait([kept.task])
            if self._kept.get(terms.name) is kept:
                del self._kept[terms.name]
            raise
        finally:
            control.body = None
            kept.emit = lambda _: None
        return kept

    async def down(self, name: str, emit: Emit | None = None) -> Kept:
        """
        End a session, settle its job and let it go.

        Raises:
            UsageError: There is none of this name, or none at all.
        """
        if name and name not in self._kept:
            error = self._none(name, "Nothing was ended")
            error.hint = error.hint if "attach" in error.hint else "See %nosana for what is open."
            raise error
        if not name and len(self._kept) > 1 and MAIN not in self._kept:
            hint = "Name it, as in %nosana down NAME, or end all of them: %nosana down --all"
            raise UsageError(f"which session: {self._listed()}? Nothing was ended", hint=hint)
        kept = self.pick(name)
        if kept is None:
            if self.logbook.named(MAIN) is not None:
                raise self._none(MAIN, "Nothing was ended")
            raise UsageError("no session is open", hint="See %nosana sessions.")
        await kept.end(emit)
        kept.released = True
        self._past[kept.name] = (kept.over.partition("\n")[0], kept.ended or time.time())
        if self._kept.get(kept.name) is kept:
            del self._kept[kept.name]
        return kept

    async def plan(self, cell: Cell) -> Plan:
        """
        Say what a cell needs that is for a session. Spends nothing.

        Raises:
            UsageError: There is no such session, or it has not what the cell asks for.
        """
        kept = self.pick(cell.session or "")
        if kept is None:
            raise self._none(cell.session or "", "Nothing was run")
        kept.serves(cell)
        return await serving.plan(kept, cell)

    async def fetch(self, session: str, name: str) -> Ended:
        """
        Bring back the value of a name that lives in a session.

        Raises:
            NosanaError: It is over, or the path broke.
        """
        kept = self.pick(session)
        if kept is None or kept.session is None or kept.session.ended.is_set():
            raise SessionLost(f"session {session} is over, and {name} with it", hint=ANEW)
        # Who gives up waiting leaves the conversation whole.
        fetching = self._start(kept.session.fetch(name))
        ended: Ended = await asyncio.shield(fetching)
        return ended

    def names(self) -> list[str]:
        """Return the names of the sessions that are not let go."""
        return list(self._kept)

    def views(self) -> list[View]:
        """Say how the sessions stand."""
        return [kept.view() for kept in self._kept.values()]

    def elsewhere(self, client: Client) -> list[SessionRecord]:
        """Return the sessions of a client's wallet that this process does not keep."""
        ours = {view.job for view in self.views()}
        network, account = client.network.name, client.jobs.payer.account
        open_ = {entry.intent.job for entry in client.journal.open_jobs(network, account)}
        found = self.logbook.sessions(network, account)
        for record in found:
            if record.job not in open_ | ours:
                self.logbook.end(record.job)
        return [each for each in found if each.job in open_ - ours]

    def end(self) -> None:
        """Let all sessions end."""
        for kept in self._kept.values():
            (kept.leave if kept.detached else kept.close)()

    def close(self) -> None:
        """Forget what is over."""
        self._kept.clear()
        if self._logbook is not None:
            self._logbook.close()
            self._logbook = None


def check_name(name: str) -> None:
    """
    See that a session can be called so.

    Raises:
        UsageError: It cannot.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,39}", name) or name == "none":
        raise UsageError(
            f"a session cannot be called {name!r}", hint="Write letters and digits, as in train2."
        )
