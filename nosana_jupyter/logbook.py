"""
What this machine knows of sessions, and of the cells that ran in them: in the journal's file.

It is enough for a process that comes later to find a job whose runner lives, to talk to it, and to
tell what became of its cells. The keys in it are those of jobs, worth nothing afterwards.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import msgspec

from . import settings
from .journal import owner_of
from .units import MicroNos, Seconds

_SCHEMA = """
create table if not exists sessions (
    job text primary key,
    network text not null,
    wallet text not null,
    state text not null,
    opened real not null,
    record blob not null,
    secret blob not null,
    token blob not null
);
create table if not exists cells (
    cell text primary key,
    job text not null,
    started real not null,
    record blob not null
);
create index if not exists sessions_by_state on sessions (network, wallet, state);
create index if not exists cells_by_job on cells (job, started);
"""


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A session, for who comes later."""

    job: str
    name: str
    network: str
    wallet: str
    """Account that posted the job."""

    node: str
    """Address of the host."""

    url: str
    """Where the runner listens."""

    opened: float
    """Unix time of the runner's hello."""

    began: float
    """Unix time from which the host is paid."""

    step: Seconds
    """What is paid for at a time."""

    most: Seconds
    """Longest run in all, with its extensions."""

    idle: Seconds
    """Time without a cell after which it ends."""

    lease: Seconds
    """Time without a client after which the runner ends the job."""

    max_cost: str | None = None
    image: str = ""
    vram: float | None = None
    gpu: str | None = None
    market: str | None = None
    """Asked for: slug or address."""

    owner: str = ""
    """Process that keeps it, as `owner_of` spells it."""

    detached: bool = False
    """Whether it goes on without a process that keeps it."""

    single: bool = False
    """Whether it is the job of one cell, and ends with that."""

    @property
    def kept_elsewhere(self) -> bool:
        """Whether another process that lives keeps it."""
        pid = int(self.owner.partition("@")[0] or 0)
        return pid not in (0, os.getpid()) and self.owner == owner_of(pid)


class CellRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of a session, for lists and for who comes later."""

    cell: str
    """Its id, as the runner knows it."""

    job: str
    source: str = ""
    """What its writer has written: from it functions are made again where it comes back."""

    title: str
    count: int
    """Execution count in the notebook."""

    state: str = "running"
    """`running`, `ok`, `error`, `interrupted` or `lost`."""

    started: float
    seconds: float = 0.0
    """Time for which it had the session, in seconds."""

    cost: MicroNos = MicroNos(0)
    """What these seconds cost."""

    detached: bool = False
    outs: tuple[str, ...] | None = None
    """Names that its writer wants back; nothing if it was left to us."""

    returns: tuple[str, ...] = ()
    """Names that come back."""

    changes: tuple[str, ...] = ()
    gets: tuple[str, ...] = ()
    """Files that come back, as the user wrote it: see `landing`."""

    gets_limit: int | None = None
    folder: str = ""
    """The notebook's, below which they are written."""

    secrets: tuple[str, ...] = ()
    """Names of what nothing shows. The values are not here."""

    @property
    def unfetched(self) -> bool:
        """Whether nobody has heard its end."""
        return self.state == "running"


class Logbook:
    """
    The tables. Safe to be opened by several processes at once.

    Args:
        path: The journal's file. By default in the data folder.
    """

    def __init__(self, path: Path | None = None) -> None:
        path = path or settings.home() / "journal.sqlite"
        if not path.exists():
            path.touch(mode=0o600)
        self._db = sqlite3.connect(path, timeout=10, check_same_thread=False, isolation_level=None)
        self._db.execute("pragma journal_mode = wal")
        # No money is in here: a cell must not wait for the disk.
        self._db.execute("pragma synchronous = normal")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def open(self, record: SessionRecord, *, secret: bytes, token: bytes) -> None:
        """Note a session and its keys."""
        self._db.execute(
            "insert or replace into sessions values (?, ?, ?, 'open', ?, ?, ?, ?)",
            (
                record.job, record.network, record.wallet, record.opened,
                msgspec.json.encode(record), secret, token,
            ),
        )  # fmt: skip

    def change(self, record: SessionRecord) -> None:
        """Note what is different about a session."""
        self._db.execute(
            "update sessions set record = ? where job = ?",
            (msgspec.json.encode(record), record.job),
        )

    def end(self, job: str) -> None:
        """Note that a session is over. Its keys are forgotten."""
        self._db.execute(
            "update sessions set state = 'ended', secret = x'', token = x'' where job = ?", (job,)
        )

    def sessions(self, network: str, wallet: str) -> list[SessionRecord]:
        """Return the sessions of a wallet that are not known to be over, oldest first."""
        return [each for each in self.remembered(network, wallet) if not each.single]

    def remembered(self, network: str, wallet: str) -> list[SessionRecord]:
        """Return the same with the jobs of single cells whose end nobody has heard."""
        rows = self._db.execute(
            "select record from sessions where network = ? and wallet = ? and state = 'open' "
            "order by opened",
            (network, wallet),
        )
        return [msgspec.json.decode(record, type=SessionRecord) for (record,) in rows]

    def find(self, job: str) -> SessionRecord | None:
        """Return a session by its job's address, or by the beginning of it if only one fits."""
        rows = self._db.execute(
            "select record from sessions where job like ? || '%' limit 2", (job,)
        ).fetchall()
        return msgspec.json.decode(rows[0][0], type=SessionRecord) if len(rows) == 1 else None

    def keys(self, job: str) -> tuple[bytes, bytes] | None:
        """Return the secret key and the token of a session, unless they are forgotten."""
        row = self._db.execute("select secret, token from sessions where job = ?", (job,))
        found = row.fetchone()
        return (found[0], found[1]) if found and found[0] else None

    def note(self, cell: CellRecord) -> None:
        """Note a cell, or what became of it."""
        self._db.execute(
            "insert or replace into cells values (?, ?, ?, ?)",
            (cell.cell, cell.job, cell.started, msgspec.json.encode(cell)),
        )

    def cells(self, job: str) -> list[CellRecord]:
        """Return the cells of a session, oldest first."""
        rows = self._db.execute("select record from cells where job = ? order by started", (job,))
        return [msgspec.json.decode(record, type=CellRecord) for (record,) in rows]


def mine() -> str:
    """Return what this process is called as the keeper of a session."""
    return owner_of(os.getpid())
