"""
What a machine has earned, job by job.

A job is written down before it begins, and what it has paid is read from the chain once it is over:
so a host that dies at any point counts right when it comes back.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from .. import database
from ..chain.accounts import Job, JobState
from ..chain.rpc import FoundRun, Rpc
from ..units import MicroNos, duration, nos

SCHEMA = """
create table if not exists jobs (
    job text primary key, market text not null, began integer not null, price integer not null,
    ended integer, seconds integer, paid integer, usd_per_nos text, state text not null
);
create index if not exists jobs_state on jobs (state);
create index if not exists jobs_ended on jobs (ended);
"""

OPEN, PAID, UNPAID, UNKNOWN = "open", "paid", "unpaid", "unknown"

Row = tuple[int, int, int, str | None, str]
"""When it ended, its seconds, what it paid, dollars of a NOS then, and its state."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What some jobs have earned."""

    jobs: int
    seconds: int
    nos: MicroNos
    usd: Decimal | None
    """In dollars, at the rate of when each was paid; nothing where it was not known of any."""

    given_up: int = 0
    """Jobs that were given up, and paid nothing."""

    unknown: int = 0
    """Jobs that were gone from the chain before anybody looked what they paid."""


@dataclass(frozen=True, slots=True)
class Day:
    """What was earned on a day of this machine's calendar."""

    name: str
    sum: Sum


class Book:
    """
    The jobs of one machine on one network.

    Args:
        folder: The machine's.
        name: Spells a market.
    """

    def __init__(self, folder: Path, name: Callable[[str], str] = str) -> None:
        self._db = database.open_file(folder / "earnings.sqlite", SCHEMA)
        self._name = name

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def took(self, job: str, account: Job, run: FoundRun) -> None:
        """Write down a job that is about to begin."""
        with self._db:
            self._db.execute(
                "insert or ignore into jobs (job, market, began, price, state) values (?,?,?,?,?)",
                (job, self._name(str(account.market)), run.time, account.price, OPEN),
            )

    def open(self) -> list[str]:
        """Return the jobs of which it is not known yet what they paid."""
        rows = self._db.execute("select job from jobs where state = ? order by began", (OPEN,))
        return [str(row[0]) for row in rows]

    async def settle(
        self, rpc: Rpc, node: str, running: Collection[str], usd: Decimal | None
    ) -> list[str]:
        """
        Read from the chain what jobs have paid that are over; say it of each.

        Args:
            rpc: The chain.
            node: Ours.
            running: Jobs that go on.
            usd: Dollars of a NOS now, where anybody says.

        Raises:
            NetworkError: The chain does not answer.
        """
        left = [job for job in self.open() if job not in running]
        if not left:
            return []
        told = []
        runs = {str(run.job) for run in await rpc.runs_of_node(node)}
        for job, data in zip(left, await rpc.accounts(left), strict=True):
            if job in runs:
                continue
            if data is None or data[:8] != Job.DISCRIMINATOR:
                # Closed before anybody looked: what it paid is in the wallet, and not known here.
                self._over(job, UNKNOWN, int(time.time()))
                told.append(f"job {job} is gone from the chain; what it paid is in the wallet")
                continue
            account = Job.decode(data)
            if account.state == JobState.DONE and str(account.node) == node:
                seconds = max(0, min(account.time_end - account.time_start, account.timeout))
                paid = seconds * account.price
                self._over(job, PAID, account.time_end, seconds=seconds, paid=paid, usd=usd)
                told.append(f"job {job} has paid {nos(MicroNos(paid))} for {duration(seconds)}")
            else:
                self._over(job, UNPAID, int(time.time()))
                told.append(f"job {job} was given up and pays nothing; its poster gets all back")
        return told

    def _over(
        self, job: str, state: str, ended: int, *, seconds: int = 0, paid: int = 0,
        usd: Decimal | None = None,
    ) -> None:  # fmt: skip
        with self._db:
            self._db.execute(
                "update jobs set ended=?, seconds=?, paid=?, usd_per_nos=?, state=? where job=?",
                (ended, seconds, paid, str(usd) if usd is not None else None, state, job),
            )

    def since(self, begin: float) -> Sum:
        """Return what was earned since a Unix time."""
        return _sum(self._rows(begin))

    def days(self, count: int) -> list[Day]:
        """Return what was earned on each of the last days on which anything was, newest first."""
        by_day: dict[str, list[Row]] = {}
        for row in self._rows(0):
            by_day.setdefault(time.strftime("%Y-%m-%d", time.localtime(row[0])), []).append(row)
        newest = sorted(by_day, reverse=True)[:count]
        return [Day(name, _sum(by_day[name])) for name in newest]

    def _rows(self, begin: float) -> list[Row]:
        rows: sqlite3.Cursor = self._db.execute(
            "select ended, seconds, paid, usd_per_nos, state from jobs"
            " where state != ? and ended >= ?", (OPEN, begin),
        )  # fmt: skip
        return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


def midnight() -> float:
    """Return when today began, by the clock of this machine."""
    now = time.localtime()
    return time.mktime((now.tm_year, now.tm_mon, now.tm_mday, 0, 0, 0, 0, 0, -1))


def _sum(rows: list[Row]) -> Sum:
    known = [Decimal(row[2]) / 1_000_000 * Decimal(row[3]) for row in rows if row[3]]
    states = [row[4] for row in rows]
    return Sum(
        jobs=states.count(PAID),
        seconds=sum(row[1] for row in rows),
        nos=MicroNos(sum(row[2] for row in rows)),
        usd=sum(known, Decimal(0)) if known else None,
        given_up=states.count(UNPAID),
        unknown=states.count(UNKNOWN),
    )
