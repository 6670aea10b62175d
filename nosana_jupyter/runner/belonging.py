"""
Whose output it is: a thread or a task belongs to the cell that started it, also after its end.

What such a one says is a `Late` of its own cell, and never another's. It is gathered here for a
moment, so that a thread that goes on and on keeps no line busy.
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

from ..wire.messages import ClearOutput, DisplayData, Late, UpdateDisplayData
from .outbox import Name, Outbox

T = TypeVar("T")

PACE = 0.05
"""Seconds for which is gathered what cells say that are over."""

MOST = 16 << 20
"""Most bytes of text of one of them that wait, and of its displays."""

_cell: ContextVar[str] = ContextVar("cell", default="")
_of_thread: WeakKeyDictionary[threading.Thread, str] = WeakKeyDictionary()


def current() -> str:
    """Return the cell for which this thread or task speaks; empty if nobody knows."""
    return _cell.get() or _of_thread.get(threading.current_thread(), "")


class Belonging:
    """
    Tells the running cell's output from that of cells before it.

    Args:
        wake: Called, from any thread, when there is something to hear.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        # Reentrant: a finaliser that prints may run while this thread is in here.
        self._lock = threading.RLock()
        self._running = ""
        self._boxes: dict[str, Outbox] = {}
        """What has come since it was last looked, by cell."""

        self._gathered: deque[Late] = deque()
        self._due = 0.0

    @contextmanager
    def during(self, cell: str) -> Iterator[None]:
        """Say that a cell runs: what this thread starts belongs to it."""
        self._running = cell
        token = _cell.set(cell)
        try:
            yield
        finally:
            self._running = ""
            _cell.reset(token)

    def takes_text(self, name: Name, text: str) -> bool:
        """Take text of a cell that is over; say whether it was that."""
        cell = self._stray()
        if cell:
            with self._lock:
                self._box(cell).write(name, text)
        return bool(cell)

    def takes(self, message: Any) -> bool:
        """Take a display of a cell that is over; say whether it was that."""
        cell = self._stray()
        if cell and isinstance(message, (DisplayData, UpdateDisplayData, ClearOutput)):
            with self._lock:
                self._box(cell).put(message)
        return bool(cell)

    def heard(self) -> Late | float | None:
        """Return what was said late; or the seconds until it is; or nothing: `wake` tells."""
        if not self._gathered:
            if not self._boxes:
                return None
            now = time.monotonic()
            if now < self._due:
                return self._due - now
            self._due = now + PACE
            with self._lock:
                boxes, self._boxes = self._boxes, {}
                for cell, box in boxes.items():
                    while (said := box.take(soon=True)) is not None:
                        self._gathered.append(Late(cell, said))  # type: ignore[arg-type] # as above
        return self._gathered.popleft() if self._gathered else None

    def _box(self, cell: str) -> Outbox:
        if cell not in self._boxes:
            self._boxes[cell] = Outbox(self._wake, most=MOST)
        return self._boxes[cell]

    def _stray(self) -> str:
        """Return the cell that is over for which this thread speaks, or nothing."""
        cell = current()
        return "" if cell == self._running else cell


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
