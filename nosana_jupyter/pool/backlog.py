"""
What many hosts have still to do, cut into batches.

A batch is as long as the last ones were quick, so that thousands of small items cost a few
conversations and a long one keeps nobody waiting. What a lost host was at is halved and done again
elsewhere, until an item that ends its hosts is alone and can be named.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ..errors import JobError, NosanaError
from ..sanitize import line
from ..trust.ballot import Came
from .audience import QUIET, Audience
from .auditing import Round

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
    audience: Audience
    """Hears what it prints."""

    future: Future[Any] = field(default_factory=Future)
    deaths: int = 0
    """Hosts that were lost while it ran there alone."""

    dropped: bool = False
    """Whether nobody wants it any more, though it runs."""

    round: Round | None = None
    """Checks its result before anybody gets it."""

    apart: frozenset[str] = frozenset()
    """Addresses of hosts that are not to run it."""

    known: tuple[Came, ...] = ()
    """The answer, where that is known."""

    hidden: bool = False
    """Whether it is a canary, whose result nobody gets."""

    came: Came | None = None
    """What a host says of it, as long as that is held."""

    @property
    def label(self) -> str:
        """How what it prints is marked."""
        return f"item {self.number}"

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

    @property
    def is_masked(self) -> bool:
        """Whether its host is not to know which of many it is."""
        return self.round is not None and bool(self.round.plan.canaries)

    @property
    def ended(self) -> bool:
        """Whether nothing more of it is to be done."""
        return self.future.done() or self.came is not None

    def copied(self, *, apart: Set[str]) -> Item:
        """Return the same call for another host, of which nobody hears but its round."""
        return Item(
            number=self.number, function=self.function, args=self.args, kwargs=self.kwargs,
            audience=QUIET, round=self.round, apart=frozenset(apart),
        )  # fmt: skip

    def end(self, came: Came) -> None:
        """Take what a host says of it, unless it has an end already."""
        if self.ended:
            return
        if self.round is not None:
            self.round.came(self, came)
        elif came.error is not None:
            self.fail(came.error)
        else:
            self.future.set_result(came.value)

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

        self._ran: dict[int, object] = {}
        """Functions that hosts have run, by identity."""

        self._unread: set[tuple[int, str]] = set()
        """Functions that no host could read with an item alone, and why."""

        self._share = 1
        """Items that each host has where all have the same number."""

    def __len__(self) -> int:
        return len(self._waiting) + sum(map(len, self._again))

    def add(self, items: Iterable[Item]) -> None:
        """Append items."""
        self._waiting.extend(items)
        self._share = -(-len(self._waiting) // self._hosts)

    def has(self, node: str) -> bool:
        """Say whether something waits that a host may run."""
        return bool(self._waiting) or any(node not in e.apart for b in self._again for e in b)

    def stuck(self, nodes: Set[str], banned: Set[str]) -> list[Item]:
        """Return what neither one of some hosts may run, nor any other that comes by itself."""
        return [
            item
            for batch in self._again
            for item in batch
            if not item.ended and item.apart - banned and nodes - banned <= item.apart
        ]

    def free(self, banned: Set[str]) -> int:
        """Return how much waits that any host may run, but for those that are banned."""
        again = sum(item.apart <= banned for batch in self._again for item in batch)
        return len(self._waiting) + again

    def redo(self, items: Sequence[Item]) -> None:
        """Put before all others what is to be done on certain hosts only."""
        size = self._size()
        alike: dict[tuple[frozenset[str], Audience], list[Item]] = {}
        for each in items:
            alike.setdefault((each.apart, each.audience), []).append(each)
        for group in alike.values():
            self._again.extend(group[at : at + size] for at in range(0, len(group), size))

    def remove(self, items: Iterable[Item]) -> None:
        """Forget what waits of some items that were to be done again."""
        gone = set(items)
        batches = [[e for e in batch if e not in gone] for batch in self._again]
        self._again = deque(each for each in batches if each)

    def take(self, node: str = "") -> list[Item]:
        """Return a host's next batch; it is empty where nothing waits that is still wanted."""
        for _ in range(len(self._again)):
            waiting = [each for each in self._again.popleft() if not each.ended]
            batch = [each for each in waiting if node not in each.apart]
            if len(batch) < len(waiting):
                self._again.append([each for each in waiting if node in each.apart])
            if batch:
                return batch
        batch, most, weight = [], self._size(), 0
        counted: set[int] = set()
        while self._waiting and len(batch) < most and weight < HEAVY:
            if batch and self._waiting[0].audience is not batch[0].audience:
                break
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

    def ran(self, function: object) -> None:
        """Note that a function has run somewhere."""
        self._ran[id(function)] = function

    def unread(self, function: object, why: str, *, alone: bool) -> bool:
        """Note that a host could not read a batch; say whether none of it will ever be read."""
        key = id(function), why
        if alone:
            self._unread.add(key)
        return alone or (key in self._unread and key[0] not in self._ran)

    def lost(self, batch: list[Item], error: NosanaError) -> None:
        """Take back what a lost host was at; give up an item that was alone there too often."""
        batch = [each for each in batch if not each.ended]
        if len(batch) > 1:
            self.split(batch)
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

    def split(self, batch: Sequence[Item]) -> None:
        """
        Take back those of a batch that have no end, in smaller ones.

        The first is alone: as results come back one by one, it was most likely at work.
        """
        left = [each for each in batch if not each.ended]
        middle = (len(left) + 1) // 2
        parts = left[:1], left[1:middle], left[middle:]
        self._again.extendleft(part for part in reversed(parts) if part)

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
