"""
The relays of this kernel, one for each job, and the way to them: under a cell, and after it.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from ...events import Event, Relayed
from .outputs import weight

if TYPE_CHECKING:
    from ..display import Screen
    from .relay import Relay

WAITING = 64 << 20
"""Most bytes of what widgets said after their cell that wait for a busy kernel."""

_relays: dict[str, Relay] = {}


def shows(shell: Any) -> bool:
    """Say whether the front end of a shell may show widgets: a terminal does not."""
    return getattr(shell, "kernel", None) is not None


def find(job: str) -> Relay | None:
    """Return the relay of a job, if it has widgets."""
    return _relays.get(job)


class Widgets:
    """
    What the widgets of one cell say, drawn under that cell, by the kernel's own thread.

    Args:
        shell: The notebook's.
        screen: Of the cell.
    """

    def __init__(self, shell: Any, screen: Screen) -> None:
        self._kernel = getattr(shell, "kernel", None)
        self._screen = screen
        # The front end finds the cell by what this context holds.
        self._context = contextvars.copy_context()
        self._loop = _running_loop()
        self._lock = threading.Lock()
        self._waiting: deque[Relayed] = deque()
        self._weight = 0
        self._called = False

    def take(self, event: Relayed) -> None:
        """Draw what a widget says."""
        if self._kernel is None:
            return
        job = self._screen.label
        if event.message is None:
            if relay := _relays.pop(job, None):
                relay.finish()
            return
        if job not in _relays:
            from .relay import Relay

            _relays[job] = Relay(self._kernel, job)
        _relays[job].take(event.message, event.send, self._screen)

    def tick(self) -> None:
        """Draw what was gathered for long enough."""
        if relay := find(self._screen.label):
            relay.tick()

    def close(self) -> None:
        """Draw what is left: the cell has ended."""
        if relay := find(self._screen.label):
            relay.flush()

    def late(self, event: Event) -> None:
        """Take what a widget says after the cell. From any thread."""
        if self._loop is None or self._kernel is None or not isinstance(event, Relayed):
            return
        with self._lock:
            size = _weight(event)
            if event.message is not None and self._weight + size > WAITING:
                return
            self._weight += size
            self._waiting.append(event)
            if self._called:
                return
            self._called = True
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._draw, context=self._context)

    def _draw(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
            self._weight, self._called = 0, False
        for event in waiting:
            self.take(event)
        self._flush_soon()

    def _flush_soon(self) -> None:
        from .relay import GATHER

        relay = find(self._screen.label)
        if relay is not None and relay.waits and self._loop is not None:
            self._loop.call_later(GATHER, relay.flush, context=self._context)


def _weight(event: Relayed) -> int:
    message = event.message
    data = getattr(message, "data", None)
    return 1000 + weight(data) + sum(map(len, getattr(message, "buffers", ())))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
