"""
The way from a thread into the one event loop that does all network work.

A kernel already runs a loop of its own, and cells are synchronous: so the client lives in a loop on
a background thread, and what happens there comes back as an iterator, on the caller's thread.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from ..board.story import Story
from ..board.writing import Board
from ..errors import NosanaError
from .cellrun import OFTEN, TICK, CellRun, Confirm, Following, patience
from .offers import Offers, taken
from .presses import Presses

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ..client import Client
    from ..events import Cell, SaidLate
    from ..line.control import Control
    from ..line.hearing import Ended
    from ..money.needs import Needs
    from ..outcome import Outcome
    from ..rent.standing import Terms, View
    from ..sessions.attaching import Attached
    from ..sessions.keeping import Keeping
    from ..sessions.kept import Emit, Kept
    from .cellrun import Ask, Work
    from .taping import Taped

__all__ = ["TICK", "CellRun", "Confirm", "Portal", "Presses", "shared"]

T = TypeVar("T")

CLOSING = 20.0
"""Seconds for what goes on when the portal is closed; jobs are settled in them."""

_shared: Portal | None = None
_lock = threading.Lock()
_left_behind: list[Portal] = []
"""Portals of the process this one was forked from: to close them would break into that one's."""


def shared() -> Portal:
    """Return the one portal of this process."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = Portal()
            _at_exit(_shared)
        return _shared


def _at_exit(portal: Portal) -> None:
    """Let a portal settle its sessions when the process ends."""
    # What `atexit` calls comes after the threads that look up addresses have been ended, which is
    # known to this module; what is registered last is called first.
    import concurrent.futures.thread  # noqa: F401

    register = getattr(threading, "_register_atexit", atexit.register)
    with contextlib.suppress(RuntimeError):  # The process is ending.
        register(portal.leave)


def _begin_anew() -> None:
    """Forget, in a forked child, the portal: its thread stayed with the parent."""
    global _shared, _lock
    _lock = threading.Lock()  # Somebody may have held it at that moment.
    if _shared is not None:
        _left_behind.append(_shared)
        _shared = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


class Portal(Offers):
    """The background loop, and the client in it. Both are made on first use."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="nosana-portal", daemon=True)
        self._thread.start()
        self._client: Client | None = None
        self.board = Board(self.loop, lambda: self._client.network.name if self._client else "")
        """Where others see what is under way. On the loop."""

        self._opening = asyncio.Lock()
        self._process = os.getpid()
        self._runs: weakref.WeakSet[Following[Any]] = weakref.WeakSet()
        self.detached: list[Taped] = []
        """Cells that were detached here, oldest first."""

        self.late: Callable[[SaidLate], None] | None = None
        """Takes what cells say that are over; else it is written out. On the loop."""
        self._keeping: Keeping | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        """What somebody waits for."""

        self._retired: set[asyncio.Task[None]] = set()
        self.guests: set[Callable[[], None]] = set()
        """End what others keep at work here, such as the hosts of an executor. On the loop."""

    @property
    def sessions(self) -> Keeping:
        """The sessions that are kept open."""
        if self._keeping is None:
            from ..sessions.keeping import Keeping
            from .taping import hear

            self._keeping = Keeping(
                lambda work: self.loop.create_task(self._followed(work)),
                lambda event: hear(event, self.detached, self.late),
            )
        return self._keeping

    def run(self, cell: Cell, *, confirm: Confirm | None = None) -> CellRun:
        """
        Start a cell. `confirm` is asked by who follows it, before the first real spend.

        Raises:
            UsageError: There is no such session, or it has not what the cell asks for.
        """
        kept = None
        # Where no session was ever open, what knows of them need not be imported.
        if cell.session or (cell.session is not None and self._keeping is not None):
            kept = self.sessions.serving(cell)

        async def work(emit: Emit, control: Control, ask: Ask | None) -> Outcome:
            if kept is not None:
                return await kept.run(cell, emit, control)
            client = await self.client(emit)
            if cell.verify > 1 or cell.audit:
                from .aside import checked

                return await checked(self, client, cell, emit, control, ask)
            return await client.run(cell, emit, control=control, confirm=ask)

        from ..travel.prepare import title

        name, secret = kept.name if kept is not None else "", bool(cell.secrets)
        story = Story(title(cell.source), session=name, secret=secret)
        if cell.detach:
            from .taping import Taped

            taped = Taped(self, work, confirm, cell, story=story)
            taped.session = name
            self._runs.add(taped)
            self.detached.append(taped)
            return taped
        return self._follow(work, confirm, story)

    def up(self, terms: Terms, *, confirm: Confirm | None = None) -> Following[Kept]:
        """Open a session; its events end when the runner has said hello."""

        async def work(emit: Emit, control: Control, ask: Ask | None) -> Kept:
            if terms.name in self.service_names():
                raise taken("service", terms.name)
            client = await self.client(emit)
            return await self.sessions.up(client, terms, emit, control, ask)

        return self._follow(work, confirm, Story(f"session {terms.name}", session=terms.name))

    def attach(self, name: str = "", *, peek: bool = False) -> Following[Attached]:
        """
        Take up a session or a cell that another process has begun: see `attaching`.

        The events end when all is heard that its cells say.
        """

        async def work(emit: Emit, control: Control, _ask: Ask | None) -> Attached:
            client = await self.client(emit)
            return await self.sessions.take_up(client, name, emit, control, peek=peek)

        return self._follow(work, None, Story())

    def attach_cell(self, name: str = "", *, peek: bool = False, leave: bool = False) -> CellRun:
        """Follow a cell that another process has begun, to its end; perhaps leave its session."""

        async def work(emit: Emit, control: Control, _ask: Ask | None) -> Outcome:
            client, keeping = await self.client(emit), self.sessions
            return await keeping.take_up_cell(client, name, emit, control, peek=peek, leave=leave)

        return self._follow(work, None, Story())

    def down(self, name: str = "") -> Following[Kept]:
        """End a session and settle its job."""

        async def work(emit: Emit, _control: Control, _ask: Ask | None) -> Kept:
            return await self.sessions.down(name, emit)

        return self._follow(work, None)

    def fetch(self, session: str, name: str) -> Ended:
        """
        Bring back the value of a name that lives in a session.

        Raises:
            NosanaError: It is over, or the path broke.
        """
        return self.wait(self.start(self.sessions.fetch(session, name)))

    def session_names(self) -> list[str]:
        """Return the names of the sessions that are not let go."""
        return [] if self._keeping is None else self.sessions.names()

    def session_views(self) -> list[View]:
        """Say how the sessions stand."""
        return [] if self._keeping is None else self.sessions.views()

    def _follow(
        self, work: Work[T], confirm: Confirm | None, story: Story | None = None
    ) -> Following[T]:
        following = Following(self, work, confirm, story=story)
        self._runs.add(following)
        return following

    def needs(self) -> Needs:
        """Say what the network needs of the user; also where no client can be opened."""
        from .. import settings
        from ..money import needs

        return self.wait(self.start(needs.look(settings.load())))

    def reload(self) -> None:
        """Open the client anew on next use: a setting has changed. Cells keep the one they have."""
        self.wait(self.start(self._retire()))

    def leave(self) -> None:
        """Settle the sessions, and what was detached and runs nowhere: this process is ending."""
        if os.getpid() != self._process:
            return
        waits = any(not each.future.done() for each in self.detached)
        if waits or self.guests or (self._keeping is not None and self._keeping.names()):
            self.close()

    def close(self) -> None:
        """End the jobs of cells that still run, close the client and end the loop."""
        global _shared
        with _lock:
            if _shared is self:
                _shared = None
        if not self._thread.is_alive():
            return
        self.wait(self.start(self._end()))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        if not self._thread.is_alive():
            self.loop.close()

    def call(self, ask: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        """Run one call of the client and wait for what it returns."""

        async def work() -> T:
            return await ask(await self.client())

        return self.wait(self.start(work()))

    def check(self) -> None:
        """
        Be sure that somebody is at work behind this portal.

        Raises:
            NosanaError: It was closed, or its thread stayed in the process that this one was
                forked from.
        """
        if self._thread.is_alive():
            return
        if self._process == os.getpid():
            raise NosanaError(
                "the connection to the network was closed meanwhile", hint="Make the call again."
            )
        raise NosanaError(
            "what was begun in another process goes on there, and cannot be waited for here",
            hint="Make the call again in this process.",
        )

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """
        Start a coroutine on the loop.

        Raises:
            NosanaError: Nobody is at work there any more.
        """
        try:
            self.check()
        except NosanaError:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(self._followed(work), self.loop)

    def wait(self, future: Future[T]) -> T:
        """Wait for a result so that a signal gets through; a Ctrl-C cancels the work."""
        wait = patience.get()
        while True:
            try:
                return future.result(TICK if wait is None else OFTEN)
            except TimeoutError:
                if future.done():
                    return future.result()
                self.check()
                if wait is not None:
                    wait()
            except KeyboardInterrupt:
                future.cancel()
                raise

    async def client(self, emit: Emit | None = None) -> Client:
        """Return the client, opened on first use; tell how that goes. On the loop only."""
        from ..client import Client
        from ..events import Waiting

        def tell(text: str) -> None:
            if emit is not None:
                emit(Waiting(text))

        async with self._opening:
            if self._client is not None and not await self._client.is_current(tell):
                # A local network that stopped has come back, at other ports.
                self._let_go()
            if self._client is None:
                self._client = await Client.open(tell)
            return self._client

    async def _followed(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            return await work
        finally:
            self._tasks.discard(task)

    def _others(self) -> set[asyncio.Task[Any]]:
        return {task for task in self._tasks if task is not asyncio.current_task()}

    async def _retire(self) -> None:
        async with self._opening:
            self._let_go()

    def _let_go(self) -> None:
        """Use this client no more; it is closed when what uses it is over."""
        client, self._client = self._client, None
        if client is None:
            return
        users = self._others()

        async def close() -> None:
            if users:
                await asyncio.wait(users)
            await client.close()

        closing = asyncio.create_task(close())
        self._retired.add(closing)
        closing.add_done_callback(self._retired.discard)

    async def _end(self) -> None:
        """Settle the jobs of cells, end the rest, and close the client."""
        for run in list(self._runs):
            run.let_go()
        for end in list(self.guests):
            end()
        if self._keeping is not None:
            self._keeping.end()
        if others := self._others():
            await asyncio.wait(others, timeout=CLOSING)
        for task in (others := self._others()):
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=1)
        if self._keeping is not None:
            self._keeping.close()
        await self._retire()
        await asyncio.gather(*self._retired, return_exceptions=True)

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        with contextlib.suppress(asyncio.CancelledError):
            self.loop.run_forever()
