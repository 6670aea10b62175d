"""
What this machine knows of sessions, and of the cells that ran in them: in the journal's file.

It is enough for a process that comes later to find a job whose runner lives, to talk to it, and to
tell what became of its cells. The keys in it are those of jobs, worth nothing afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from .. import database, settings
from ..money.journal import owner_of
from ..units import MicroNos, Seconds

log = logging.getLogger("nosana_jupyter.rent.logbook")

LATER = 0.05
"""Seconds that the end of a cell waits to be written: whoever waits for the cell is not to."""

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
        # No money is in here: a cell must not wait for the disk.
        self._db = database.open_file(path, _SCHEMA, durable=False, isolation_level=None)
        self._lock = threading.Lock()
        self._late: list[CellRecord] = []
        """What is still to be written."""

        self._timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._write_late()
        self._db.close()

    def open(self, record: SessionRecord, *, secret: bytes, token: bytes) -> None:
        """Note a session and its keys."""
        with self._forgiving():
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
        with self._forgiving():
            self._db.execute(
                "update sessions set state = 'ended', secret = x'', token = x'' where job = ?",
                (job,),
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

    def names(self, network: str) -> list[str]:
        """Return the names of sessions that are not known to be over, whoever keeps them."""
        rows = self._db.execute(
            "select distinct json_extract(record, '$.name') from sessions "
            "where network = ? and state = 'open'",
            (network,),
        )
        return [name for (name,) in rows if name]

    def named(self, name: str) -> SessionRecord | None:
        """Return the newest session of a name that is not known to be over, whoever keeps it."""
        row = self._db.execute(
            "select record from sessions where state = 'open' and "
            "json_extract(record, '$.name') = ? order by opened desc limit 1",
            (name,),
        ).fetchone()
        return msgspec.json.decode(row[0], type=SessionRecord) if row else None

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
        with self._lock:
            cells, self._late = [*self._late, cell], []
            self._write(cells)

    def note_later(self, cell: CellRecord) -> None:
        """
        Note what became of a cell, with the next note or a moment later. Only from a loop.

        Until then who opens this book elsewhere finds the cell as one that runs.
        """
        with self._lock:
            self._late.append(cell)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(LATER, self._write_late)

    def _write_late(self) -> None:
        with self._lock:
            cells, self._late = self._late, []
            self._write(cells)

    def _write(self, cells: Sequence[CellRecord]) -> None:
        if not cells:
            return
        values: list[object] = []
        for each in cells:
            values += [each.cell, each.job, each.started, msgspec.json.encode(each)]
        # As one statement, which waits for the file once.
        places = ", ".join(["(?, ?, ?, ?)"] * len(cells))
        with self._forgiving():
            self._db.execute(f"insert or replace into cells values {places}", values)

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        """Go on where nothing can be written: no cell ends for that."""
        try:
            yield
        except database.JournalError as error:
            log.warning("%s. Cells that run cannot be taken up again: %%nosana attach", error)

    def cells(self, job: str) -> list[CellRecord]:
        """Return the cells of a session, oldest first."""
        self._write_late()
        rows = self._db.execute("select record from cells where job = ? order by started", (job,))
        return [msgspec.json.decode(record, type=CellRecord) for (record,) in rows]


def mine() -> str:
    """Return what this process is called as the keeper of a session."""
    return owner_of(os.getpid())
