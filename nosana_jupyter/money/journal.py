"""
The journal: what this machine did with the wallet's money, in SQLite.

An intent is written before its transaction is sent, so that a kernel that dies in between leaves a
trace that `sweep` can follow. Kernel and sidebar share this file and never a socket.

Keys in it are those of jobs: one key pair seals one job's link and is worth nothing afterwards. The
wallet's key is never here.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import msgspec

from .. import database, settings
from ..units import MicroNos, MicroUsd, Seconds, nos, usd
from . import costs
from .receipt import VAULT, Receipt

__all__ = ["Entry", "Intent", "Journal", "Receipt", "here", "owner_of"]

_SCHEMA = """
create table if not exists jobs (
    job text primary key,
    network text not null,
    wallet text not null,
    market text not null,
    state text not null,
    created real not null,
    updated real not null,
    intent blob not null,
    receipt blob
);
create table if not exists packages (
    image text not null,
    name text not null,
    version text,
    seen real not null,
    primary key (image, name)
);
create index if not exists jobs_by_end on jobs (network, state, created);
create index if not exists jobs_by_wallet on jobs (network, wallet, created);
create index if not exists jobs_by_cell
    on jobs (network, json_extract(intent, '$.cell'), state, created);
create index if not exists jobs_by_owner on jobs (json_extract(intent, '$.owner'), created);
"""

OPEN = ("intent", "unsure", "posted", "running")
"""
States in which money may be in a vault; `unsure`: the posting was not answered. The others are
`settled` and `unsent`.
"""

PLAIN = "a host without containers"
"""In place of an image, where a host has none."""

DETACHED = "detached"
"""Owner of a job that goes on without a process that follows it."""

PENDING = "credits:"
"""What the name of a job begins with whose address is not known yet."""


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What is about to be posted."""

    job: str
    """Address of the job account: its key is made before anything is sent."""

    network: str
    wallet: str
    market: str
    """Address of the market."""

    slug: str
    gpu: str
    price: MicroNos
    timeout: int
    fee: MicroNos
    """Network fee expected, in micro-NOS."""

    run: str
    """Address the run account would get if a host were waiting."""

    cell: str = ""
    """First line of the cell, for lists."""

    owner: str = ""
    """Process that follows the job, as `owner_of` spells it."""

    place: str = ""
    """Where that process is: no other place can tell whether it lives."""

    cid: str = ""
    """Content id of the public definition."""

    pay: str = "nos"
    """What pays, as the setting of this name has it."""

    payer: str = ""
    """Address of who paid the deposit on chain. Empty: the wallet."""

    notebook: str = ""
    """Notebook it is for, as the settings name it; without one, the process that posted it."""

    title: str = ""
    """Where that notebook is, for lists; empty without one."""

    usd: MicroUsd = MicroUsd(0)
    """Credits set aside, in micro-dollars."""

    node: str = ""
    """Address of the host it was posted to. Empty: whoever was next in the market's queue."""

    extending: int = 0
    """Timeout that an extension is about to give it, in seconds. 0: none is under way."""

    @property
    def is_pending(self) -> bool:
        """Whether only the answer to its posting will tell its address."""
        return self.job.startswith(PENDING)

    @property
    def funder(self) -> str:
        """Address whose NOS the deposit is."""
        return self.payer or self.wallet

    @property
    def most(self) -> str:
        """The most it can cost, in words."""
        if self.pay == "credits":
            return f"{usd(self.usd)} of credits"
        return nos(self.price * self.timeout + self.fee)

    @property
    def held(self) -> str:
        """Where the money is while the job is open, in words."""
        if self.pay == "credits":
            return f"up to {self.most} are set aside"
        if self.pay == VAULT:
            return f"up to {self.most} are in a deployment's vault, and with its jobs"
        return f"up to {nos(self.price * self.timeout)} are in the market's vault"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the journal knows it."""

    intent: Intent
    state: str
    created: float
    updated: float
    receipt: Receipt | None = None
    """Of a job that is settled."""

    provisional: Receipt | None = None
    """What is known of a job that ended and could not be settled."""

    @property
    def is_open(self) -> bool:
        """Whether its money may be in a vault."""
        return self.state in OPEN

    @property
    def followed(self) -> bool:
        """Whether another process that lives follows this job, or it goes on without one."""
        owner = self.intent.owner
        if owner == DETACHED:
            return True
        pid = int(owner.partition("@")[0] or 0)
        return pid not in (0, os.getpid()) and owner == owner_of(pid)


def _entry(
    intent: bytes, state: str, created: float, updated: float, receipt: bytes | None
) -> Entry:
    known = msgspec.json.decode(receipt, type=Receipt) if receipt else None
    return Entry(
        intent=msgspec.json.decode(intent, type=Intent),
        state=state,
        created=created,
        updated=updated,
        receipt=None if known and known.is_open else known,
        provisional=known if known and known.is_open else None,
    )


def owner_of(pid: int) -> str:
    """Return a name for a process that no later one will have; empty if there is none."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        return f"{pid}@{process.create_time():.2f}"
    except psutil.Error:
        return ""


@cache
def here() -> str:
    """Return a name for the machine, or the container, whose processes this one can see."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/etc/machine-id").read_text().strip())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


class Journal:
    """
    The file. Safe to be opened by several processes at once.

    Args:
        path: Where it lies; made with mode 0600. By default in the data folder.

    Raises:
        JournalError: It cannot be read or written, now or in any method.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or settings.home() / "journal.sqlite"
        self._db = database.open_file(self.path, _SCHEMA)
        costs.prepare(self._db)

    def close(self) -> None:
        self._db.close()

    def intend(self, intent: Intent) -> None:
        """Write an intent. Once this returns, it survives the process."""
        now = time.time()
        with self._transaction() as db:
            db.execute(
                "insert into jobs values (?, ?, ?, ?, 'intent', ?, ?, ?, null)",
                (
                    intent.job, intent.network, intent.wallet, intent.market, now, now,
                    msgspec.json.encode(intent),
                ),
            )  # fmt: skip

    def reopen(self, job: str) -> None:
        """Note that a job is open after all, whatever was said of it: its receipt is void."""
        with self._transaction() as db:
            db.execute(
                "update jobs set state = 'posted', receipt = null, updated = ? where job = ?",
                (time.time(), job),
            )

    def mark(self, job: str, state: str) -> None:
        """Note how far a job has come."""
        with self._transaction() as db:
            db.execute(
                "update jobs set state = ?, updated = ? where job = ?", (state, time.time(), job)
            )

    def own(self, job: str, owner: str) -> None:
        """Note which process follows a job from now on."""
        entry = self.find(job)
        if entry is not None:
            self.name(entry.intent.job, msgspec.structs.replace(entry.intent, owner=owner))

    def name(self, pending: str, intent: Intent) -> None:
        """Give a job its address and all that is known of it now."""
        with self._transaction() as db:
            db.execute(
                # When it was settled stays: budgets go by it.
                "update jobs set job = ?, intent = ?, "
                "updated = iif(state = 'settled', updated, ?) where job = ?",
                (intent.job, msgspec.json.encode(intent), time.time(), pending),
            )

    def settle(self, receipt: Receipt) -> None:
        """Keep the receipt; the job is closed. That somebody has stopped it stays."""
        with self._transaction() as db:
            db.execute(
                "update jobs set updated = iif(state = 'settled', updated, ?), "
                "state = 'settled', receipt = ? where job = ? and (state != 'settled' or "
                "? = 'stopped' or json_extract(receipt, '$.status') is not 'stopped')",
                (time.time(), msgspec.json.encode(receipt), receipt.job, receipt.status),
            )

    def note(self, receipt: Receipt) -> None:
        """Keep what is known of a job that ended, and stays open until somebody settles it."""
        with self._transaction() as db:
            db.execute(
                "update jobs set updated = ?, receipt = ? where job = ? and state != 'settled'",
                (time.time(), msgspec.json.encode(receipt), receipt.job),
            )

    def open_jobs(self, network: str, wallet: str) -> list[Entry]:
        """Return the jobs of a wallet whose money may still be out, oldest first."""
        # The plus keeps SQLite from going through all that the wallet ever posted.
        return self._entries(
            "where network = ? and +wallet = ? and state in (?, ?, ?, ?) order by created",
            (network, wallet, *OPEN),
        )

    def open_elsewhere(self, network: str, wallet: str) -> list[Entry]:
        """Return the open jobs of a network that another wallet paid for, oldest first."""
        return self._entries(
            "where network = ? and wallet != ? and state in (?, ?, ?, ?) order by created",
            (network, wallet, *OPEN),
        )

    def entries(self, network: str, wallet: str, *, limit: int = 20) -> list[Entry]:
        """Return the newest jobs of a wallet on a network, newest first."""
        return self._entries(
            "where network = ? and wallet = ? order by created desc limit ?",
            (network, wallet, limit),
        )

    def unsettled(self, network: str) -> list[Entry]:
        """Return the open jobs of a network, whoever paid for them, newest first."""
        return self._entries(
            "where network = ? and state in (?, ?, ?, ?) order by created desc limit 50",
            (network, *OPEN),
        )

    def of(self, owner: str, *, besides: Container[str] = ()) -> list[Entry]:
        """Return the jobs that a process posted, by its name of `owner_of`, besides some."""
        rows = self._db.execute(
            "select job, intent, state, created, updated, receipt from jobs "
            "where json_extract(intent, '$.owner') = ? order by created",
            (owner,),
        )
        # Those of a long day are not read through at each posting.
        return [_entry(*row) for job, *row in rows if job not in besides]

    def owners(self) -> list[str]:
        """Return the processes that ever posted a job."""
        rows = self._db.execute("select distinct json_extract(intent, '$.owner') from jobs")
        return [owner for (owner,) in rows if owner]

    def receipts(self, network: str, *, limit: int = 20) -> list[Receipt]:
        """Return the newest receipts of a network, newest first."""
        rows = self._entries(
            "where network = ? and state = 'settled' order by created desc limit ?",
            (network, limit),
        )
        return [entry.receipt for entry in rows if entry.receipt]

    def paid(self, network: str, since: float, notebook: str = "") -> tuple[int, int]:
        """Return what jobs settled since have cost: micro-NOS, and micro-dollars of credits."""
        return costs.paid(self._db, network, since, notebook)

    def paid_by(self, network: str, since: float) -> list[tuple[str, int, int, int]]:
        """Return title, jobs, micro-NOS and micro-dollars of credits of each notebook."""
        return costs.paid_by(self._db, network, since)

    def usual(self, network: str, cell: str) -> Seconds | None:
        """Return the seconds that a cell took of late, by its first line: the middle of five."""
        rows = self._entries(
            "where network = ? and state = 'settled' "
            "and json_extract(intent, '$.cell') = ? and json_extract(receipt, '$.status') = 'done' "
            "order by created desc limit 5",
            (network, cell),
        )
        seconds = sorted(each.receipt.seconds for each in rows if each.receipt)
        return Seconds(seconds[len(seconds) // 2]) if seconds else None

    def saw(self, image: str, versions: Mapping[str, str | None]) -> None:
        """Note which packages an image has, as far as it was asked; nothing for what it lacks."""
        now = time.time()
        with self._transaction() as db:
            db.executemany(
                "insert or replace into packages values (?, ?, ?, ?)",
                [(image, name, version, now) for name, version in versions.items()],
            )

    def packages_of(self, image: str) -> dict[str, str | None]:
        """Return which packages an image was last seen to have."""
        text = "select name, version from packages where image = ?"
        return dict(self._db.execute(text, (image,)).fetchall())

    def find(self, job: str) -> Entry | None:
        """Return a job by its address or the beginning of it, if only one fits."""
        found = self._entries("where job >= ? and job < ? limit 2", (job, f"{job}\U0010ffff"))
        return found[0] if len(found) == 1 else None

    def _entries(self, where: str, values: tuple[object, ...]) -> list[Entry]:
        text = f"select intent, state, created, updated, receipt from jobs {where}"
        return [_entry(*row) for row in self._db.execute(text, values).fetchall()]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._db:
            yield self._db
