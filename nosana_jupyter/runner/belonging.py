"""
Whose output it is: a thread or a task belongs to the cell that started it, also after its end.

What such a one says while another cell runs is a `Late` of its own cell, and never the other's. It
waits here until a cell runs, as nobody listens in between.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from ..wire.messages import DisplayData, Late, Stream, UpdateDisplayData
from .outbox import Name

T = TypeVar("T")

PACE = 0.1
"""Seconds between two messages of a cell that is over."""

MOST = 1 << 20
"""Most characters of text that wait."""

DISPLAYS = 20
"""Most displays that wait."""

_cell: ContextVar[str] = ContextVar("cell", default="")
_of_thread: WeakKeyDictionary[threading.Thread, str] = WeakKeyDictionary()


def current() -> str:
    """Return the cell for which this thread or task speaks; empty if nobody knows."""
    return _cell.get() or _of_thread.get(threading.current_thread(), "")


class Belonging:
    """
    Tells the running cell's output from that of cells before it.

    Args:
        put: Takes what is said late.
    """

    def __init__(self, put: Callable[[Late], None]) -> None:
        self._put = put
        # Reentrant: a finaliser that prints may run while this thread is in here.
        self._lock = threading.RLock()
        self._running = ""
        self._waiting: deque[Late] = deque()
        self._size = 0
        self._last = 0.0

    @contextmanager
    def during(self, cell: str) -> Iterator[None]:
        """Say that a cell runs: what this thread starts belongs to it."""
        self._running = cell
        token = _cell.set(cell)
        self._flush()
        try:
            yield
        finally:
            self._running = ""
            _cell.reset(token)

    def takes_text(self, name: Name, text: str) -> bool:
        """Take text of a cell that is over; say whether it was that."""
        cell = self._stray()
        if not cell:
            return False
        with self._lock:
            if self._size < MOST:
                text = text[: MOST - self._size]
                self._size += len(text)
                last = self._waiting[-1] if self._waiting else None
                said = last.output if last is not None and last.cell == cell else None
                if isinstance(said, Stream) and said.name == name and len(said.text) < 4096:
                    self._waiting.pop()
                    text = said.text + text
                self._waiting.append(Late(cell, Stream(name, text)))
            self._pass_on(whole=text.endswith(("\n", "\r")))
        return True

    def takes(self, message: Any) -> bool:
        """Take a display of a cell that is over; say whether it was that."""
        cell = self._stray()
        if not cell:
            return False
        with self._lock:
            displays = sum(not isinstance(each.output, Stream) for each in self._waiting)
            if isinstance(message, (DisplayData, UpdateDisplayData)) and displays < DISPLAYS:
                self._waiting.append(Late(cell, message))
            self._pass_on(whole=True)
        return True

    def _stray(self) -> str:
        """Return the cell that is over for which this thread speaks, or nothing."""
        cell = current()
        return "" if cell == self._running else cell

    def _pass_on(self, *, whole: bool) -> None:
        """Hand over what waits, now and then; lines only as a whole, unless they are slow."""
        since = time.monotonic() - self._last
        if self._running and since >= (PACE if whole else 5 * PACE):
            self._flush()

    def _flush(self) -> None:
        """Hand over what waits."""
        with self._lock:
            self._last = time.monotonic()
            waiting, self._waiting = self._waiting, deque()
            self._size = 0
        for each in waiting:
            self._put(each)


def install() -> None:
    """Let threads, and what is given to pools of threads, belong to the cell it comes from."""
    start: Any = threading.Thread.start
    submit: Any = ThreadPoolExecutor.submit

    @functools.wraps(start)
    def start_ours(thread: threading.Thread) -> None:
        if cell := current():
            _of_thread[thread] = cell
        start(thread)

    @functools.wraps(submit)
    def submit_ours(
        pool: ThreadPoolExecutor, function: Callable[..., T], /, *args: Any, **options: Any
    ) -> Any:
        return submit(pool, _run_for, current(), function, *args, **options)

    setattr(threading.Thread, "start", start_ours)  # noqa: B010 - as types have it, none may
    setattr(ThreadPoolExecutor, "submit", submit_ours)  # noqa: B010


def _run_for(cell: str, function: Callable[..., T], /, *args: Any, **options: Any) -> T:
    """Call a function in the name of a cell."""
    token = _cell.set(cell)
    try:
        return function(*args, **options)
    finally:
        _cell.reset(token)
