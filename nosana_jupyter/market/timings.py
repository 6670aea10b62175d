"""
How fast hosts are, beside others that have done the same.

Nobody is paid to run a benchmark. What hosts do anyway is timed: the same cell, the items of the
same `map`, a runner's start. A time says something only beside those of other hosts of the same
market, which promise the same card: so a host's pace is the middle of its ratios to their medians.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from statistics import median

SCHEMA = """
create table if not exists timings (
    network text not null,
    node text not null,
    market text not null,
    what text not null,
    seconds real not null,
    at real not null
);
create index if not exists timings_by_what on timings (network, market, what, node);
create index if not exists timings_by_node on timings (network, node);
"""

KEPT = 20
"""Times of one thing on one host that are kept, the newest."""

LEAST = 3
"""Times that a host must have beside others' before it is called slow."""

SLOW = 1.5
"""Times the others' median from which on a host is slow."""

SHORT = 0.05
"""Seconds below which a time says more of the line than of the host."""

RECENT = 30 * 86_400.0
"""Seconds for which a time counts."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a host is."""

    ratio: float = 1.0
    """Its times to those of others, in the middle: 2 is half as fast."""

    count: int = 0
    """Times of it that others' were beside. With 0 nobody knows."""

    @property
    def is_slow(self) -> bool:
        return self.count >= LEAST and self.ratio > SLOW

    @property
    def text(self) -> str:
        """The same in words."""
        if not self.count:
            return ""
        return f"{self.ratio:.2g} × the others' time, by {self.count}"


UNTIMED = Pace()


class Timings:
    """
    The table, in the journal's file.

    Args:
        db: The file.
        network: Name of the network.
    """

    def __init__(self, db: sqlite3.Connection, network: str) -> None:
        self._db = db
        self._network = network

    def note(self, node: str, market: str, what: str, seconds: float) -> None:
        """Note how long a host of a market took for something that others may do, too."""
        if not node or seconds < SHORT:
            return
        self._db.execute(
            "insert into timings values (?, ?, ?, ?, ?, ?)",
            (self._network, node, market, what, seconds, time.time()),
        )
        self._db.execute(
            "delete from timings where rowid in (select rowid from timings where network = ? "
            "and market = ? and what = ? and node = ? order by at desc limit -1 offset ?)",
            (self._network, market, what, node, KEPT),
        )

    def last(self, node: str, what: str) -> float:
        """Return the Unix time at which a host last did something; 0 if it never did."""
        (found,) = self._db.execute(
            "select max(at) from timings where network = ? and node = ? and what = ?",
            (self._network, node, what),
        ).fetchone()
        return float(found or 0)

    def pace(self, node: str) -> Pace:
        """Return how fast a host is beside others that did the same."""
        rows = self._db.execute(
            "select t.market, t.what, t.node, t.seconds from timings t where t.network = :network "
            "and t.at > :since and (t.market, t.what) in (select market, what from timings where "
            "network = :network and node = :node)",
            {"network": self._network, "node": node, "since": time.time() - RECENT},
        )
        groups: dict[tuple[str, str], dict[str, list[float]]] = {}
        for market, what, who, seconds in rows:
            groups.setdefault((market, what), {}).setdefault(who, []).append(seconds)
        ratios = []
        for each in groups.values():
            mine = each.pop(node, [])
            if mine and each:
                # Each host counts once, however often it ran.
                usual = median(median(times) for times in each.values())
                ratios += [seconds / usual for seconds in mine]
        return Pace(median(ratios), len(ratios)) if ratios else UNTIMED
