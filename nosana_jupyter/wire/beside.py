"""
Hashing beside the line: to hash takes longer than all else that is done to bytes on their way.

There is one thread for it, which takes what it is given in order. It gives Python up while it
hashes, so that the line goes on where there is another processor.
"""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

WAITING = 64
"""Most pieces of work that wait; with chunks of 256 KiB, 16 MiB that are held for it."""


@functools.lru_cache(maxsize=1)
def _thread(_process: int) -> ThreadPoolExecutor:
    # By process: a child that is forked has not the thread of its parent.
    return ThreadPoolExecutor(1, thread_name_prefix="hash")


def begin(work: Callable[..., T], *arguments: Any) -> Future[T]:
    """Start something on that thread."""
    return _thread(os.getpid()).submit(work, *arguments)


class Beside:
    """Work of one kind, whose results are wanted once all of it is there."""

    def __init__(self) -> None:
        self._waits: deque[Future[Any]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waits)

    def do(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Do something beside; wait where too much waits."""
        self._waits.append(begin(work, *arguments))
        while self._waits[0].done() or len(self._waits) > WAITING:
            self._waits.popleft().result()
            if not self._waits:
                return

    def wait(self) -> None:
        """Wait until all is done."""
        while self._waits:
            self._waits.popleft().result()
