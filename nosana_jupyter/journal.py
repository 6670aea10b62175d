"""
The journal: what this machine did with the wallet's money, in SQLite.

An intent is written before its transaction is sent, so that a kernel that dies in between leaves a
trace that `sweep` can follow. Kernel and sidebar share this file and never a socket.

Keys in it are those of jobs: one key pair seals one job's link and is worth nothing afterwards. The
wallet's key is never here.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from . import settings
from .receipt import Receipt
from .units import MicroNos, MicroUsd, Seconds, nos, usd

__all__ = ["Entry", "Intent", "Journal", "Receipt", "owner_of"]

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
create table if not exists hosts (
    network text not null,
    node text not null,
    failed real not null,
    why text not null,
    primary key (network, node)
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
drop index if exists jobs_by_state;
drop index if exists jobs_by_time;
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

    cid: str = ""
    """Content id of the public definition."""

    pay: str = "nos"
    """What pays, as the setting of this name has it."""

    payer: str = ""
    """Address of who paid the deposit on chain. Empty: the wallet."""

    usd: MicroUsd = MicroUsd(0)
    """Credits set aside, in micro-dollars."""

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


class Journal:
    """
    The file. Safe to be opened by several processes at once.

    Args:
        path: Where it lies; made with mode 0600. By default in the data folder.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or settings.home() / "journal.sqlite"
        if not self.path.exists():
            self.path.touch(mode=0o600)
        self._db = sqlite3.connect(self.path, timeout=10, check_same_thread=False)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def intend(self, intent: Intent) -> None:
        """Write an intent. Once this returns, it survives the process."""
        now = time.time()
        with self._transaction() as db:
            db.execute(
                "insert into jobs values (?, ?, ?, ?, 'intent', ?, ?, ?, null)",
                (
                    intent.job,
                    intent.network,
                    intent.wallet,
                    intent.market,
                    now,
                    now,
                    msgspec.json.encode(intent),
                ),
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
                "update jobs set job = ?, intent = ?, updated = ? where job = ?",
                (intent.job, msgspec.json.encode(intent), time.time(), pending),
            )

    def settle(self, receipt: Receipt) -> None:
        """Keep the receipt; the job is closed."""
        with self._transaction() as db:
            db.execute(
                "update jobs set state = 'settled', updated = ?, receipt = ? where job = ?",
                (time.time(), msgspec.json.encode(receipt), receipt.job),
            )

    def note(self, receipt: Receipt) -> None:
        """Keep what is known of a job that ended, and stays open until it is settled."""
        with self._transaction() as db:
            db.execute(
                "update jobs set updated = ?, receipt = ? where job = ?",
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

    def of(self, owner: str) -> list[Entry]:
        """Return the jobs that a process posted, by its name of `owner_of`, oldest first."""
        where = "where json_extract(intent, '$.owner') = ? order by created"
        return self._entries(where, (owner,))

    def receipts(self, network: str, *, limit: int = 20) -> list[Receipt]:
        """Return the newest receipts of a network, newest first."""
        rows = self._entries(
            "where network = ? and state = 'settled' order by created desc limit ?",
            (network, limit),
        )
        return [entry.receipt for entry in rows if entry.receipt]

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

    def blame(self, network: str, node: str, why: str) -> None:
        """Note that a host has failed before a cell began on it."""
        with self._transaction() as db:
            db.execute(
                "insert or replace into hosts values (?, ?, ?, ?)",
                (network, node, time.time(), why),
            )

    def clear(self, network: str, node: str) -> None:
        """Note that a host has run a cell: what was held against it is forgotten."""
        with self._transaction() as db:
            db.execute("delete from hosts where network = ? and node = ?", (network, node))

    def blamed(self, network: str, *, since: float) -> set[str]:
        """Return hosts that have failed since a Unix time, and not run a cell since."""
        rows = self._db.execute(
            "select node from hosts where network = ? and failed >= ?", (network, since)
        )
        return {node for (node,) in rows}

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
        rows = self._db.execute("select name, version from packages where image = ?", (image,))
        return dict(rows.fetchall())

    def find(self, job: str) -> Entry | None:
        """Return a job by its address or the beginning of it, if only one fits."""
        found = self._entries("where job >= ? and job < ? limit 2", (job, f"{job}\U0010ffff"))
        return found[0] if len(found) == 1 else None

    def _entries(self, where: str, values: tuple[object, ...]) -> list[Entry]:
        rows = self._db.execute(
            f"select intent, state, created, updated, receipt from jobs {where}", values
        ).fetchall()
        return [_entry(*row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._db:
            yield self._db
