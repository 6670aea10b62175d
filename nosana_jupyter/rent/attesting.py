"""
The orders of a job's cells, signed by the wallet, and what its runner has signed of each.

They are in the journal's file, with the secrets that their digests are salted with: from them the
owner tells others as much as he likes, and nobody else can.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..line.hearing import Bookmark
from ..line.witness import Witness
from ..wire import attest

if TYPE_CHECKING:
    from ..money.jobs import Job, Jobs
    from ..travel.load import Load
    from ..wire.messages import Hello
    from .orders import Order

AFTER = 0.25
"""Seconds after which what is known of a cell is signed and written: no cell is to wait for it."""

_SCHEMA = """
create table if not exists attested (
    cell text primary key,
    job text not null,
    ordered real not null,
    record blob not null
);
create index if not exists attested_by_job on attested (job, ordered);
"""


class Attested(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one cell."""

    cell: str
    job: str
    manifest: dict[str, Any]
    """The order."""

    code: str
    """What the cell is."""

    secret: bytes
    """From which the salts of its digests are made."""

    signature: str = ""
    """The wallet's, in base58. Empty: it has not signed yet."""

    said: bytes = b""
    """What the runner has signed. Empty: its end was never heard."""

    countersignature: bytes = b""
    heard: str = ""
    """See `Witness.heard`."""


class Attests:
    """
    The cells of one job that is here. Close it when it ends.

    Args:
        jobs: Of the wallet that orders.
        job: Where they run.
        order: What was rented.
        hello: What the runner is.
    """

    def __init__(self, jobs: Jobs, job: Job, order: Order, hello: Hello) -> None:
        by_wallet = jobs.payer.name == "nos"
        # Of what a service signs each takes a request: it is asked when a receipt is exported.
        self._sign = jobs.payer.sign if by_wallet else None
        self._book = Book(jobs.journal.path)
        self._job = job.address
        self._terms = {
            "version": 1,
            "network": job.intent.network,
            "job": job.address,
            "market": job.intent.market,
            "node": job.node,
            "wallet": job.intent.wallet if by_wallet else "",
            "image": order.image if hello.isolated else "",
            "contained": hello.isolated,
        }
        self._late: dict[str, Witness] = {}
        """What is still to be written, by cell."""

        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def marked(self, mark: Bookmark, load: Load, buffers: Sequence[bytes]) -> Bookmark:
        """
        Give a bookmark who orders its cell, and hears it.

        Args:
            mark: The cell.
            load: What goes there for it.
            buffers: Digests of what has been sent for it.
        """
        witness = Witness(terms={}, told=self._told, spans=load.spans, buffers=buffers)
        wanted = [*map("==".join, load.packages), *load.extras]
        salt = attest.salt_of(witness.secret, "packages")
        witness.terms = {
            **self._terms,
            "packages": attest.salted(salt, *(each.encode() for each in wanted)),
            "ordered": int(time.time() * 1000),
        }
        mark.witness = witness
        return mark

    def recall(self, cell: str) -> Witness | None:
        """Return who hears a cell that was ordered before; nothing if it was not."""
        found = self._book.find(cell)
        return _recalled(found, self._told) if found else None

    async def aclose(self) -> None:
        """Write down what is not yet written."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        await self._write()
        self._book.close()

    def _told(self, witness: Witness) -> None:
        """Write down an order, and what came of it, a moment later: nobody is to wait for that."""
        self._late[witness.manifest["cell"]] = witness
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AFTER, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._writing = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        late, self._late = self._late, {}
        found = []
        for cell, witness in late.items():
            before = noted(witness, self._book.find(cell))
            if self._sign is not None and not before.signature:
                signature = signature_of(await self._sign(words(before.manifest)))
                before = msgspec.structs.replace(before, signature=signature)
            found.append(before)
        self._book.keep(*found)


class Book:
    """
    The table. Safe to be opened by several processes at once.

    Args:
        path: The journal's file.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=10, check_same_thread=False, isolation_level=None)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = normal")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def keep(self, *records: Attested) -> None:
        """Write down what is known of cells."""
        values: list[object] = []
        for each in records:
            values += [each.cell, each.job, time.time(), msgspec.msgpack.encode(each)]
        if values:
            # As one statement, which waits for the file once.
            places = ", ".join(["(?, ?, ?, ?)"] * len(records))
            self._db.execute(
                f"insert into attested values {places} "
                "on conflict (cell) do update set record = excluded.record",
                values,
            )

    def find(self, cell: str) -> Attested | None:
        """Return what is known of a cell."""
        row = self._db.execute("select record from attested where cell = ?", (cell,)).fetchone()
        return msgspec.msgpack.decode(row[0], type=Attested) if row else None

    def of(self, job: str) -> list[Attested]:
        """Return the cells of a job, in the order they were ordered."""
        rows = self._db.execute(
            "select record from attested where job = ? order by ordered", (job,)
        )
        return [msgspec.msgpack.decode(record, type=Attested) for (record,) in rows]


def recall(path: Path, cell: str) -> Witness | None:
    """Return who hears a cell that was ordered before, and writes down what came of it."""
    book = Book(path)
    before = book.find(cell)
    book.close()

    def note(witness: Witness) -> None:
        book = Book(path)
        book.keep(noted(witness, before))
        book.close()

    return _recalled(before, note) if before else None


def _recalled(before: Attested, told: Callable[[Witness], None]) -> Witness:
    witness = Witness(terms={}, told=told, secret=before.secret)
    witness.manifest, witness.code = before.manifest, before.code
    return witness


def noted(witness: Witness, before: Attested | None) -> Attested:
    """Return what is known of a cell by now."""
    return Attested(
        cell=witness.manifest["cell"], job=witness.manifest["job"], manifest=witness.manifest,
        code=witness.code, secret=witness.secret, signature=before.signature if before else "",
        said=witness.said, countersignature=witness.signature, heard=witness.heard,
    )  # fmt: skip


def words(document: Any, what: str = "order") -> str:
    """
    Return the text that a wallet signs for a document.

    It is no transaction, and no authorization that a host would take.
    """
    return f"nosana-jupyter {what} 1 {sha256(attest.canonical(document)).hexdigest()}"


def signature_of(authorization: str) -> str:
    """Return the signature in an authorization string, in base58."""
    return authorization.split(":")[1]
