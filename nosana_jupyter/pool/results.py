"""
What came of the items of one `map`, as they are asked for.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import Future
from typing import Any, Protocol

from ..errors import NosanaError
from ..market.findings import Finding
from ..portal import TICK
from ..portal.following import harmless
from .auditing import Round
from .progress import Crowd, Progress

PATIENCE = 10.0
"""Seconds that interrupted items have to end in."""

PULL = 0.05
"""Seconds that items are taken for, before it is looked at what is done."""

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Workers(Crowd, Protocol):
    """Whoever works the items off."""

    def give(
        self, calls: Sequence[Call], first: int, checks: Round | None = None
    ) -> list[Future[Any]]: ...

    def interrupt(self, given: Sequence[Future[Any]]) -> None: ...

    def end(self) -> None: ...


class Results(Iterator[Any]):
    """
    The results of one `map`, as they are asked for.

    Args:
        workers: Work the items off.
        calls: The items.
        total: How many there are, if that is known.
        ahead: Most items that are taken before their results are asked for. None: all.
        ordered: Whether results are given in the order of the items.
        timeout: Seconds in which all have to be there.
        checks: Look at results before they are given.
    """

    def __init__(
        self,
        workers: Workers,
        calls: Iterator[Call],
        *,
        total: int | None,
        ahead: int | None,
        ordered: bool,
        timeout: float | None,
        checks: Round | None = None,
    ) -> None:
        self._workers = workers
        self._calls: Iterator[Call] | None = calls
        self._total = total
        self._ahead = ahead
        self._ordered = ordered
        self._timeout = timeout
        self._checks = checks
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._futures: list[Future[Any]] = []
        self._ended: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        """Those that are done, in that order."""

        self._left: deque[Future[Any]] = deque()
        """Those that are still to be given: done ones, or all if they are given in order."""

        self._given = self._done = self._failed = 0
        self._progress = Progress(workers)
        self._pull()

    @property
    def futures(self) -> tuple[Future[Any], ...]:
        """One for each item that was taken so far."""
        return tuple(self._futures)

    def __iter__(self) -> Results:
        return self

    def __len__(self) -> int:
        return len(self._futures) if self._total is None else self._total

    def __next__(self) -> Any:
        try:
            future = self._next()
        except BaseException:
            self._tell(last=True)
            raise
        if future is None:
            self._tell(last=True)
            raise StopIteration
        self._given += 1
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._tell(last=True)
            raise harmless(error) if isinstance(error, NosanaError) else error
        return future.result()

    @property
    def verified(self) -> str:
        """What was checked of the results and what came of it, as in `spot-checked 5 of 100`."""
        if self._checks is None:
            return "unverified: no audit was asked for"
        return self._checks.tally.label

    @property
    def caught(self) -> tuple[Finding, ...]:
        """What was found of hosts whose results were wrong."""
        return () if self._checks is None else tuple(self._checks.tally.caught)

    def partial(self) -> dict[int, Any]:
        """Return the results that are there, by the number of the item, without waiting."""
        return {
            number: future.result()
            for number, future in enumerate(self._futures)
            if future.done() and not future.cancelled() and future.exception() is None
        }

    def errors(self) -> dict[int, BaseException]:
        """Return what items raised so far, by the number of the item."""
        found = {
            number: future.exception()
            for number, future in enumerate(self._futures)
            if future.done() and not future.cancelled()
        }
        return {number: error for number, error in found.items() if error is not None}

    def _pull(self) -> None:
        """Take items, as many as there is room for, but for a moment only."""
        if self._calls is None:
            return
        waiting = len(self._futures) - self._given
        if self._ahead is not None and waiting > self._ahead // 2:
            return
        until = time.monotonic() + PULL
        taken: list[Call] = []
        try:
            for call in self._calls:
                taken.append(call)
                if self._ahead is not None and (
                    waiting + len(taken) >= self._ahead or time.monotonic() > until
                ):
                    break
            else:
                self._calls, self._total = None, len(self._futures) + len(taken)
        except BaseException:
            # What makes the items has raised, or was interrupted: there are no more.
            self._calls = None
            raise
        finally:
            # What was taken is done all the same.
            made = self._workers.give(taken, len(self._futures), self._checks)
            self._futures += made
            if self._ordered:
                self._left += made
            for each in made:
                each.add_done_callback(self._ended.put)

    def _next(self) -> Future[Any] | None:
        """Return the next future that is done; nothing if there is none left."""
        try:
            while True:
                self._pull()
                if self._calls is None and self._given == len(self._futures):
                    return None
                self._note(wait=not self._is_ready())
                self._tell()
                if self._is_ready():
                    return self._left.popleft()
                if self._deadline is not None and time.monotonic() > self._deadline:
                    left = len(self) - self._done
                    raise TimeoutError(f"{left:,} items are not done after {self._timeout:g} s")
        except KeyboardInterrupt:
            self._stop()
            raise
        except BaseException:
            self._workers.interrupt(self._futures)
            raise

    def _is_ready(self) -> bool:
        return bool(self._left) and self._left[0].done()

    def _note(self, *, wait: bool) -> None:
        """Learn which are done, of those that are after a while."""
        try:
            while True:
                future = self._ended.get(block=wait, timeout=TICK)
                wait = False
                self._done += 1
                self._failed += future.cancelled() or future.exception() is not None
                if not self._ordered:
                    self._left.append(future)
        except queue.Empty:
            return

    def _stop(self) -> None:
        """Interrupt what runs, and wait until it has ended; one more Ctrl-C ends the hosts."""
        self._workers.interrupt(self._futures)
        deadline = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < deadline:
                if not futures.wait(self._futures, timeout=TICK).not_done:
                    return
        except KeyboardInterrupt:
            self._workers.end()

    def _tell(self, *, last: bool = False) -> None:
        """Say how far it is."""
        if last:
            self._note(wait=False)
        done, more = self._done, ""
        if (checks := self._checks) is not None:
            done += checks.held
            more = (
                checks.tally.label
                if last
                else f"checking {checks.checking}"
                if checks.checking
                else ""
            )
        self._progress.tell(done, self._failed, self._total, more=more, last=last)
