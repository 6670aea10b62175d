"""
What came of the items of one `map`, as they are asked for, and how far it is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from concurrent.futures import FIRST_COMPLETED, Future
from typing import Any, Protocol

from .errors import NosanaError
from .following import harmless
from .portal import TICK
from .units import MicroNos, nos

PATIENCE = 10.0
"""Seconds that interrupted items have to end in."""

REDRAW = 0.2
"""Seconds between two lines of progress."""


class Crowd(Protocol):
    """Whoever has the hosts."""

    progress: bool

    @property
    def hosts(self) -> int: ...

    @property
    def opening(self) -> int: ...

    @property
    def cost(self) -> MicroNos: ...

    def interrupt(self, given: Sequence[Future[Any]]) -> None: ...

    def end(self) -> None: ...


class Results(Iterator[Any]):
    """
    The results of one `map`, as they are asked for.

    Args:
        executor: Whose they are.
        items: Futures in the order of the items.
        ordered: Whether they are given in that order.
        timeout: Seconds in which all have to be there.
    """

    def __init__(
        self,
        executor: Crowd,
        items: Sequence[Future[Any]],
        *,
        ordered: bool,
        timeout: float | None,
    ) -> None:
        self.futures = tuple(items)
        """One for each item."""

        self._executor = executor
        self._left = dict.fromkeys(self.futures)
        self._ordered = ordered
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._drawn = 0.0
        self._line = ""

    def __iter__(self) -> Results:
        return self

    def __len__(self) -> int:
        return len(self.futures)

    def __next__(self) -> Any:
        if not self._left:
            self._draw(last=True)
            raise StopIteration
        try:
            future = self._wait()
        except BaseException:
            self._draw(last=True)
            raise
        del self._left[future]
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._draw(last=True)
            raise harmless(error) if isinstance(error, NosanaError) else error
        return future.result()

    def partial(self) -> dict[int, Any]:
        """Return the results that are there, by the number of the item, without waiting."""
        return {
            number: future.result()
            for number, future in enumerate(self.futures)
            if future.done() and not future.cancelled() and future.exception() is None
        }

    def errors(self) -> dict[int, BaseException]:
        """Return what items raised so far, by the number of the item."""
        found = {
            number: future.exception()
            for number, future in enumerate(self.futures)
            if future.done() and not future.cancelled()
        }
        return {number: error for number, error in found.items() if error is not None}

    def _wait(self) -> Future[Any]:
        """Return the next future that is done."""
        wanted = [next(iter(self._left))] if self._ordered else list(self._left)
        try:
            while True:
                done, _ = futures.wait(wanted, timeout=TICK, return_when=FIRST_COMPLETED)
                self._draw()
                if done:
                    return done.pop()
                if self._deadline is not None and time.monotonic() > self._deadline:
                    raise TimeoutError
        except KeyboardInterrupt:
            self._stop()
            raise
        except BaseException:
            self._executor.interrupt(self.futures)
            raise

    def _stop(self) -> None:
        """Interrupt what runs, and wait until it has ended; one more Ctrl-C ends the hosts."""
        self._executor.interrupt(self.futures)
        deadline = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < deadline:
                if not futures.wait(self.futures, timeout=TICK).not_done:
                    return
        except KeyboardInterrupt:
            self._executor.end()

    def _draw(self, *, last: bool = False) -> None:
        """Say how far it is."""
        now = time.monotonic()
        if not self._executor.progress or not (last or now - self._drawn > REDRAW):
            return
        self._drawn = now
        done = sum(future.done() for future in self.futures)
        text = f"{done:,} of {len(self.futures):,} items, {self._hosts()}, "
        text += nos(self._executor.cost)
        if text != self._line or (last and self._line):
            sys.stderr.write(f"\r{text:<{len(self._line)}}" + ("\n" if last else ""))
            sys.stderr.flush()
            self._line = "" if last else text

    def _hosts(self) -> str:
        """Say how many hosts there are, and how many are waited for."""
        hosts, more = self._executor.hosts, self._executor.opening
        if not hosts and more:
            return "waiting for a host" if more == 1 else f"waiting for {more} hosts"
        told = "1 host" if hosts == 1 else f"{hosts} hosts"
        return f"{told}, waiting for {more} more" if more else told
