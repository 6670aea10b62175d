"""
The way from a thread into the one event loop that does all network work.

A kernel already runs a loop of its own, and cells are synchronous: so the client lives in a loop on
a background thread, and what happens there comes back as an iterator, on the caller's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import NosanaError

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import FrameType, TracebackType

    from .client import Client
    from .events import Cell, Event, Outcome, Plan, Status, Swept
    from .journal import Entry, Receipt
    from .markets import Market, Quote, Requirements
    from .network import Network
    from .units import Seconds

T = TypeVar("T")

TICK = 0.1
"""Seconds between looks for a signal while waiting: how late a Ctrl-C may be noticed."""

PATIENCE = 3.0
"""Seconds for settling a job that was given up; then one more Ctrl-C leaves it to `sweep`."""

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
        return _shared


def _begin_anew() -> None:
    """Forget, in a forked child, the portal: its thread stayed with the parent."""
    global _shared, _lock
    _lock = threading.Lock()  # Somebody may have held it at that moment.
    if _shared is not None:
        _left_behind.append(_shared)
        _shared = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


class CellRun:
    """
    A cell on its way. Iterate over it to follow its events.

    Raises (while iterating):
        NosanaError: The path broke. What the cell itself raises is an event, not an error.
    """

    def __init__(self, portal: Portal, cell: Cell, confirm: Confirm | None) -> None:
        from .control import Control

        self._portal = portal
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._control = Control()
        self.future = portal.start(self._run(cell, confirm))
        """Done when the cell is over and settled."""

        self.future.add_done_callback(lambda _: self._events.put(None))
        self._done = False

    @property
    def outcome(self) -> Outcome:
        """What the cell left behind, once the iterator is exhausted."""
        return self.future.result()

    def interrupt(self) -> None:
        """Interrupt the cell, as Ctrl-C does. A job that has not begun is taken back."""
        self._portal.loop.call_soon_threadsafe(self._control.interrupt)

    def abandon(self) -> None:
        """End the job. The events go on until it is settled."""
        self._portal.loop.call_soon_threadsafe(self._control.abandon)

    def __iter__(self) -> Iterator[Event]:
        return (event for event in self.ticks() if event is not None)

    def ticks(self) -> Iterator[Event | None]:
        """Follow the events; nothing comes in between, so that a clock can go on."""
        while not self._done:
            try:
                # A wait without an end would keep signals out on some platforms.
                event = self._events.get(timeout=TICK)
            except queue.Empty:
                self._portal.check()
                yield None
                continue
            if event is None:
                self._done = True
                break
            yield event
        self.future.result()

    def arrived(self) -> list[Event]:
        """Return the events that nobody has taken yet, without waiting for more."""
        found: list[Event] = []
        with contextlib.suppress(queue.Empty):
            while not self._done:
                event = self._events.get_nowait()
                if event is None:
                    self._done = True
                else:
                    found.append(event)
        return found

    async def _run(self, cell: Cell, confirm: Confirm | None) -> Outcome:
        client = await self._portal.client()
        return await client.run(cell, self._events.put, control=self._control, confirm=confirm)


class Presses:
    """
    Counts Ctrl-C instead of raising it.

    Raised, it would come between any two steps: after an event was taken and before it was shown,
    so that the end of a job, or that it was posted at all, would never be known here.
    """

    def __init__(self) -> None:
        self.count = 0
        self._seen = 0
        self._given_up = 0.0
        self._before: Any = None

    def __enter__(self) -> Presses:
        before = signal.getsignal(signal.SIGINT)
        # Only the main thread may, and gets it; a handler that is not Python's cannot be put back.
        ours = before not in (None, signal.SIG_IGN)
        if ours and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._press)
            self._before = before
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def act(self, run: CellRun) -> None:
        """
        Interrupt the cell at the first, end the job at the second.

        Raises:
            KeyboardInterrupt: There were more, and the job is still not settled.
        """
        while self._seen < self.count:
            self._seen += 1
            if self._seen == 1:
                run.interrupt()
            elif not self._given_up:
                self._given_up = time.monotonic()
                run.abandon()
            elif time.monotonic() - self._given_up > PATIENCE:
                raise KeyboardInterrupt

    def _press(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


Confirm = Callable[["Quote", "Network"], bool]
"""Asks whether to go on with a quote on a network; called on the loop's thread's executor."""


class Portal:
    """The background loop, and the client in it. Both are made on first use."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="nosana-portal", daemon=True)
        self._thread.start()
        self._client: Client | None = None
        self._opening = asyncio.Lock()

    def run(self, cell: Cell, *, confirm: Confirm | None = None) -> CellRun:
        """Start a cell. `confirm` is asked on a worker thread before the first real spend."""
        return CellRun(self, cell, confirm)

    def plan(self, cell: Cell) -> Plan:
        """Say what a cell needs and may cost. Spends nothing."""
        return self.call(lambda client: client.plan(cell))

    def quote(
        self, wanted: Requirements, timeout: Seconds, *, max_cost: str | None = None
    ) -> Quote:
        """Return the quote for a run. Spends nothing."""
        return self.call(lambda client: client.quote(wanted, timeout, max_cost=max_cost))

    def markets(self) -> list[Market]:
        """Return the markets of the network, cheapest first."""
        return self.call(lambda client: client.markets())

    def status(self) -> Status:
        """Say where the user is: network, wallet, balances, open jobs."""
        return self.call(lambda client: client.status())

    def jobs(self, limit: int = 20) -> list[Entry]:
        """Return the newest jobs, newest first."""
        return self.call(lambda client: client.entries(limit))

    def receipts(self, limit: int = 20) -> list[Receipt]:
        """Return the newest receipts, newest first."""
        return self.call(lambda client: client.receipts(limit))

    def stop(self, job: str) -> Receipt:
        """End a job by its address or the beginning of it."""
        return self.call(lambda client: client.stop(job))

    def sweep(self) -> Swept:
        """Settle everything this wallet left behind, and fetch the rent of what is long over."""
        return self.call(lambda client: client.sweep())

    def reload(self) -> None:
        """Open the client anew on next use: a setting has changed."""
        self.wait(self.start(self._close()))

    def close(self) -> None:
        """Close the client and end the loop."""
        self.wait(self.start(self._close()))
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
            NosanaError: Its thread stayed in the process that this one was forked from, or ended.
        """
        if not self._thread.is_alive():
            raise NosanaError(
                "what was begun in another process goes on there, and cannot be waited for here",
                hint="Make the call again in this process.",
            )

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def wait(self, future: Future[T]) -> T:
        """Wait for a result so that a signal gets through; a Ctrl-C cancels the work."""
        while True:
            try:
                return future.result(TICK)
            except TimeoutError:
                if future.done():
                    return future.result()
                self.check()
            except KeyboardInterrupt:
                future.cancel()
                raise

    async def client(self) -> Client:
        """Return the client, opened on first use. On the loop only."""
        from .client import Client

        async with self._opening:
            if self._client is not None and not await self._client.is_current():
                # A local network that stopped has come back, at other ports.
                await self._client.close()
                self._client = None
            if self._client is None:
                self._client = await Client.open()
            return self._client

    def warm(self) -> None:
        """Import on the background thread what the first cell needs."""
        self.loop.call_soon_threadsafe(self._import)

    def _import(self) -> None:
        from . import client

        client.warm()

    async def _close(self) -> None:
        async with self._opening:
            client, self._client = self._client, None
            if client is not None:
                await client.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        with contextlib.suppress(asyncio.CancelledError):
            self.loop.run_forever()
