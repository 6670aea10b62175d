"""
Resources of an operation: fetched by the host before it starts, and mounted into its container.
"""

from __future__ import annotations

import asyncio
import logging
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import docker.types
import httpx

from ..wire.definition import S3, Resource
from . import outside, sources
from .executor import Task, Tell
from .store import Store

log = logging.getLogger("nosana_jupyter.host")

OFTEN = 0.5
"""Seconds between two messages about one resource."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A resource that is on the disk of this host."""

    folder: Path
    target: str
    writable: bool
    """Whether the operation may change it: it gets a copy of its own then."""

    def mount(self, name: str, labels: Mapping[str, str]) -> docker.types.Mount:
        """
        Return how it comes into a container.

        Args:
            name: What its volume is called, if it gets one.
            labels: Those of the volume.
        """
        if self.writable:
            return docker.types.Mount(
                self.target, name, type="volume", no_copy=True, labels=dict(labels)
            )
        return docker.types.Mount(self.target, str(self.folder), type="bind", read_only=True)


class Resources:
    """
    What this host keeps for all jobs that name the same.

    Args:
        cache: Where.
    """

    def __init__(self, cache: Path) -> None:
        self._store = Store(cache / "resources")

    async def fetch(self, task: Task, tell: Tell) -> list[Ready]:
        """
        Fetch the resources of an operation; what is here already is only asked after.

        Raises:
            Unstartable: One cannot be had.
        """
        wanted = [each for each in task.run.resources or () if not isinstance(each, str)]
        if not wanted:
            return []
        await asyncio.to_thread(self._store.forget)
        near = {outside.origin(address) for address in sources.endpoints().values()}
        async with outside.client(near) as http:
            found = [await _one(resource, self._store, http, tell) for resource in wanted]
        self.hold(task.job, (ready.folder for ready in found))
        return found

    def hold(self, job: str, folders: Iterable[Path]) -> None:
        """Note that a job has some of it mounted."""
        self._store.used.setdefault(job, set()).update(folders)

    def release(self, job: str) -> None:
        """Note that a job uses nothing any more."""
        self._store.used.pop(job, None)


async def _one(resource: Resource, store: Store, http: httpx.AsyncClient, tell: Tell) -> Ready:
    name, began = sources.title(resource), time.monotonic()
    told = {"id": name, "status": "Downloading", "progressDetail": {}}
    tell("process-bar-start", told)
    found = await sources.items(resource, http)
    whole = sum(item.size or 0 for item in found)
    folder = await store.tree(found, http, _meter(name, whole, tell))
    tell("process-bar-stop", {**told, "status": "Downloaded"})
    log.info("resource %s: %s files, %.1f s", name, len(found), time.monotonic() - began)
    writable = isinstance(resource, S3) and bool(resource.allow_write)
    return Ready(folder=folder, target=sources.target(resource), writable=writable)


def _meter(name: str, whole: int, tell: Tell) -> Callable[[int], None]:
    """Return what counts bytes and says now and then how many there are."""
    here, said = 0, 0.0

    def report(more: int) -> None:
        nonlocal here, said
        here += more
        if time.monotonic() - said > OFTEN:
            said = time.monotonic()
            detail = {"current": here, "total": whole}
            tell(
                "process-bar-update",
                {"id": name, "status": "Downloading", "progressDetail": detail},
            )

    return report


def archive(folder: Path) -> Iterator[bytes]:
    """Yield a folder as a tar, in pieces: what an operation may change is copied into its own."""
    for path in sorted(folder.rglob("*")):
        entry = tarfile.TarInfo(str(path.relative_to(folder)))
        if path.is_dir():
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            yield entry.tobuf()
            continue
        entry.size, entry.mode = path.stat().st_size, 0o644
        yield entry.tobuf()
        with path.open("rb") as file:
            while data := file.read(1 << 20):
                yield data
        yield b"\0" * (-entry.size % tarfile.BLOCKSIZE)
    yield b"\0" * 2 * tarfile.BLOCKSIZE
