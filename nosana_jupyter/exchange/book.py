"""
Swaps, in the journal's file: what is about to be swapped, and what came of it.

A signature is written down before anybody is sent the transaction, with the last block that may
have it. Who looks later finds it on chain, or knows that it never will be there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from .. import database, settings
from ..units import MicroNos

_SCHEMA = """
create table if not exists swaps (
    id text primary key,
    network text not null,
    wallet text not null,
    state text not null,
    created real not null,
    deal blob not null
);
create index if not exists swaps_by_wallet on swaps (network, wallet, created);
"""

OPEN = ("intent", "sent")
"""States in which it may still happen. The others are `done`, `failed` and `unsent`."""


class Deal(msgspec.Struct, frozen=True, kw_only=True):
    """A swap."""

    id: str
    network: str
    wallet: str
    given: str
    """What is given, in words."""

    quoted: MicroNos
    least: MicroNos
    owner: str
    """Process that swaps, as the journal names it."""

    place: str
    """Where that process is."""

    signature: str = ""
    height: int = 0
    """Last block that may have it."""

    state: str = "intent"
    created: float = 0.0
    got: MicroNos = MicroNos(0)
    """NOS that it brought."""

    lamports: int = 0
    """Change of the wallet's lamports, the fee included."""

    fee: int = 0
    """Lamports."""


class Book:
    """
    The swaps of this machine.

    Args:
        path: Of the journal.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._db = database.open_file(path or settings.home() / "journal.sqlite", _SCHEMA)

    def close(self) -> None:
        self._db.close()

    def write(self, deal: Deal) -> None:
        """Keep how a swap stands. Once this returns, it survives the process."""
        with self._db:
            self._db.execute(
                "insert into swaps values (?, ?, ?, ?, ?, ?) "
                "on conflict (id) do update set state = excluded.state, deal = excluded.deal",
                (deal.id, deal.network, deal.wallet, deal.state, deal.created or time.time(),
                 msgspec.json.encode(deal)),
            )  # fmt: skip

    def open_deals(self, network: str, wallet: str) -> list[Deal]:
        """Return the swaps of a wallet of which nobody has seen the end, oldest first."""
        return self._deals("and state in (?, ?) order by created", (network, wallet, *OPEN))

    def deals(self, network: str, wallet: str, *, limit: int = 20) -> list[Deal]:
        """Return the newest swaps of a wallet, newest first."""
        return self._deals("order by created desc limit ?", (network, wallet, limit))

    def _deals(self, rest: str, values: tuple[object, ...]) -> list[Deal]:
        text = f"select deal from swaps where network = ? and wallet = ? {rest}"
        rows = self._db.execute(text, values).fetchall()
        return [msgspec.json.decode(deal, type=Deal) for (deal,) in rows]


@contextmanager
def opened(path: Path | None = None) -> Iterator[Book]:
    """Open the book for a while."""
    book = Book(path)
    try:
        yield book
    finally:
        book.close()
