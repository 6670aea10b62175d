"""
Environments that are kept for later jobs.

Each has a place of its own, made beside it and renamed when it is whole. Who uses one holds its
lock as long as the process lives, so that none is removed under a job that runs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FLOCK = sys.platform != "win32"
"""Whether files can be locked. Where not, the last to rename wins, and nothing is removed."""

AGE = 30 * 86400.0
"""Seconds after which what no job has used goes."""

LARGEST = 30 << 30
"""Most bytes of environments, and of what installers keep, each. The oldest go first."""

UNFINISHED = 86400.0
"""Seconds after which what was never finished goes."""

DOWNLOADS = ("uv", "pip")
"""What installers keep for themselves."""

_held: dict[str, int] = {}
"""Open files of the locks that this process keeps to its end."""


@contextmanager
def claimed(place: Path, stopped: Callable[[], bool]) -> Iterator[bool]:
    """
    Hold a place: it is there, or to be made now by this process alone. False when stopped.

    What is there at the end stays in use until this process ends.
    """
    lock = str(_lock(place))
    if lock in _held:
        yield True
        return
    file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    kept = False
    try:
        held = _claim(file, place, stopped)
        yield held
        if held and place.is_dir() and _take(file, shared=True) and place.is_dir():
            os.utime(lock)
            _held[lock], kept = file, True
    finally:
        if not kept:
            os.close(file)


def note(place: Path) -> None:
    """Write down how large an environment is, so that nobody has to measure it again."""
    _lock(place).write_text(str(_size(place)))


def tidy(cache: Path) -> None:
    """Remove what nobody has used for long, and the oldest of what is too much."""
    if not FLOCK:
        return
    now, total = time.time(), 0
    for lock in sorted(cache.glob("env-*.lock"), key=_used, reverse=True):
        place = lock.with_suffix("")
        text = lock.read_text() if place.is_dir() else ""
        total += int(text) if text.isdigit() else 0
        if now - _used(lock) > AGE or total > LARGEST:
            _remove(place, lock)
    for part in cache.glob("*.part"):
        if now - _used(part) > UNFINISHED:
            shutil.rmtree(part, ignore_errors=True)
    for name in DOWNLOADS:
        # They find their way without it, and would be slow to sort through.
        if (folder := cache / name).is_dir() and _size(folder) > LARGEST:
            _remove(folder, cache / "downloads.lock")


@contextmanager
def downloading(cache: Path) -> Iterator[None]:
    """Keep what installers keep while one of them runs."""
    with (cache / "downloads.lock").open("a+") as file:
        if FLOCK:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_SH)
        yield


def _lock(place: Path) -> Path:
    return place.with_suffix(".lock")


def _claim(file: int, place: Path, stopped: Callable[[], bool]) -> bool:
    """Wait for a place that is there, or for the right to make it."""
    while not stopped():
        # Not both at once: whoever has made it keeps sharing it.
        there = place.is_dir()
        if _take(file, shared=there) and (not there or place.is_dir()):
            return True
        time.sleep(0.1)
    return False


def _take(file: int, *, shared: bool) -> bool:
    if not FLOCK:
        return True
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(place: Path, lock: Path) -> None:
    """Remove a folder that no process uses."""
    file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _take(file, shared=False):
            return
        # In one step: nobody finds half of it. The lock stays, as somebody may wait for it.
        gone = place.with_name(f"{place.name}.{os.getpid()}.part")
        with contextlib.suppress(OSError):
            place.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
    finally:
        os.close(file)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512  # noqa: PTH118
    return total
