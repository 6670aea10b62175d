"""
A short benchmark of this machine: processor, memory, disk, line and, where there is one, the card.

Figures to compare one's machine with another, or with itself after a change. Nosana's backend runs
benchmarks of its own, and goes by those alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ..host import driver
from ..host.machine import inspect
from . import cardbench, speed
from .place import Place

SECONDS = 3.0
"""For each measurement."""

BLOCK = 8 << 20
COPIED = 128 << 20
"""Bytes that are copied at a time: more than caches hold."""

WRITTEN = 1 << 30
"""Most bytes that are written."""

RESULT = "bench.json"


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured."""

    at: str
    """When, in UTC."""

    cpu: str
    threads: int
    one: float
    """MB a second of SHA-256, on one thread."""

    all: float
    """The same on all threads."""

    memory: float
    """GB a second that are copied within memory."""

    write: float
    """MB a second written to the disk, until they are on it."""

    read: float
    line: speed.Line
    cards: tuple[driver.Gpu, ...] = ()
    card: cardbench.CardSpeed | None = None
    took: float = 0.0


async def run(place: Place, tell: Callable[[str], None], *, image: str = "") -> Bench:
    """
    Measure for less than a minute, and keep what was found.

    Args:
        place: Of this machine.
        tell: Told what is being measured.
        image: Container image with Python, for the card.
    """
    began = time.monotonic()
    machine = await inspect(place.folder, engine="")
    tell("processor")
    one = await asyncio.to_thread(_hashing, 1)
    every = await asyncio.to_thread(_hashing, machine.threads)
    tell("memory")
    memory = await asyncio.to_thread(_copying)
    tell("disk")
    write, read = await asyncio.to_thread(_disk, place.folder)
    tell("line")
    line = await speed.measure(place.network)
    found = await driver.look()
    card = None
    if found.cards:
        tell("card")
        card = await asyncio.to_thread(cardbench.measure, image)
    bench = Bench(
        at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"), cpu=machine.cpu, threads=machine.threads,
        one=one, all=every, memory=memory, write=write, read=read, line=line, cards=found.cards,
        card=card, took=round(time.monotonic() - began, 1),
    )  # fmt: skip
    draft = place.folder / f"{RESULT}.new"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(bench)))
    draft.replace(place.folder / RESULT)
    return bench


def last(place: Place) -> Bench | None:
    """Return what was measured the last time."""
    try:
        return msgspec.json.decode((place.folder / RESULT).read_bytes(), type=Bench)
    except (OSError, msgspec.DecodeError):
        return None


def _hashing(threads: int) -> float:
    """Hash for a while on some threads, which leaves Python alone; return MB a second."""
    block = os.urandom(BLOCK)

    def work(until: float) -> int:
        done = 0
        while time.monotonic() < until:
            hashlib.sha256(block).digest()
            done += BLOCK
        return done

    began = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(work, [began + SECONDS] * threads))
    return round(done / 1e6 / (time.monotonic() - began), 1)


def _copying() -> float:
    source, target = bytearray(os.urandom(BLOCK) * (COPIED // BLOCK)), bytearray(COPIED)
    began, done = time.monotonic(), 0
    while time.monotonic() - began < SECONDS:
        target[:] = source
        done += COPIED
    return round(done / 1e9 / (time.monotonic() - began), 1)


def _disk(folder: Path) -> tuple[float, float]:
    """Return MB a second written and read, of a file that is removed again."""
    path = folder / "bench.tmp"
    block = os.urandom(BLOCK)
    try:
        began, size = time.monotonic(), 0
        with path.open("wb") as file:
            while time.monotonic() - began < SECONDS and size < WRITTEN:
                file.write(block)
                size += BLOCK
            file.flush()
            os.fsync(file.fileno())
            write = size / 1e6 / (time.monotonic() - began)
            # What is still in memory says nothing of the disk.
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        began, size = time.monotonic(), 0
        with path.open("rb", buffering=0) as file:
            while time.monotonic() - began < SECONDS and (piece := file.read(BLOCK)):
                size += len(piece)
        return round(write, 1), round(size / 1e6 / (time.monotonic() - began), 1)
    finally:
        path.unlink(missing_ok=True)
