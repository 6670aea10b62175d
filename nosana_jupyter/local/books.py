"""
The books of the credits service: what an account was given, what is reserved, what was used.

A reservation is made for the whole of a job's timeout before the job is posted, and settled from
the chain when the job is over: the seconds that a host was paid for are used, the rest is free
again. Amounts are micro-dollars.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMA = """
create table if not exists accounts (
    key text primary key,
    name text not null,
    assigned integer not null
);
create table if not exists reservations (
    id text primary key,
    account text not null,
    job text unique,
    amount integer not null,
    used integer,
    made real not null
);
create table if not exists answers (
    account text not null,
    key text not null,
    request text not null,
    answer text,
    primary key (account, key)
);
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """Credits set aside for one job."""

    id: str
    job: str
    amount: int
    used: int | None
    """What the job cost; nothing while it is open."""

    made: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """What an account has, in micro-dollars."""

    assigned: int
    reserved: int
    settled: int

    @property
    def available(self) -> int:
        return self.assigned - self.reserved - self.settled


class Books:
    """
    The file. One process writes it.

    Args:
        path: Where it lies; made with mode 0600. None keeps it in memory.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None and not path.exists():
            path.touch(mode=0o600)
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False)
        self._db.execute("pragma journal_mode = wal")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def open_account(self, api_key: str, *, assigned: int) -> None:
        """Open an account with some credits, unless there is one. Only a hash of its key stays."""
        with self._writing() as db:
            db.execute(
                "insert or ignore into accounts values (?, ?, ?)",
                (_hash(api_key), secrets.token_hex(8), assigned),
            )

    def account_of(self, api_key: str) -> str | None:
        """Return the account that a key opens."""
        row = self._db.execute(
            "select name from accounts where key = ?", (_hash(api_key),)
        ).fetchone()
        return str(row[0]) if row else None

    def balance(self, account: str) -> Balance:
        """Return what an account has."""
        assigned = self._db.execute(
            "select assigned from accounts where name = ?", (account,)
        ).fetchone()[0]
        reserved, settled = self._db.execute(
            "select coalesce(sum(case when used is null then amount end), 0), "
            "coalesce(sum(used), 0) from reservations where account = ?",
            (account,),
        ).fetchone()
        return Balance(assigned=assigned, reserved=reserved, settled=settled)

    def reserve(self, account: str, job: str, amount: int) -> str:
        """Set credits aside for a job; return the id of the reservation."""
        ident = secrets.token_hex(12)
        with self._writing() as db:
            db.execute(
                "insert into reservations values (?, ?, ?, ?, null, ?)",
                (ident, account, job, amount, time.time()),
            )
        return ident

    def raise_by(self, job: str, amount: int) -> None:
        """Set more aside for a job; a negative amount takes that back."""
        with self._writing() as db:
            db.execute("update reservations set amount = amount + ? where job = ?", (amount, job))

    def drop(self, job: str) -> None:
        """Forget a reservation: its job was never posted."""
        with self._writing() as db:
            db.execute("delete from reservations where job = ?", (job,))

    def settle(self, job: str, used: int) -> None:
        """Close a reservation with what the job cost; one that is closed stays as it is."""
        with self._writing() as db:
            db.execute(
                "update reservations set used = min(amount, ?) where job = ? and used is null",
                (used, job),
            )

    def reservation(self, account: str, job: str) -> Reservation | None:
        """Return the reservation of a job, if the account made it."""
        found = self._reservations("where account = ? and job = ?", (account, job))
        return found[0] if found else None

    def open_reservations(self) -> list[Reservation]:
        """Return what is not settled."""
        return self._reservations("where used is null", ())

    def answered(self, account: str, key: str, request: Any) -> tuple[bool, Any]:
        """
        Return what a request of this idempotency key was answered.

        Returns:
            Whether the key was used for this very request or for none, and the answer if it has
            one.
        """
        row = self._db.execute(
            "select request, answer from answers where account = ? and key = ?", (account, key)
        ).fetchone()
        if row is None:
            return True, None
        return row[0] == json.dumps(request), json.loads(row[1]) if row[1] else None

    def answer(self, account: str, key: str, request: Any, answer: Any) -> None:
        """Remember what a request of an idempotency key is answered."""
        with self._writing() as db:
            db.execute(
                "insert or replace into answers values (?, ?, ?, ?)",
                (account, key, json.dumps(request), json.dumps(answer)),
            )

    def _reservations(self, where: str, values: tuple[object, ...]) -> list[Reservation]:
        rows = self._db.execute(
            f"select id, job, amount, used, made from reservations {where}", values
        ).fetchall()
        return [
            Reservation(id=ident, job=job, amount=amount, used=used, made=made)
            for ident, job, amount, used, made in rows
        ]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._db:
            yield self._db


def _hash(api_key: str) -> str:
    return hashlib.sha256(api_key.encode()).hexdigest()
