"""
What hosts keep of this wallet's models and links, as its last job there has told.

It is a host's word, and it ages: hosts forget what no job has used for a day, and the next job may
find that it is gone already. What a host said it kept and then had not is counted, and each time
halves how long it is believed.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..units import duration, size

SCHEMA = """
create table if not exists caches (
    network text not null,
    account text not null,
    node text not null,
    kind text not null,
    name text not null,
    size integer not null,
    at real not null,
    primary key (network, account, node, kind, name)
);
create table if not exists cache_misses (
    network text not null,
    node text not null,
    misses integer not null,
    primary key (network, node)
);
"""

KEPT = 86_400.0
"""Seconds for which a host keeps what no job has used since."""

MOST_MISSES = 6
"""After so many a host is believed for a quarter of an hour, and never less."""

SHOWN = 2
"""Names that are said; of the others their number."""

RESOURCE = "resource"
"""Kind of what a job's definition names: the host fetches it, and cells do not see it."""

Want = tuple[str, str]
"""Kind and name of what a job will read."""


@dataclass(frozen=True, slots=True)
class Cached:
    """A model, a set of data, or what a link led to."""

    kind: str
    name: str
    size: int
    """Bytes; 0 where the host has not said."""

    @property
    def want(self) -> Want:
        return self.kind, self.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a job has told of its host."""

    found: tuple[Cached, ...] = ()
    """What was there when it began."""

    now: tuple[Cached, ...] = ()
    """What was there at its end."""

    whole: bool = True
    """Whether that is all of what cells find, and not a part."""

    cut: bool = False
    """Whether there was too much to tell all: then nobody knows what is missing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What a host is believed to keep of this wallet's."""

    node: str
    things: tuple[Cached, ...]
    """The largest first."""

    at: float
    """Unix time of the last job that has told."""

    def has(self, wants: Iterable[Want]) -> tuple[Cached, ...]:
        """Return what of it a job will read."""
        wanted = set(wants)
        return tuple(each for each in self.things if each.want in wanted)

    @property
    def text(self) -> str:
        """All of it, as a sentence."""
        ago = duration(max(1, int(time.time() - self.at)))
        whole, names = _whole(self.things), _names(self.things)
        return f"host {self.node[:8]}… keeps {whole}from your last job there, {ago} ago: {names}"


def spelled(things: Sequence[Cached]) -> str:
    """Say what it is, and how much."""
    whole = _whole(things).strip()
    return f"{_names(things)}{f' ({whole})' if whole else ''}"


def listed(names: Sequence[str]) -> str:
    """Say some names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _names(things: Sequence[Cached]) -> str:
    return listed([each.name for each in things])


def _whole(things: Sequence[Cached]) -> str:
    whole = sum(each.size for each in things)
    return f"{size(whole)} " if whole else ""


class Caches:
    """
    The table, in the journal's file.

    Args:
        db: The file.
        network: Name of the network.
        account: Who pays: what a host keeps, it keeps for the jobs of one payer.
    """

    def __init__(self, db: sqlite3.Connection, network: str, account: str) -> None:
        self._db = db
        self._network = network
        self._account = account

    def of(self, node: str) -> Held | None:
        """Return what a host is believed to keep; nothing if that is not known, or too old."""
        since = time.time() - KEPT / 2 ** self._misses(node)
        rows = self._db.execute(
            "select kind, name, size, at from caches where network = ? and account = ? "
            "and node = ? and at > ? order by size desc, name",
            (self._network, self._account, node, since),
        ).fetchall()
        if not rows:
            return None
        things = tuple(Cached(kind, name, count) for kind, name, count, _ in rows)
        return Held(node=node, things=things, at=max(at for *_, at in rows))

    def note(self, node: str, report: Report) -> None:
        """Note what a job has told, and whether its host had what it was believed to have."""
        held = self.of(node)
        asked = {each.want for each in (*report.found, *report.now)}
        believed = [
            each.want
            for each in (held.things if held is not None else ())
            if (each.kind != RESOURCE if report.whole else each.want in asked)
        ]
        found = {each.want for each in report.found}
        if believed and not report.cut:
            self._judge(node, missing=not found.issuperset(believed))
        with self._all():
            where, key = "network = ? and account = ? and node = ?", (
                self._network, self._account, node)  # fmt: skip
            if report.whole:
                self._db.execute(f"delete from caches where {where} and kind != '{RESOURCE}'", key)
            self._db.executemany(
                f"delete from caches where {where} and kind = ? and name = ?",
                [(*key, *each) for each in asked],
            )
            self._db.execute("delete from caches where at < ?", (time.time() - KEPT,))
            self._db.executemany(
                "insert or replace into caches values (?, ?, ?, ?, ?, ?, ?)",
                [(*key, each.kind, each.name, each.size, time.time()) for each in report.now],
            )

    def _all(self) -> sqlite3.Connection:
        self._db.execute("begin immediate")
        return self._db

    def _misses(self, node: str) -> int:
        row = self._db.execute(
            "select misses from cache_misses where network = ? and node = ?", (self._network, node)
        ).fetchone()
        return 0 if row is None else int(row[0])

    def _judge(self, node: str, *, missing: bool) -> None:
        """Note that a host had what it was believed to have, or had it not."""
        misses = self._misses(node) + (1 if missing else -1)
        self._db.execute(
            "insert or replace into cache_misses values (?, ?, ?)",
            (self._network, node, min(MOST_MISSES, max(0, misses))),
        )
