"""
The board as others read it: what has not changed is not read again.

Who wrote an entry may be gone. Then its job is at work without anybody who follows it, until the
time that was paid for is over; without a job nothing is left of it.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from .. import settings
from ..money.journal import here, owner_of
from .live import Live

KEEP = 60.0
"""Seconds for which a cell that has ended stays."""

DAY = 86_400.0
"""Seconds after which an entry goes whose process another machine has."""

LARGEST = 1 << 20
"""Bytes of an entry. None of ours comes near."""

SUFFIX = ".json"

LOST = "nobody follows it: %nosana attach takes it up, %nosana sweep settles it"

_Key = tuple[int, int, int]

_decoder = msgspec.json.Decoder(Live)
_lock = threading.Lock()
_seen: dict[Path, dict[str, tuple[_Key, Live]]] = {}


def folder() -> Path:
    """Return where the board of this user is. It may not be there yet."""
    return settings.home() / "board"


def read(place: Path | None = None) -> list[Live]:
    """Return what is on the board, oldest first. It may be called every half second."""
    place = place or folder()
    with _lock:
        before, now = _seen.get(place, {}), {}
        with suppress(FileNotFoundError), os.scandir(place) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and (known := _known(entry, before)) is not None:
                    now[entry.name] = known
        _seen[place] = now
    owners: dict[str, bool] = {}
    found = [_standing(place / name, live, owners) for name, (_, live) in now.items()]
    return sorted((each for each in found if each is not None), key=lambda each: each.created)


def _known(
    entry: os.DirEntry[str], before: dict[str, tuple[_Key, Live]]
) -> tuple[_Key, Live] | None:
    """Return an entry as it was read before, or read it; nothing where it cannot be."""
    try:
        stat = entry.stat(follow_symlinks=False)
        key = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = before.get(entry.name)
        if known is not None and known[0] == key:
            return known
        if not entry.is_file(follow_symlinks=False) or stat.st_size > LARGEST:
            return None
        return key, _decoder.decode(Path(entry.path).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None  # It has gone meanwhile, or is of another version.


def _standing(path: Path, live: Live, owners: dict[str, bool]) -> Live | None:
    """Return an entry as it stands now; remove it where nothing is left of it."""
    now = time.time()
    if live.state == "ended":
        left = (live.ended or live.updated) + KEEP
    elif live.place != here():  # Nobody here can tell whether that process lives.
        left = live.updated + live.timeout + DAY
    elif live.owner and _lives(live.owner, owners):
        return live
    else:
        left = (live.began or live.updated) + live.timeout + KEEP if live.job else 0.0
        text = live.text if live.state == "detached" else LOST
        live = msgspec.structs.replace(live, owner="", state="detached", text=text)
    if now <= left:
        return live
    with suppress(OSError):
        path.unlink()
    return None


def _lives(owner: str, known: dict[str, bool]) -> bool:
    if owner not in known:
        pid = owner.partition("@")[0]
        known[owner] = pid.isdecimal() and owner_of(int(pid)) == owner
    return known[owner]
