"""
What the main thread does next. While there is nothing to do, tasks that cells have left behind go
on in their loop, as in a kernel.
"""

from __future__ import annotations

import asyncio
import queue
from typing import Generic, Optional, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """A queue that is waited for in a loop, if that has something to do."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[T] = queue.SimpleQueue()
        self.loop: Optional[asyncio.AbstractEventLoop] = None
        """In which cells await, once there is one."""

        self._turning: Optional[asyncio.Future[None]] = None

    def put(self, item: T) -> None:
        """Add something to do. From any thread."""
        self._queue.put(item)
        turning, loop = self._turning, self.loop
        if turning is not None and loop is not None:
            loop.call_soon_threadsafe(_stop, turning)

    def get(self) -> T:
        """Wait for the next thing to do."""
        loop = self.loop
        while loop is not None and _is_busy(loop):
            self._turning = turning = loop.create_future()
            try:
                if not self._queue.empty():
                    break
                loop.run_until_complete(turning)
            except (SystemExit, KeyboardInterrupt):
                # A task may not end what it lives in.
                continue
            finally:
                self._turning = None
        return self._queue.get()


def _is_busy(loop: asyncio.AbstractEventLoop) -> bool:
    """Say whether anything is to happen in a loop that stands still."""
    called = getattr(loop, "_scheduled", ()) or getattr(loop, "_ready", ())
    return bool(called or asyncio.all_tasks(loop))


def _stop(turning: asyncio.Future[None]) -> None:
    if not turning.done():
        turning.set_result(None)
