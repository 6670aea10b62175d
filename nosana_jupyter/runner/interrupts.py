"""
Ctrl-C from far away: SIGINT for the main thread, while a cell runs and only then.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

INSISTENCE = 50
"""Times that an interrupt is repeated while nothing comes of it."""

AGAIN = 0.02
"""Seconds between two of them."""


class Interrupts:
    """Turns requests of any thread into a `KeyboardInterrupt` in the main thread's cell."""

    def __init__(self) -> None:
        self._main = threading.main_thread().ident or 0
        self._armed = False
        self._wanted = False
        self._depth = 0

    def request(self) -> None:
        """
        Interrupt the cell; one that is still being prepared is interrupted as it starts.

        Who asks for it calls `insist` every `AGAIN` seconds, as long as that says so.
        """
        self._wanted = True
        if os.name == "posix":
            signal.pthread_kill(self._main, signal.SIGINT)
        elif self._armed:
            import _thread

            _thread.interrupt_main()

    def insist(self) -> bool:
        """Interrupt again if nothing came of it; say whether to ask once more."""
        # One that comes just before the main thread begins to wait does not wake it.
        if os.name != "posix" or not (self._wanted and self._armed):
            return False
        signal.pthread_kill(self._main, signal.SIGINT)
        return True

    def forget(self) -> None:
        """Forget a request that came too late, before the next cell."""
        self._wanted = False

    def hold(self) -> None:
        """Ignore SIGINT until a cell is armed."""
        signal.signal(signal.SIGINT, self._handle)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Let requests through in this block."""
        # The last cell may have put a handler of its own.
        signal.signal(signal.SIGINT, self._handle)
        self._armed = True
        try:
            if self._wanted:
                self._raise()
            yield
        finally:
            self._armed = False

    # As a context: hold interrupts off for a moment, so that no output is lost half-way.

    def __enter__(self) -> None:
        if threading.get_ident() == self._main:
            self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if threading.get_ident() == self._main:
            self._depth -= 1
            if self._wanted and self._armed and not self._depth:
                self._raise()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        # Ctrl-C in the terminal of a host without containers reaches this process too.
        if self._armed and not self._depth:
            self._raise()
        self._wanted = True

    def _raise(self) -> None:
        self._wanted = False
        raise KeyboardInterrupt
