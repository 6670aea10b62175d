"""
The journal's file, whose failures have a name.

A disk may be full, a folder read-only, a file cut short. What SQLite says of that comes up wherever
the file is used, so it is turned into our own error here, once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from .errors import NosanaError

P = ParamSpec("P")
T = TypeVar("T")

DAMAGED = ("malformed", "not a database")
"""What SQLite says of a file that is not as it was written."""

AFTER_DAMAGE = (
    "Move it and its -wal and -shm away, and run %nosana sweep: what is still open is found on "
    "chain. Budgets count anew from then on."
)


class JournalError(NosanaError):
    """The journal cannot be read or written. Says which file, and why."""


def open_file(
    path: Path, schema: str, *, durable: bool = True, **options: Any
) -> sqlite3.Connection:
    """
    Open the journal's file, made with mode 0600 where there is none.

    Args:
        path: Where it lies.
        schema: Makes the tables, where they are not there.
        durable: Whether what is written is on the disk once that returns.
        options: Of `sqlite3.connect`.

    Raises:
        JournalError: That does not go, now or later.
    """
    try:
        if not path.exists():
            path.touch(mode=0o600)
        opened = sqlite3.connect(
            path, timeout=10, check_same_thread=False, factory=_File, **options
        )
    except (OSError, sqlite3.Error) as error:
        raise refused(path, error) from None
    assert isinstance(opened, _File)
    opened.place = path
    try:
        opened.execute("pragma journal_mode = wal")
        opened.execute(f"pragma synchronous = {'full' if durable else 'normal'}")
        opened.executescript(schema)
    except JournalError:
        opened.close()
        raise
    return opened


def refused(path: Path, error: OSError | sqlite3.Error) -> JournalError:
    """Return our own error for what the file system or SQLite says."""
    said = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    if any(word in said for word in DAMAGED):
        return JournalError(f"the journal {path} is damaged: {said}", hint=AFTER_DAMAGE)
    return JournalError(
        f"the file {path} cannot be used: {said}",
        hint=f"See that there is room in {path.parent}, and that you may write there.",
    )


def _named(work: Callable[P, T]) -> Callable[P, T]:
    """Wrap a method of a file or a cursor."""

    def named(*args: P.args, **options: P.kwargs) -> T:
        try:
            return work(*args, **options)
        except sqlite3.IntegrityError:
            raise  # A mistake of ours, and none of the disk's.
        except sqlite3.Error as error:
            file: Any = args[0]
            raise refused(getattr(file, "connection", file).place, error) from None

    return named


class _Rows(sqlite3.Cursor):
    execute = _named(sqlite3.Cursor.execute)
    executemany = _named(sqlite3.Cursor.executemany)
    executescript = _named(sqlite3.Cursor.executescript)
    fetchone = _named(sqlite3.Cursor.fetchone)
    fetchall = _named(sqlite3.Cursor.fetchall)
    __next__ = _named(sqlite3.Cursor.__next__)  # type: ignore[arg-type]  # It is that of a cursor.


class _File(sqlite3.Connection):
    place: Path

    commit = _named(sqlite3.Connection.commit)
    __exit__ = _named(sqlite3.Connection.__exit__)

    def cursor(self, factory: Any = _Rows) -> Any:
        """Return a cursor whose failures have a name."""
        return super().cursor(factory)

    def _rows(self) -> sqlite3.Cursor:
        return super().cursor(_Rows)

    def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
        """Run a statement on such a cursor, as the others do."""
        return self._rows().execute(sql, values)

    def executemany(self, sql: str, values: Any, /) -> sqlite3.Cursor:
        return self._rows().executemany(sql, values)

    def executescript(self, script: str, /) -> sqlite3.Cursor:
        return self._rows().executescript(script)
