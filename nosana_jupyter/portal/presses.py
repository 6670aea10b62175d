"""
Ctrl-C, counted while a cell is followed.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from .cellrun import Following

PATIENCE = 3.0
"""Seconds for settling a job that was given up; then one more Ctrl-C leaves it to `sweep`."""


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
        self._wake: Callable[[], None] | None = None
        """Wakes who follows the run that was acted upon last."""

    def __enter__(self) -> Self:
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

    def act(self, run: Following[Any]) -> None:
        """
        Interrupt the cell at the first, end the job at the second.

        Raises:
            KeyboardInterrupt: There were more, and the job is still not settled.
        """
        self._wake = run.wake
        while self._seen < self.count:
            self._seen += 1
            if self.ends():
                run.part()
            elif self._seen == 1:
                run.interrupt()
            elif not self._given_up:
                self._given_up = time.monotonic()
                run.abandon()
            elif time.monotonic() - self._given_up > PATIENCE:
                raise KeyboardInterrupt
            else:
                run.abandon()  # The first may have come too soon to be meant.

    def ends(self) -> bool:
        """Say whether it was no Ctrl-C, but is the end of this process."""
        return False

    def _press(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self._wake is not None:
            self._wake()
