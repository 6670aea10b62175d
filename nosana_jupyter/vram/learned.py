"""
What cells were seen to take of a card's memory, so that the next estimate of the same one is right.

A peak is kept by the fingerprint of its code and models, in a file of its own: nothing but a number
is in it, and nobody's money hangs on it.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from .. import database
from .facts import Peak

FILE = "peaks.sqlite"

KEPT = 5
"""Peaks of one cell that are kept, the newest."""

RECENT = 180 * 86_400.0
"""Seconds for which a peak counts: libraries change."""

SCHEMA = """
create table if not exists peaks (
    fingerprint text not null,
    gib real not null,
    card text not null,
    failed integer not null,
    at real not null
);
create index if not exists peaks_by_fingerprint on peaks (fingerprint, at);
"""

_RAN_OUT = re.compile(
    r"CUDA out of memory|CUDA error: out of memory|cudaErrorMemoryAllocation|"
    r"RESOURCE_EXHAUSTED|CUBLAS_STATUS_ALLOC_FAILED|CUDA_ERROR_OUT_OF_MEMORY|"
    r"No available memory for the cache blocks|larger than the maximum number of tokens that can be"
    r" stored in KV cache",
)
_NAMES = ("OutOfMemoryError", "ResourceExhaustedError")
_TRIED = re.compile(r"Tried to allocate (\d+(?:\.\d+)?) ([GM])iB")
_TOTAL = re.compile(r"(?:total capacity of |; )(\d+(?:\.\d+)?) GiB(?: total capacity)?")


def learn(
    folder: Path, fingerprint: str, gib: float, *, card: str = "", failed: bool = False
) -> None:
    """
    Note what a cell took.

    Args:
        folder: The data folder.
        fingerprint: Of its estimate.
        gib: The most that was in use on its card, in GiB.
        card: Its card.
        failed: Whether it ran out of memory there.

    Raises:
        JournalError: It cannot be written.
    """
    if not fingerprint or not 0 < gib < 10_000:
        return
    with _opened(folder) as db:
        db.execute(
            "insert into peaks values (?, ?, ?, ?, ?)",
            (fingerprint, gib, card[:60], failed, time.time()),
        )
        db.execute(
            "delete from peaks where at < ? or rowid in (select rowid from peaks where "
            "fingerprint = ? order by at desc limit -1 offset ?)",
            (time.time() - RECENT, fingerprint, KEPT),
        )


def find(folder: Path, fingerprint: str) -> Peak | None:
    """
    Return what a cell was seen to take, or nothing if it never ran on a card.

    Raises:
        JournalError: It cannot be read.
    """
    if not (folder / FILE).exists():
        return None
    with _opened(folder) as db:
        rows = db.execute(
            "select gib, card, failed from peaks where fingerprint = ? and at > ?",
            (fingerprint, time.time() - RECENT),
        ).fetchall()
    held = [(gib, card) for gib, card, failed in rows if not failed]
    short = [(gib, card) for gib, card, failed in rows if failed]
    if held and (not short or max(held) > max(short)):
        gib, card = max(held)
        return Peak(gib=gib, runs=len(held), card=card)
    if short:
        gib, card = max(short)
        return Peak(gib=gib, runs=len(short), card=card, failed=True)
    return None


def ran_out(name: str, text: str) -> bool:
    """Say whether an error of a cell is that its card had no memory left."""
    return name.rpartition(".")[2] in _NAMES or bool(_RAN_OUT.search(text[:20_000]))


def tried(text: str) -> float:
    """Return how much it wanted in addition, in GiB, as Torch says it; 0 if it does not."""
    found = _TRIED.search(text[:20_000])
    return float(found[1]) / (1 if found[2] == "G" else 1024) if found else 0.0


def capacity(text: str) -> float:
    """Return the memory of its card, in GiB, as Torch says it; 0 if it does not."""
    found = _TOTAL.search(text[:20_000])
    return float(found[1]) if found else 0.0


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection]:
    db = database.open_file(folder / FILE, SCHEMA, durable=False, isolation_level=None)
    try:
        yield db
    finally:
        db.close()
