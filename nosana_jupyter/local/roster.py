"""
Who may come to this network from elsewhere: invites that were made, and the seats they became.

The file holds digests: nobody who reads it can join, or pass for a member.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ..database import open_file
from ..errors import UsageError
from ..lan.invite import Kind

FILE = "roster.sqlite"

_SCHEMA = """
create table if not exists seats (
    number text primary key, kind text not null, name text not null, owner text not null,
    nos integer not null, made real not null, until real not null, secret text not null,
    key text not null default '', joined real not null default 0,
    wallet text not null default '', node text not null default '',
    revoked real not null default 0
)
"""


class Unwelcome(Exception):
    """Why an invite or a seat is refused, in words for whoever shows it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seat:
    """An invite, and what became of it."""

    number: str
    kind: Kind
    name: str
    """What it calls the network."""

    owner: str
    """Whom it was made for, as the founder says. May be empty."""

    nos: int
    """Micro-NOS that come with it."""

    made: float
    until: float
    """Until when it can be used, in Unix time."""

    joined: float
    """When it was used; 0: not yet."""

    wallet: str
    """Address of the member's wallet."""

    node: str
    """Address of the member's host."""

    revoked: float

    def state(self, now: float) -> str:
        """Say what it is good for now."""
        if self.revoked:
            return "revoked"
        if self.joined:
            return "joined"
        return "expired" if now > self.until else "open"


class Roster:
    """
    The list of invites and seats.

    Args:
        folder: The network's.
        clock: Unix time, in seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._db = open_file(folder / FILE, _SCHEMA)
        self._db.row_factory = sqlite3.Row

    def close(self) -> None:
        self._db.close()

    def invite(self, kind: Kind, *, name: str, owner: str, nos: int, seconds: float) -> str:
        """Make an invite; return its number and its secret, with a dot between them."""
        number, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        now = self._clock()
        with self._db:
            self._db.execute(
                "insert into seats (number, kind, name, owner, nos, made, until, secret) "
                "values (?, ?, ?, ?, ?, ?, ?, ?)",
                (number, kind, name, owner, nos, now, now + seconds, digest(secret)),
            )
        return f"{number}.{secret}"

    def join(self, login: str, *, key: str, wallet: str, node: str) -> tuple[Seat, bool]:
        """
        Take the seat of an invite. Whoever has taken it may do so again: an answer may be lost.

        Args:
            login: Number and secret of the invite.
            key: Digest of the key that proves the seat from now on.
            wallet: Address of the member's wallet.
            node: Address of the member's host, if it is to be one.

        Returns:
            The seat, and whether it is new.

        Raises:
            Unwelcome: The invite is good for nothing.
        """
        number, _, secret = login.partition(".")
        with self._db:
            self._db.execute("begin immediate")
            row = self._row(number)
            if row is None or not hmac.compare_digest(row["secret"], digest(secret)):
                raise Unwelcome("this invite is not of this network")
            seat = _seat(row)
            if seat.revoked:
                raise Unwelcome("this invite was revoked")
            if seat.joined:
                if not hmac.compare_digest(row["key"], key):
                    raise Unwelcome("this invite was used already: each is for one member")
                return seat, False
            if self._clock() > seat.until:
                raise Unwelcome("this invite has expired")
            self._db.execute(
                "update seats set key = ?, joined = ?, wallet = ?, node = ? where number = ?",
                (key, self._clock(), wallet, node if seat.kind == "host" else "", number),
            )
            found = self._row(number)
            assert found is not None
            return _seat(found), True

    def seat(self, login: str) -> Seat:
        """
        Return the seat of who shows a number and a key.

        Raises:
            Unwelcome: There is none.
        """
        number, _, key = login.partition(".")
        row = self._row(number)
        if row is None or not row["key"] or not hmac.compare_digest(row["key"], digest(key)):
            raise Unwelcome("an invite is needed here")
        if row["revoked"]:
            raise Unwelcome("this membership was revoked")
        return _seat(row)

    def standing(self) -> set[str]:
        """Return the numbers of all seats that are taken and not revoked."""
        rows = self._db.execute("select number from seats where joined > 0 and revoked = 0")
        return {row["number"] for row in rows}

    def all(self) -> list[Seat]:
        """Return what there is, the oldest first."""
        return [_seat(row) for row in self._db.execute("select * from seats order by made")]

    def revoke(self, which: str) -> list[Seat]:
        """
        Let invites, or seats, be good for nothing from now on.

        Args:
            which: A number, or for whom they were made.

        Raises:
            UsageError: There are none.
        """
        found = [
            each for each in self.all()
            if which and which in (each.number, each.owner) and not each.revoked
        ]  # fmt: skip
        if not found:
            raise UsageError(
                f"there is no invite {which!r} that could be revoked",
                hint="See nosana-jupyter local invites.",
            )
        with self._db:
            self._db.executemany(
                "update seats set revoked = ? where number = ?",
                [(self._clock(), each.number) for each in found],
            )
        return found

    def _row(self, number: str) -> sqlite3.Row | None:
        found = self._db.execute("select * from seats where number = ?", (number,)).fetchone()
        return cast("sqlite3.Row | None", found)


def digest(secret: str) -> str:
    """Return what is kept of a secret. It is random and long: there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _seat(row: sqlite3.Row) -> Seat:
    named = {name: row[name] for name in row.keys() if name not in ("secret", "key")}  # noqa: SIM118
    return Seat(**named)
