"""
What was found when a host's result was not what it should be: who, on which job, against whom.

It is evidence for others, too: each result has its digest, as in receipts.
"""

from __future__ import annotations

import sqlite3

import msgspec

SCHEMA = """
create table if not exists findings (
    network text not null,
    node text not null,
    at real not null,
    finding blob not null
);
create index if not exists findings_by_node on findings (network, node, at);
"""


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """What one host made of the same work."""

    node: str
    """Address of the host. Empty: the answer was known."""

    job: str
    """Address of the job it ran in. Empty: none of this network."""

    digest: str = ""
    """SHA-256 of its result, as plain data; empty where it has no such form."""

    text: str = ""
    """The result in a few characters."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One host's result that was not that of the others."""

    network: str
    node: str
    """Address of the host whose result it was."""

    job: str
    """Address of the job it was made in."""

    what: str
    """What was computed, in words: `item 17 (train(0.1))`, or a cell's first line."""

    kind: str
    """How it was found: `verify`, `audit` or `canary`."""

    found: Vote
    others: tuple[Vote, ...]
    """Who found otherwise, and agrees."""

    places: tuple[str, ...] = ()
    """Where they differ."""

    at: float
    """Unix time at which it was decided."""

    @property
    def why(self) -> str:
        """What is held against the host, as one sentence."""
        known = "the known answer is" if any(not each.node for each in self.others) else ""
        text = self.others[0].text if self.others else ""
        others = sum(bool(each.node) for each in self.others)
        who = known or ("another host found" if others == 1 else f"{others} other hosts found")
        return f"{self.what}: it found {self.found.text}, {who} {text}"

    @property
    def advice(self) -> str:
        """Where the host is now among others, and the one command that has its stake taken."""
        # Elsewhere nobody takes reports: only Nosana's own key can slash.
        test = f"; to have it tested: {reporting(self.node)}" if self.network == "local" else ""
        return f"host {self.node[:12]} comes last from now on: see %nosana hosts{test}"


def reporting(node: str) -> str:
    """Return the command that reports a host."""
    return f"%nosana hosts report {node[:12]}"


class Findings:
    """
    The table, in the journal's file.

    Args:
        db: The file.
        network: Name of the network.
    """

    def __init__(self, db: sqlite3.Connection, network: str) -> None:
        self._db = db
        self._network = network

    def keep(self, finding: Finding) -> None:
        """Write one down."""
        self._db.execute(
            "insert into findings values (?, ?, ?, ?)",
            (self._network, finding.node, finding.at, msgspec.json.encode(finding)),
        )

    def of(self, node: str = "") -> list[Finding]:
        """Return what was found of a host, or of all, newest first."""
        where, values = ("and node = ?", (node,)) if node else ("", ())
        rows = self._db.execute(
            f"select finding from findings where network = ? {where} order by at desc",
            (self._network, *values),
        )
        return [msgspec.json.decode(row, type=Finding) for (row,) in rows]
