"""
Fetch what a link names, into what this host keeps.

This and what it imports goes to a host as text with a cell that reads a link, and to no other: the
runner knows nothing of links. Python 3.9 and its own library are enough.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from . import arweave, blocks, contents, forms, unsealing
from .download import CannotFetch, Meter, Wanted, download, fail, room

FEW = 4
"""Files that are fetched side by side."""

CACHE = "NOSANA_CACHE"

FRESH = 86400.0
"""Seconds in which what was used is not removed for something else."""


def fetch(spec: dict[str, Any]) -> Any:
    """
    Return the file or folder that a link names, fetched and checked unless it is here; of what was
    sealed here as a value, that.

    Raises:
        CannotFetch: It cannot be had, or is not what it is to be.
    """
    title = spec["title"]
    kept = store()
    key = hashlib.sha256(json.dumps(spec["identity"]).encode()).hexdigest()[:32]
    place, part = kept / key, kept / f"{key}.part"
    with _alone(kept / f"{key}.lock"):
        if (found := _here(place)) is not None:
            sys.stderr.write(f"{title}: on this host already\n")
            return _made(spec, place, found)
        meter = Meter(title)
        try:
            _tidy(kept, spec.get("size") or 0, keep=key)
            part.mkdir(exist_ok=True)
            room(part, spec.get("size") or 0, title)
            _bring(spec, part, meter)
        except OSError as error:
            raise fail(title, error) from None
        finally:
            meter.close()
        _seal(part, spec.get("source", ""))
        shutil.rmtree(place, ignore_errors=True)
        part.rename(place)
        (place.with_suffix(".lock")).touch()
        found = _here(place)
        assert found is not None
        return _made(spec, place, found)


def _made(spec: dict[str, Any], place: Path, found: Path) -> Any:
    """Return what a cell is given."""
    about = place / "about.json"
    if not about.exists():
        return found
    return contents.value(contents.recall(about), found, forms.reader(spec["forms"]))


def _bring(spec: dict[str, Any], part: Path, meter: Meter) -> None:
    if spec["kind"] == "ipfs":
        blocks.bring(spec, part, meter)
        unsealing.after(spec, part, meter)
    elif spec["kind"] == "ar":
        arweave.bring(spec, part, meter)
    else:
        if spec["alone"]:
            (part / "alone").touch()
        _files(spec, part, meter)


def _files(spec: dict[str, Any], part: Path, meter: Meter) -> None:
    wanted = [Wanted(**each) for each in spec["files"]]
    meter.whole = sum(each.size or 0 for each in wanted) if all(
        each.size is not None for each in wanted
    ) else 0  # fmt: skip
    pool = ThreadPoolExecutor(FEW)
    try:
        done = [pool.submit(download, each, _below(part, each.path), meter) for each in wanted]
        for each in done:
            each.result()
    finally:
        meter.stop = True
        for each in done:
            each.cancel()
        pool.shutdown(wait=True)


def _below(folder: Path, path: str) -> Path:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in path:
        raise CannotFetch(f"a file of it has the path {path!r}")
    return folder.joinpath("data", *pure.parts)


def store() -> Path:
    """Return where this host keeps what links name: with its cache, if it gives one."""
    for parent in (os.environ.get(CACHE, ""), tempfile.gettempdir()):
        place = Path(parent, "links")
        with contextlib.suppress(OSError):
            if parent:
                place.mkdir(parents=True, exist_ok=True)
                return place
    raise CannotFetch("this host has no folder that can be written")


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one job of this host fetch a thing; others wait for it."""
    with lock.open("a") as file:
        try:
            import fcntl
        except ImportError:
            yield
            return
        said = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if not said:
                    sys.stderr.write("another job of this host fetches it; waiting for it\n")
                said = True
                time.sleep(0.2)
        yield


def _seal(part: Path, source: str) -> None:
    """Write down what was fetched, and let nobody write to it by mistake."""
    (part / "source").write_text(source)
    seen = {}
    for path in sorted((part / "data").rglob("*")):
        if path.is_file():
            path.chmod(0o444)
            about = path.stat()
            seen[path.relative_to(part).as_posix()] = [about.st_size, about.st_mtime_ns]
    (part / "seen.json").write_text(json.dumps(seen))


def _here(place: Path) -> Path | None:
    """Return what was fetched before, if it is whole and nobody has written to it."""
    try:
        seen = json.loads((place / "seen.json").read_text())
        for name, (size, changed) in seen.items():
            about = (place / name).stat()
            if (about.st_size, about.st_mtime_ns) != (size, changed):
                return None
    except (OSError, ValueError):
        return None
    os.utime(place)
    entries = list((place / "data").iterdir())
    alone = place / "alone"
    return entries[0] if alone.exists() and len(entries) == 1 else place / "data"


def _tidy(store: Path, size: int, *, keep: str) -> None:
    """Remove the oldest of what nobody has used of late, where there is no room for the next."""
    kept = sorted((each.stat().st_mtime, each) for each in store.iterdir() if each.is_dir())
    for used, place in kept:
        if shutil.disk_usage(store).free > size + (256 << 20):
            return
        if time.time() - used > FRESH and not place.name.startswith(keep):
            shutil.rmtree(place, ignore_errors=True)
