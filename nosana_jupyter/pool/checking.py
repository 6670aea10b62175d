"""
The checks of all maps of one crew: which hosts were caught, and what is to be done on others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from concurrent.futures import Future
from typing import Any

from ..events import Event
from ..market.reputation import Reputation
from ..units import Seconds
from .audience import QUIET
from .auditing import Round
from .backlog import Backlog, Item

LOOK = 1.0
"""Seconds between two looks at what is held to be checked."""

OTHERS = Seconds(120)
"""Seconds that are waited for a further host, to check what others have found."""


class Checks:
    """
    What is checked. On the loop only.

    Args:
        backlog: Takes what is to be done once more.
        tell: Takes what is said of hosts that were caught.
    """

    def __init__(self, backlog: Backlog, tell: Callable[[Event], None]) -> None:
        self._backlog = backlog
        self._tell = tell
        self._rounds: set[Round] = set()
        self.banned: set[str] = set()
        """Hosts that were caught, and are not asked again."""

        self.records: Reputation | None = None
        """What is known of hosts, once the network is open."""

    def add(self, items: Iterable[Item]) -> None:
        """Note what is given to the hosts."""
        for each in items:
            if each.round is not None:
                each.round.add([each])
                self._rounds.add(each.round)

    @property
    def busy(self) -> bool:
        """Whether results are still held or checked."""
        return any(each.busy for each in self._rounds)

    def review(self) -> None:
        """Look what came, and put into the backlog what is to be checked of it."""
        if self.records is None:
            return
        for each in list(self._rounds):
            each.banned |= self.banned
            self._backlog.redo(each.review(self.records, self._tell))
            self.banned |= each.banned
            if not each.busy:
                self._rounds.discard(each)

    def abandon(self, futures: Set[Future[Any]] | None = None) -> None:
        """Give what is held as it is: of all rounds, or of those that some calls are of."""
        for each in list(self._rounds):
            if futures is None or each.futures & futures:
                each.abandon("the checks were given up")
                self._rounds.discard(each)

    def stuck(self, nodes: Set[str]) -> list[Item]:
        """Return what none of some hosts may run, nor any other that comes by itself."""
        return self._backlog.stuck(nodes, self.banned) if self._rounds else []

    def without(self, stuck: list[Item], why: Exception) -> None:
        """Do without what no other host can be had for."""
        self._backlog.remove(stuck)
        for item in stuck:
            if item.round is not None and item.audience is QUIET:
                item.round.none(item, str(why).partition("\n")[0])
                item.future.cancel()
            else:
                item.fail(why)
        self.review()
