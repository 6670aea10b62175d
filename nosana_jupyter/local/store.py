"""
The ledger on disk: accounts, transactions and an index of who was in them, in SQLite.

One commit per transaction. A commit that fails leaves memory ahead of the file, so nothing may
go on after it: `LedgerBroken` stops the process, and a restart goes on from the file.
"""

from __future__ import annotations

import bisect
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from solders.account import Account
from solders.pubkey import Pubkey
from solders.signature import Signature

from .outcome import Outcome

_SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS account (
    key BLOB PRIMARY KEY, lamports INTEGER NOT NULL, data BLOB NOT NULL, owner BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS landed (
    number INTEGER PRIMARY KEY, signature BLOB NOT NULL UNIQUE, outcome BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS part (
    key BLOB NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (key, number)
) WITHOUT ROWID;
"""


class _Slot(msgspec.Struct):
    """Of what became of a transaction, when."""

    slot: int


class LedgerBroken(SystemExit):
    """
    The ledger's file cannot be written or read, so the process has to stop.

    A `SystemExit`, so that no server turns it into an answer and goes on.
    """


@dataclass(kw_only=True)
class Store:
    """
    The file.

    Raises:
        LedgerBroken: It cannot be opened, or another process holds it.
    """

    path: Path | None
    """None keeps everything in memory."""

    _db: sqlite3.Connection = field(init=False)

    def __post_init__(self) -> None:
        try:
            # One process owns the ledger; its threads take turns.
            self._db = sqlite3.connect(self.path or ":memory:", timeout=1, check_same_thread=False)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            # Safe against the death of the process, not of the machine: it is play money.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
            # Takes the lock now, and not at the first transaction.
            self._db.execute("INSERT OR IGNORE INTO fact VALUES ('format', x'01')")
            self._db.commit()
        except sqlite3.Error as error:
            raise LedgerBroken(f"the ledger in {self.path} cannot be opened: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def fact(self, name: str) -> bytes | None:
        """Read a named value."""
        row = self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def accounts(self) -> Iterator[tuple[Pubkey, Account]]:
        """Read all accounts the ledger ever changed and that still exist."""
        for key, lamports, data, owner in self._db.execute("SELECT * FROM account"):
            account = Account(lamports=lamports, data=data, owner=Pubkey.from_bytes(owner))
            yield Pubkey.from_bytes(key), account

    def write(
        self,
        *,
        accounts: Mapping[Pubkey, Account | None],
        facts: Mapping[str, bytes] | None = None,
        outcome: Outcome | None = None,
        parts: Iterable[Pubkey] = (),
    ) -> None:
        """
        Commit one change: accounts, named values, a transaction and the accounts that took part.

        Raises:
            LedgerBroken: It cannot be written.
        """
        try:
            with self._db:
                for key, account in accounts.items():
                    self._write_account(bytes(key), account)
                self._db.executemany(
                    "INSERT OR REPLACE INTO fact VALUES (?, ?)", (facts or {}).items()
                )
                if outcome is not None:
                    signature = bytes(Signature.from_string(outcome.signature))
                    row = self._db.execute(
                        "INSERT INTO landed (signature, outcome) VALUES (?, ?)",
                        (signature, msgspec.json.encode(outcome)),
                    )
                    self._db.executemany(
                        "INSERT OR IGNORE INTO part VALUES (?, ?)",
                        [(bytes(key), row.lastrowid) for key in parts],
                    )
        except sqlite3.Error as error:
            raise LedgerBroken(f"the ledger in {self.path} cannot be written: {error}") from error

    def _write_account(self, key: bytes, account: Account | None) -> None:
        if account is None:
            self._db.execute("DELETE FROM account WHERE key = ?", (key,))
        else:
            self._db.execute(
                "INSERT OR REPLACE INTO account VALUES (?, ?, ?, ?)",
                (key, account.lamports, account.data, bytes(account.owner)),
            )

    def outcome(self, signature: Signature) -> Outcome | None:
        """Read a transaction."""
        row = self._db.execute(
            "SELECT outcome FROM landed WHERE signature = ?", (bytes(signature),)
        ).fetchone()
        return msgspec.json.decode(row[0], type=Outcome) if row else None

    def landed_in(self, slot: int) -> list[Outcome]:
        """Read the transactions of a slot. Later transactions never have an earlier slot."""
        numbers = range(1, self.count() + 1)
        first = bisect.bisect_left(numbers, slot, key=self._slot)
        last = bisect.bisect_right(numbers, slot, lo=first, key=self._slot)
        rows = self._db.execute(
            "SELECT outcome FROM landed WHERE number > ? AND number <= ? ORDER BY number",
            (first, last),
        )
        return [msgspec.json.decode(row[0], type=Outcome) for row in rows]

    def _slot(self, number: int) -> int:
        query = "SELECT outcome FROM landed WHERE number = ?"
        row = self._db.execute(query, (number,)).fetchone()
        return int(msgspec.json.decode(row[0], type=_Slot).slot)

    def count(self) -> int:
        """Count the transactions."""
        return int(self._db.execute("SELECT count(*) FROM landed").fetchone()[0])

    def of(
        self,
        key: Pubkey,
        *,
        limit: int,
        before: Signature | None = None,
        until: Signature | None = None,
    ) -> list[Outcome]:
        """Read the transactions an account took part in, newest first, between two of them."""
        above = self._number(until, default=0)
        below = self._number(before, default=2**62)
        rows = self._db.execute(
            "SELECT outcome FROM part JOIN landed USING (number)"
            " WHERE key = ? AND number > ? AND number < ? ORDER BY number DESC LIMIT ?",
            (bytes(key), above, below, limit),
        )
        return [msgspec.json.decode(row[0], type=Outcome) for row in rows]

    def _number(self, signature: Signature | None, *, default: int) -> int:
        if signature is None:
            return default
        row = self._db.execute(
            "SELECT number FROM landed WHERE signature = ?", (bytes(signature),)
        ).fetchone()
        return int(row[0]) if row else default
