"""
Files that jobs have named, kept for the next one that names the same.

A file is kept by its content where its source tells that, else by where it came from and in which
version. It has its name only when it is whole; what is fetched in part goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import httpx

from .executor import Unstartable
from .sources import FAILED, Item, refused

log = logging.getLogger("nosana_jupyter.host")

TRIES = 5
"""How often a file is asked for without a byte more than before."""

PAUSE = 1.0
"""Seconds before it is asked for again, each time twice as many."""

PIECE = 1 << 20
AT_ONCE = 4
"""Files that are fetched at a time."""

SPARE = 2 << 30
"""Bytes of the disk that stay free."""

KEPT = 24 * 3600.0
"""Seconds for which what nobody uses is kept, as on real nodes."""

Report = Callable[[int], None]
"""Told how many bytes more are here, or fewer."""


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class Store:
    """
    A folder of files and of trees made of them.

    Args:
        folder: Where; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self._files = folder / "files"
        self._trees = folder / "trees"
        for path in (self._files, self._trees):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.used: dict[str, set[Path]] = {}
        """Trees that jobs have mounted, by job."""

        self._locks: dict[str, asyncio.Lock] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def tree(self, items: Sequence[Item], http: httpx.AsyncClient, report: Report) -> Path:
        """
        Return a folder with these files, fetched as far as they are not here.

        Raises:
            Unstartable: One cannot be had, or there is no room.
        """
        try:
            return await self._tree(items, http, report)
        except BaseExceptionGroup as group:
            # Of several failures one is enough.
            raise _readable(group.exceptions[0]) from None
        except OSError as error:
            raise _readable(error) from None

    def forget(self, *, age: float = KEPT) -> None:
        """Remove what nobody has used for long. Blocks."""
        limit = time.time() - age
        kept = {tree for trees in self.used.values() for tree in trees}
        for tree in self._trees.iterdir():
            if tree not in kept and tree.stat().st_mtime < limit:
                log.info("forgetting the resource %s", tree.name[:12])
                shutil.rmtree(tree, ignore_errors=True)
        for file in self._files.iterdir():
            if file.stat().st_nlink == 1 and file.stat().st_mtime < limit:
                file.unlink(missing_ok=True)

    async def _tree(self, items: Sequence[Item], http: httpx.AsyncClient, report: Report) -> Path:
        keys = {item.path: _key(item) for item in items}
        name = hashlib.sha256(json.dumps(sorted(keys.items())).encode()).hexdigest()
        tree = self._trees / name
        if tree.exists():
            os.utime(tree)
            report(sum(item.size or 0 for item in items))
            return tree
        self._make_room(items)
        async with asyncio.TaskGroup() as together:
            for item in {keys[item.path]: item for item in items}.values():
                together.create_task(self._fetch(item, http, report))
        return await asyncio.to_thread(self._compose, keys, tree)

    def _make_room(self, items: Sequence[Item]) -> None:
        missing = sum(item.size or 0 for item in items if not (self._files / _key(item)).exists())
        free = shutil.disk_usage(self._files).free
        if missing + SPARE > free:
            self.forget(age=0)
            free = shutil.disk_usage(self._files).free
        if missing + SPARE > free:
            text = f"its resources take {missing >> 20} MiB, {max(0, free - SPARE) >> 20} are free"
            raise Unstartable(FAILED, text)

    async def _fetch(self, item: Item, http: httpx.AsyncClient, report: Report) -> None:
        key = _key(item)
        async with self._locks.setdefault(key, asyncio.Lock()), self._gate:
            final = self._files / key
            if final.exists():
                report(item.size or 0)
                return
            if item.content is not None:
                _publish(self._write(key, item.content), final)
                return
            await self._download(item, self._files / f"{key}.part", http, report)
            _publish(self._files / f"{key}.part", final)

    def _write(self, key: str, content: bytes) -> Path:
        draft = self._files / f"{key}.part"
        draft.write_bytes(content)
        return draft

    async def _download(
        self, item: Item, part: Path, http: httpx.AsyncClient, report: Report
    ) -> None:
        """Fetch a file, from where it stopped, until it is whole."""
        tries = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                digest = await self._go_on(item, part, http, report)
                break
            except (httpx.RequestError, _Short) as error:
                got = part.stat().st_size if part.exists() else 0
                tries = 0 if got > before else tries + 1
                if tries >= TRIES or isinstance(error, httpx.UnsupportedProtocol):
                    raise Unstartable(
                        FAILED, f"{item.path} cannot be fetched: {error or type(error).__name__}"
                    ) from None
                log.info("%s stops after %s bytes; going on", item.path, got)
            await asyncio.sleep(PAUSE * 2**tries)
        if item.digest and digest != item.digest.partition(":")[2]:
            report(-part.stat().st_size)
            part.unlink()
            raise Unstartable(FAILED, f"{item.path} is not what its source says it is")

    async def _go_on(self, item: Item, part: Path, http: httpx.AsyncClient, report: Report) -> str:
        offset = part.stat().st_size if part.exists() else 0
        if item.size is not None and offset > item.size:
            part.unlink()
            offset = 0
        hashing = _hash(item)
        if offset == item.size:
            await asyncio.to_thread(_feed, hashing, part)
            report(offset)
            return hashing.hexdigest()
        headers = dict(item.headers(item.url))
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if item.version.startswith('"'):
                headers["If-Range"] = item.version
        async with http.stream("GET", item.url, headers=headers) as answer:
            if answer.status_code == 416:
                part.unlink()
                raise _Short("its size has changed")
            if not answer.is_success:
                raise refused(item.path, answer.status_code)
            if offset and answer.status_code != 206:
                offset = 0
            mode = "ab" if offset else "wb"
            if offset:
                await asyncio.to_thread(_feed, hashing, part)
                report(offset)
            with part.open(mode) as file:
                async for data in answer.aiter_raw():
                    await asyncio.to_thread(_keep, file, hashing, data)
                    report(len(data))
                    if item.size is not None and file.tell() > item.size:
                        # Of what has no end, no more than that.
                        break
                    if item.size is None and shutil.disk_usage(self._files).free < SPARE:
                        part.unlink()
                        raise Unstartable(FAILED, f"{item.path} does not fit on the disk")
        got = part.stat().st_size
        if item.size is not None and got != item.size:
            report(-got)
            if got > item.size:
                part.unlink()
            raise _Short(f"it has {got} bytes, not {item.size}")
        return hashing.hexdigest()

    def _compose(self, keys: Mapping[str, str], tree: Path) -> Path:
        draft = self._trees / f".{secrets.token_hex(8)}"
        for path, key in keys.items():
            place = draft / path
            place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            os.link(self._files / key, place)
        # Whoever a container runs as is to read it, whatever this process's mask is.
        for place in [draft, *draft.rglob("*")]:
            place.chmod(0o755 if place.is_dir() else 0o444)
        try:
            draft.rename(tree)
        except OSError:
            # Another was quicker.
            shutil.rmtree(draft)
        return tree


def _readable(error: BaseException) -> BaseException:
    if isinstance(error, OSError):
        return Unstartable(FAILED, f"its resources cannot be kept: {error.strerror}")
    return error


class _Short(Exception):
    """Not all of a file has come."""


def _key(item: Item) -> str:
    return hashlib.sha256(item.identity.encode() + (item.content or b"")).hexdigest()


def _hash(item: Item) -> _Hash:
    kind = item.digest.partition(":")[0] or "sha256"
    if kind == "git":
        return hashlib.sha1(b"blob %d\0" % (item.size or 0), usedforsecurity=False)
    return hashlib.new(kind, usedforsecurity=False)


def _feed(hashing: _Hash, path: Path) -> None:
    with path.open("rb") as file:
        while data := file.read(PIECE):
            hashing.update(data)


def _keep(file: IO[bytes], hashing: _Hash, data: bytes) -> Any:
    file.write(data)
    hashing.update(data)


def _publish(part: Path, final: Path) -> None:
    part.chmod(0o444)
    part.replace(final)
