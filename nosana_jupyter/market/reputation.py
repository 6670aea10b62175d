"""
What this machine has seen of each host, and what follows for the choice among them.

A client cannot take a host's stake; what a host that lies has to lose here is our trade. So a
failure is forgiven with the next cell that runs, or after half an hour. What no runner of ours says
keeps a host away for a day, and a result that was not that of others for a week, twice as long each
time: that is never forgotten. A host whose results have agreed again and again is compared less.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from .. import database, settings
from . import caches, findings, timings
from .caches import Caches, Held, Report
from .findings import Finding, Findings
from .timings import Pace, Timings

log = logging.getLogger("nosana_jupyter.market.reputation")

_SCHEMA = """
create table if not exists reputation (
    network text not null,
    node text not null,
    done integer not null default 0,
    failed integer not null default 0,
    differed integer not null default 0,
    agreed integer not null default 0,
    lied integer not null default 0,
    avoid_until real not null default 0,
    why text not null default '',
    seen real not null,
    primary key (network, node)
);
"""

SCHEMA = _SCHEMA + findings.SCHEMA + timings.SCHEMA + caches.SCHEMA

FORGIVEN = 1800.0
"""Seconds for which a host that failed comes last."""

BAN = 7 * 86_400.0
"""Seconds for which a host comes last whose result was another; twice as long each time."""

LIE = 86_400.0
"""
Seconds for which a host comes last that broke the rules; twice as long each time. The runner's
sources come from us, so it is no mistake of theirs.
"""

LONGEST_BAN = 365 * 86_400.0

TRUSTED = 10
"""
Agreeing results in a row from which a host is compared less: with n of them, n times less than one
with one. The rule is BOINC's, of adaptive replication.
"""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one host."""

    node: str
    done: int = 0
    """Cells that it has run."""

    failed: int = 0
    """Jobs that it has failed before a cell began."""

    differed: int = 0
    """Results that were not those of others."""

    lied: int = 0
    """Times it has said what no runner says."""

    agreed: int = 0
    """Results in a row that were compared with others', and agreed."""

    avoid_until: float = 0.0
    """Unix time until which it comes last."""

    why: str = ""
    """What was last held against it."""

    seen: float = 0.0
    """Unix time of what was last seen of it."""

    @property
    def share(self) -> float:
        """How much of the usual share of its results is compared, from 0 to 1."""
        return 1.0 if self.agreed < TRUSTED else TRUSTED / (TRUSTED + self.agreed)


class Reputation:
    """
    The table, in the journal's file. Safe to be opened by several processes at once.

    Args:
        network: Name of the network that the hosts are on.
        path: The journal's file. By default in the data folder.
        account: Who pays: hosts keep what jobs fetch for the next ones of the same payer.
    """

    def __init__(self, network: str, path: Path | None = None, *, account: str = "") -> None:
        self._network = network
        path = path or settings.home() / "journal.sqlite"
        self._db = database.open_file(path, SCHEMA, durable=False, isolation_level=None)
        self._widen()
        self.findings = Findings(self._db, network)
        self.timings = Timings(self._db, network)
        self.caches = Caches(self._db, network, account)

    def _widen(self) -> None:
        """Add to a table of an earlier version what it lacks."""
        if "lied" not in {row[1] for row in self._db.execute("pragma table_info(reputation)")}:
            with contextlib.suppress(database.JournalError):  # Another process was faster.
                self._db.execute(
                    "alter table reputation add column lied integer not null default 0"
                )

    def close(self) -> None:
        self._db.close()

    def ran(self, node: str) -> None:
        """Note that a host has run a cell: its failures are forgiven."""
        self._note(
            node,
            "done = done + 1, "
            "avoid_until = case when differed + lied > 0 then avoid_until else 0 end",
        )

    def failed(self, node: str, why: str) -> None:
        """Note that a host has failed before a cell began on it."""
        self._note(
            node,
            "failed = failed + 1, why = :why, avoid_until = max(avoid_until, :until)",
            why=why,
            until=time.time() + FORGIVEN,
        )

    def agreed(self, node: str) -> None:
        """Note that a host's result was that of others."""
        self._note(node, "agreed = agreed + 1")

    def differed(self, node: str, why: str) -> None:
        """Note that a host's result was not that of others."""
        self._ban(node, "differed", why, BAN * 2 ** min(self.of(node).differed, 10))

    def found(self, finding: Finding, *, again: bool = False) -> None:
        """
        Note that a host's result was not that of others, and what shows it.

        Args:
            finding: What shows it.
            again: Whether it was caught with the same work before: one map is one offence.
        """
        try:
            self.findings.keep(finding)
        except database.JournalError as error:  # No cell ends for that.
            log.warning("what shows it of host %s is not kept: %s", finding.node, error)
        if not again:
            self.differed(finding.node, finding.why)

    def lied(self, node: str, why: str) -> None:
        """Note that a host has said, on the sealed line, what no runner says."""
        self._ban(node, "lied", why, LIE * 2 ** min(self.of(node).lied, 10))

    def timed(self, node: str, market: str, what: str, seconds: float) -> None:
        """Note how long a host of a market took for what others may do, too."""
        try:
            self.timings.note(node, market, what, seconds)
        except database.JournalError as error:  # No cell ends for that.
            log.warning("how fast host %s is is not noted: %s", node, error)

    def pace(self, node: str) -> Pace:
        """Return how fast a host is beside others of its market."""
        return self.timings.pace(node)

    def is_slow(self, node: str) -> bool:
        """Say whether a host is known to be slower than others of its market."""
        return bool(node) and self.pace(node).is_slow

    def started(self, node: str, image: str) -> float:
        """Return the Unix time at which a host last started an image; 0 if it was never seen to."""
        return self.timings.last(node, f"start {image}")

    def kept(self, node: str) -> Held | None:
        """Return what a host is believed to keep for the jobs of who pays here."""
        return self.caches.of(node)

    def keeps(self, node: str, report: Report) -> None:
        """Note what a job has told that its host keeps."""
        try:
            self.caches.note(node, report)
        except database.JournalError as error:  # No cell ends for that.
            log.warning("what host %s keeps is not noted: %s", node, error)

    def rank(self, node: str) -> float:
        """Rank a host among those that wait, the lowest first: the slow, and last the avoided."""
        return 2.0 * (self.of(node).avoid_until > time.time()) + self.is_slow(node)

    def forgive(self, node: str) -> Record | None:
        """
        Let a host be asked again as others are; return what was known of it, if anything was.

        What shows it is kept, but a next ban begins at the shortest, and its results are
        compared as those of one that nobody knows.
        """
        known = self.of(node)
        if not known.seen:
            return None
        self._note(node, "avoid_until = 0, differed = 0, lied = 0, agreed = 0")
        return known

    def of(self, node: str) -> Record:
        """Return what is known of a host."""
        return next(iter(self._rows("node = ?", node)), Record(node))

    def all(self) -> list[Record]:
        """Return all that is known, what was seen last first."""
        return self._rows("true")

    def avoided(self, now: float | None = None) -> set[str]:
        """Return the hosts that come last at a Unix time, by default now."""
        rows = self._rows("avoid_until > ?", time.time() if now is None else now)
        return {each.node for each in rows}

    def _rows(self, where: str, *values: object) -> list[Record]:
        found = self._db.execute(
            "select node, done, failed, differed, lied, agreed, avoid_until, why, seen "
            f"from reputation where network = ? and {where} order by seen desc",
            (self._network, *values),
        )
        return [Record(*row) for row in found]

    def _ban(self, node: str, what: str, why: str, seconds: float) -> None:
        """Note what is never forgotten, and keep the host away for so long."""
        self._note(
            node,
            f"{what} = {what} + 1, agreed = 0, why = :why, avoid_until = max(avoid_until, :until)",
            why=why,
            until=time.time() + min(LONGEST_BAN, seconds),
        )

    def _note(self, node: str, change: str, **values: object) -> None:
        try:
            self._db.execute(
                "insert or ignore into reputation (network, node, seen) values (?, ?, 0)",
                (self._network, node),
            )
            self._db.execute(
                f"update reputation set {change}, seen = :now "
                "where network = :network and node = :node",
                {"now": time.time(), "network": self._network, "node": node, **values},
            )
        except database.JournalError as error:  # No cell ends for that.
            log.warning("what host %s did is not noted: %s", node, error)
