"""
What later jobs of the same payer find on this host: models and links, by their names.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional

from ..wire.keeping import HUB, KERAS, LINK, LONGEST, MOST, OLLAMA, TORCH, WHISPER, Keeps, Kept

SHARE = 20
"""A look may take one part in so many of what its cell took, from the second cell on."""

MANIFEST = 1 << 20
"""Bytes of the longest list of layers that is read."""

_SETS = (("models--", ""), ("datasets--", "datasets/"), ("spaces--", "spaces/"))
"""How the hub's folders are called, and what stands before a name of each kind."""


class _Found(NamedTuple):
    used: float
    thing: Kept


class Shelf:
    """
    The cache that a host has given, looked at when the runner begins and after cells.

    Args:
        cache: Where it lies.
        most: Bytes that the host keeps of it; 0 if it gave none.
    """

    def __init__(self, cache: Path, most: int) -> None:
        self._cache, self._most = cache, most
        self._said: Optional[list[Kept]] = None
        self._took = 0.0
        self._found = self._look()

    def after(self, seconds: float) -> Optional[Keeps]:
        """Return what is to be said after a cell that took so long; nothing if that is known."""
        if self._said is not None and seconds < SHARE * self._took:
            return None
        now = self._look()
        if now == self._said:
            return None
        self._said = now
        return Keeps(self._found, now)

    def _look(self) -> list[Kept]:
        began = time.monotonic()
        things = []
        if self._most > 0:
            left = self._most
            for each in sorted(_things(self._cache), key=_age)[:MOST]:
                # What was unused for longest goes first, once there is too much.
                left -= each.thing.size
                if left >= 0:
                    things.append(each.thing)
        self._took = time.monotonic() - began
        # In an order that does not change with what is read.
        return sorted(things, key=lambda each: (each.kind, each.name))


def _things(cache: Path) -> Iterator[_Found]:
    """Give what lies in a cache, each with the time of its last use."""
    models = cache / "models"
    for entry in _entries(models / "hub"):
        for begin, kind in _SETS:
            name = kind + entry.name[len(begin) :].replace("--", "/")
            if entry.name.startswith(begin) and any(_entries(entry / "snapshots")):
                yield from _thing(HUB, name, entry)
    for folder in (models / "torch", models / "torch/checkpoints"):
        for entry in _entries(folder):
            if entry.name != "checkpoints":
                yield from _thing(TORCH, entry.name, entry)
    for entry in _entries(models / "whisper"):
        yield from _thing(WHISPER, entry.stem, entry)
    for entry in _entries(models / "keras"):
        yield from _thing(KERAS, entry.name, entry)
    for entry in _entries(models / "ollama/manifests"):
        for place in list(_files(entry))[: MOST * 4]:
            yield from _of_ollama(place, place.relative_to(entry).parts)
    for entry in _entries(cache / "links"):
        with contextlib.suppress(OSError, ValueError):
            yield from _thing(LINK, (entry / "source").read_text(encoding="utf-8"), entry / "data")


def _entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, without what is hidden or not whole yet."""
    with contextlib.suppress(OSError):
        found = sorted(folder.iterdir())
        return [each for each in found if not each.name.startswith(".") and each.suffix != ".part"]
    return []


def _files(place: Path) -> Iterator[Path]:
    """Give a file, or those below a folder: what goes meanwhile is left out."""
    if not place.is_dir():
        yield place
    for root, _, names in os.walk(place):
        yield from (Path(root, name) for name in sorted(names))


def _age(found: _Found) -> float:
    return -found.used


def _thing(kind: str, name: str, place: Path) -> Iterator[_Found]:
    size, used = 0, 0.0
    for path in _files(place):
        with contextlib.suppress(OSError):
            about = path.lstat()
            if stat.S_ISREG(about.st_mode):
                size += about.st_size
                used = max(used, about.st_mtime, about.st_atime)
    if size and 0 < len(name) <= LONGEST:
        yield _Found(used, Kept(kind, name, size))


def _of_ollama(place: Path, parts: tuple[str, ...]) -> Iterator[_Found]:
    """Give a model of Ollama's: the list of its layers is named `library/NAME/TAG`."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        about = place.lstat()
        if not stat.S_ISREG(about.st_mode) or about.st_size > MANIFEST or len(parts) < 3:
            return
        layers = json.loads(place.read_bytes())["layers"]
        name = "/".join(parts[:-1]).replace("library/", "", 1)
        size = sum(int(each["size"]) for each in layers)
        # That it was read says nothing: this has read it.
        yield _Found(about.st_mtime, Kept(OLLAMA, f"{name}:{parts[-1]}"[:LONGEST], size))
