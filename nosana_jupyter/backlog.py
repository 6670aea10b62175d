"""
What many hosts have still to do, cut into batches.

A batch is as long as the last ones were quick, so that thousands of small items cost a few
conversations and a long one keeps nobody waiting. What a lost host was at is halved and done again
elsewhere, until an item that ends its hosts is alone and can be named.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from .errors import JobError, NosanaError
from .sanitize import line

TARGET = 0.25
"""Seconds that a batch should take."""

LEAST = 0.05
"""Seconds that one should take: what a conversation costs is to be worth it."""

MOST = 500
"""Most items of a batch."""

HEAVY = 64 << 20
"""Bytes of arguments from which on a batch is full."""


class PoisonItem(JobError):
    """An item has ended every host that tried it."""


@dataclass(kw_only=True, slots=True, eq=False)
class Item:
    """One call."""

    number: int
    """Its place among the calls, from 0."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    future: Future[Any] = field(default_factory=Future)
    deaths: int = 0
    """Hosts that were lost while it ran there alone."""

    @property
    def name(self) -> str:
        """How errors call it: as in `item 17 (train(0.1))`."""
        told = ", ".join(map(_short, self.values))
        called = getattr(self.function, "__name__", type(self.function).__name__)
        return f"item {self.number} ({line(called)}({told}))"

    @property
    def values(self) -> tuple[Any, ...]:
        """Its arguments."""
        return (*self.args, *self.kwargs.values())

    def fail(self, error: BaseException) -> None:
        """Give its future an error, unless it has an end already."""
        if not self.future.done():
            self.future.set_exception(error)


class Backlog:
    """
    Items in the order in which they came. On one thread only.

    Args:
        hosts: Hosts that share it.
        retries: Hosts that an item may end before it is given up.
    """

    def __init__(self, hosts: int, *, retries: int) -> None:
        self._hosts = hosts
        self._retries = retries
        self._waiting: deque[Item] = deque()
        self._again: deque[list[Item]] = deque()
        self._pace: float | None = None
        """Seconds of an item, if anybody knows."""

        self._share = 1
        """Items that each host has where all have the same number."""

    def __len__(self) -> int:
        return len(self._waiting) + sum(map(len, self._again))

    def add(self, items: Iterable[Item]) -> None:
        """Append items."""
        self._waiting.extend(items)
        self._share = -(-len(self._waiting) // self._hosts)

    def take(self) -> list[Item]:
        """Return the next batch; it is empty where nothing waits that is still wanted."""
        while self._again:
            batch = [each for each in self._again.popleft() if not each.future.done()]
            if batch:
                return batch
        batch, most, weight = [], self._size(), 0
        counted: set[int] = set()
        while self._waiting and len(batch) < most and weight < HEAVY:
            item = self._waiting.popleft()
            if item.future.set_running_or_notify_cancel():
                batch.append(item)
                # What several items share goes once.
                weight += sum(_weight(each) for each in item.values if id(each) not in counted)
                counted |= set(map(id, item.values))
        return batch

    def timed(self, count: int, seconds: float) -> None:
        """Learn from a batch that is done."""
        pace = seconds / count
        if self._pace is None or pace > self._pace:
            # A slow one counts at once, a quick one for as many items as it had.
            self._pace = pace
        else:
            self._pace += (pace - self._pace) * count / (count + 1)

    def lost(self, batch: list[Item], error: NosanaError) -> None:
        """Take back what a lost host was at; give up an item that was alone there too often."""
        batch = [each for each in batch if not each.future.done()]
        if len(batch) > 1:
            middle = len(batch) // 2
            self._again.extendleft([batch[middle:], batch[:middle]])
            return
        for item in batch:
            item.deaths += 1
            if item.deaths < self._retries:
                self._again.append([item])
                continue
            hosts = "the host" if item.deaths == 1 else f"{item.deaths} hosts"
            poison = PoisonItem(
                f"{item.name} ended {hosts} that ran it alone: {error}", hint=error.hint
            )
            poison.__cause__ = error.with_traceback(None)
            item.fail(poison)

    def clear(self) -> list[Item]:
        """Return everything that waits, and forget it."""
        left = [item for batch in self._again for item in batch] + list(self._waiting)
        self._again.clear()
        self._waiting.clear()
        return left

    def _size(self) -> int:
        if self._pace is None:
            # Nobody has shown yet how long one takes.
            return 1
        pace = max(self._pace, 1e-9)
        fair = -(-len(self._waiting) // (2 * self._hosts))
        least = min(LEAST / pace, self._share)
        return max(1, int(min(max(fair, least), TARGET / pace, MOST)))


def _weight(value: Any) -> int:
    """Return about how many bytes a value is."""
    return int(getattr(value, "nbytes", 0)) or sys.getsizeof(value, 64)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - the user's own `__repr__` may raise anything
        text = f"<{type(value).__name__}: repr raised {type(error).__name__}>"
    text = line(text)
    return text if len(text) <= 40 else f"{text[:39]}…"
