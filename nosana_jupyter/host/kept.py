"""
What later jobs of the same payer find, within a bound on the disk: the longest unused goes first.

What lies in a cache was written by strangers' jobs: no link in it is followed, and nothing is
touched while a job has it mounted.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import disk

log = logging.getLogger("nosana_jupyter.host")

MOST = 100 << 30
"""Bytes of all caches, where the owner does not say; at most a fifth of the disk."""

SINGLE = ("links", "models/hub", "models/torch", "models/whisper", "models/keras")
"""Folders of which each entry is of use alone."""

WHOLE = ("models/ollama",)
"""Folders whose entries share their content."""

GONE = ".gone-"
"""How the names of what is being removed begin."""


@dataclass(frozen=True, kw_only=True)
class Cache:
    """What is kept for one payer."""

    name: str
    folder: Path | None
    """Nothing where this process may not look into it."""

    used: float
    """When a job last had it."""

    busy: bool
    """Whether a job has it now."""

    size: int
    """Bytes."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A model, or what a link led to."""

    path: Path
    used: float
    size: int


def most(folder: Path) -> int:
    """Return what caches may take of the disk of a folder, where the owner does not say."""
    with contextlib.suppress(OSError):
        return min(MOST, shutil.disk_usage(folder).total // 5)
    return MOST


def gib(text: str) -> int:
    """
    Return the bytes of so many GiB.

    Raises:
        ArgumentTypeError: It is no such number.
    """
    try:
        count = float(text)
    except ValueError:
        count = -1.0
    if not 0 <= count < 1 << 20:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number of GiB")
    return int(count * (1 << 30))


def trim(caches: Sequence[Cache], *, limit: int, share: int, remove: Callable[[str], None]) -> None:
    """
    Remove what is too much. Blocks.

    Args:
        caches: All there are.
        limit: Bytes of all together.
        share: Bytes of one: what its next job may write is what is left.
        remove: Removes one whole, by its name.
    """
    sizes = {each.name: each.size for each in caches}
    idle = sorted((each for each in caches if not each.busy), key=lambda each: each.used)
    for cache in idle:
        _shrink(cache, sizes, partial(_is_over, sizes, cache.name, share), remove)
    # Whose payer has been away for longest goes first, and of it what was unused for longest.
    for cache in idle:
        _shrink(cache, sizes, lambda: sum(sizes.values()) > limit, remove)


def entries(folder: Path) -> list[Entry]:
    """Return what lies in a cache, the longest unused first."""
    found = []
    for root in (folder, *sorted(folder.glob("user-*"))):
        places = [root / name for name in WHOLE]
        for name in SINGLE:
            with contextlib.suppress(OSError):
                # Never what a link leads to.
                if _is_plain(folder, root / name):
                    places += sorted((root / name).iterdir())
        found += [
            Entry(path=place, used=_used(place), size=disk.taken(place))
            for place in places
            if place.is_dir() and not place.name.startswith(".") and _is_plain(folder, place)
        ]
    return sorted(found, key=lambda entry: entry.used)


def _is_over(sizes: Mapping[str, int], name: str, share: int) -> bool:
    return sizes[name] > share


def shrink(folder: Path, limit: int) -> None:
    """Remove of one cache that nobody has now what was unused for longest. Blocks."""
    found = entries(folder)
    total = sum(entry.size for entry in found)
    for entry in found:
        if total <= limit:
            return
        total -= _remove(entry)


def _shrink(
    cache: Cache, sizes: dict[str, int], over: Callable[[], bool], remove: Callable[[str], None]
) -> None:
    """Remove of a cache what is unused for longest, and if that does not do, all of it."""
    if not sizes[cache.name] or not over():
        return
    for entry in entries(cache.folder) if cache.folder is not None else ():
        sizes[cache.name] -= _remove(entry)
        if not over():
            return
    remove(cache.name)
    sizes[cache.name] = 0


def _remove(entry: Entry) -> int:
    """Remove an entry, or nothing of it; return the bytes that are free for it."""
    log.info("forgetting %r, for room", entry.path.name[:80])
    # In one step: nobody finds half of it.
    gone = entry.path.with_name(f"{GONE}{uuid.uuid4().hex}")
    try:
        entry.path.rename(gone)
    except OSError:
        return 0
    shutil.rmtree(gone, ignore_errors=True)
    return entry.size


def _is_plain(folder: Path, path: Path) -> bool:
    """Say whether a path below a folder leads there without a link."""
    return path.resolve() == folder.resolve() / path.relative_to(folder)


def _used(place: Path) -> float:
    """Return when something of it was last written or read, as far as the disk notes that."""
    last = place.lstat().st_mtime
    for root, _, names in os.walk(place):
        for name in names:
            with contextlib.suppress(OSError):
                about = os.lstat(Path(root, name))
                last = max(last, about.st_mtime, about.st_atime)
    return last
