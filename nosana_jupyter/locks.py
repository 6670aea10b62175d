"""
Locks that the operating system releases when their holder dies, however it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GLANCE = 0.3
"""
Seconds that a lock is asked for before it counts as held. Whoever looks who holds it holds it
himself for a moment.
"""

PAUSE = 0.005


class Held(Exception):
    """Somebody else holds the lock."""


@contextmanager
def lock(path: Path, *, wait: bool = False) -> Iterator[None]:
    """
    Hold a lock; its file says which process does.

    Raises:
        Held: Somebody else does, and we do not wait.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(handle, path, wait=wait)
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
            yield
        finally:
            # The file must not name us when the next holder is about to write his name.
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _take(handle: int, path: Path, *, wait: bool) -> None:
    if wait:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return
    deadline = time.monotonic() + GLANCE
    while not _free(handle):
        if time.monotonic() > deadline:
            raise Held(str(path))
        time.sleep(PAUSE)


def holder(path: Path) -> int | None:
    """Return the process that holds a lock, or nothing if nobody does."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        deadline = time.monotonic() + GLANCE
        while not _free(handle):
            with contextlib.suppress(ValueError):
                return int(os.pread(handle, 20, 0))
            # It has been taken, and the name is about to be written.
            if time.monotonic() > deadline:
                return None
            time.sleep(PAUSE)
        return None
    finally:
        os.close(handle)


def _free(handle: int) -> bool:
    """Take a lock if nobody has it, and say whether that went."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
