"""
Content of IPFS, block by block: each is hashed as it comes, so that no gateway is believed.

Goes to hosts as text: see `loading`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

from .download import CannotFetch, Meter, room
from .gateways import RAW, Cid, Gateways, binary, parse

AT_ONCE = 8
"""Blocks that are asked for side by side."""

MOST_ENTRIES = 20_000
DEEPEST = 40

FILE_KINDS, FOLDER, SHARD = (0, 2), 1, 5


class Link(NamedTuple):
    """Where a block points."""

    name: str
    cid: Cid
    size: int = 0
    """Bytes of content under it, where it is part of a file."""


class Node(NamedTuple):
    """What a block is."""

    kind: int
    data: bytes
    links: tuple[Link, ...]
    size: int


def read(cid: Cid, block: bytes) -> Node:
    """
    Read a block.

    Raises:
        ValueError: It is none of a file or folder.
    """
    if cid.codec == RAW:
        return Node(0, block, (), len(block))
    inner, links = b"", []
    for field, value in _fields(block):
        if field == 1:
            inner = _octets(value)
        elif field == 2:
            parts = dict(_fields(_octets(value)))
            name = _octets(parts.get(2, b"")).decode()
            links.append(Link(name, binary(_octets(parts[1]))))
    kind, data, size, sizes = -1, b"", 0, []
    for field, value in _fields(inner):
        if field == 1 and isinstance(value, int):
            kind = value
        elif field == 2:
            data = _octets(value)
        elif field == 3 and isinstance(value, int):
            size = value
        elif field == 4:
            sizes += [value] if isinstance(value, int) else _packed(value)
    if kind in FILE_KINDS:
        if len(sizes) != len(links) or size != len(data) + sum(sizes):
            raise ValueError("a block whose sizes do not add up")
        links = [link._replace(size=each) for link, each in zip(links, sizes)]
    elif kind not in (FOLDER, SHARD):
        raise ValueError("a block that is neither file nor folder")
    return Node(kind, data, tuple(links), size)


def _octets(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number where bytes are due")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
        elif key & 7 == 2:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise ValueError("a block that ends early")
            yield key >> 3, data[at : at + length]
            at += length
        else:
            raise ValueError("a block of another make")


def _packed(data: bytes) -> list[int]:
    found, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        found.append(value)
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(data) and shift < 63:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
    raise ValueError("a number that does not end")


def bring(spec: dict[str, Any], part: Path, meter: Meter) -> None:
    """
    Fetch the file or folder under a content id.

    Raises:
        CannotFetch: It cannot be had, or there is none of that name in it.
    """
    gateways = Gateways(spec["gateways"], meter)
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        cid, names = parse(spec["cid"]), [each for each in spec["path"].split("/") if each]
        for name in names:
            entries = dict(_entries(gateways, read(cid, gateways.block(cid)), 0))
            if name not in entries:
                raise CannotFetch(f"{meter.title}: there is no {name!r} in it")
            cid = entries[name]
        Fetch(gateways, pool, part, meter).run(cid, names[-1] if names else spec["cid"])
    except (ValueError, KeyError, UnicodeDecodeError) as error:
        raise CannotFetch(f"{meter.title} is not a file or folder of IPFS: {error}") from None
    finally:
        meter.stop = True
        pool.shutdown(wait=True)


def _entries(gateways: Gateways, node: Node, depth: int) -> Iterator[tuple[str, Cid]]:
    """Yield what a folder holds."""
    if depth > DEEPEST or node.kind not in (FOLDER, SHARD):
        raise ValueError("it is no folder, or too deep a one")
    for link in node.links:
        name = link.name[2:] if node.kind == SHARD else link.name
        if node.kind == SHARD and not name:
            yield from _entries(gateways, read(link.cid, gateways.block(link.cid)), depth + 1)
        elif name in ("", ".", "..") or "/" in name or "\0" in name:
            raise ValueError(f"an entry of a folder is called {name!r}")
        else:
            yield name, link.cid


class Fetch:
    """
    Puts all blocks under one into their places.

    Args:
        gateways: Asked.
        pool: Asks them side by side.
        part: Folder of what is made.
        meter: Says how far it is.
    """

    def __init__(
        self, gateways: Gateways, pool: ThreadPoolExecutor, part: Path, meter: Meter
    ) -> None:
        self._gateways, self._pool, self._part, self._meter = gateways, pool, part, meter
        self._due: deque[tuple[Cid, Path, int, int]] = deque()
        """Block, its file, where in it, and bytes of it or -1."""

        self._come: dict[Path, int] = {}
        self._files = 0

    def run(self, cid: Cid, name: str) -> None:
        """Fetch all."""
        top = read(cid, self._gateways.block(cid))
        base = self._part / "data"
        base.mkdir(exist_ok=True)
        if top.kind in FILE_KINDS:
            (self._part / "alone").touch()
            self._meter.whole = top.size
            self._place(base / name, top)
        else:
            self._folder(base, top, 0)
        under_way: dict[Future[bytes], tuple[Cid, Path, int, int]] = {}
        while self._due or under_way:
            while self._due and len(under_way) < 2 * AT_ONCE:
                # The last first: few blocks that only point at others are held.
                due = self._due.pop()
                under_way[self._pool.submit(self._gateways.block, due[0])] = due
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for each in done:
                found = under_way.pop(each)
                self._take(found, each.result())

    def _folder(self, path: Path, node: Node, depth: int) -> None:
        for name, cid in _entries(self._gateways, node, 0):
            self._files += 1
            if self._files > MOST_ENTRIES or depth > DEEPEST:
                raise CannotFetch(f"{self._meter.title} has more than {MOST_ENTRIES:,} files")
            below = read(cid, self._gateways.block(cid))
            if below.kind in FILE_KINDS:
                self._place(path / name, below)
            else:
                (path / name).mkdir(exist_ok=True)
                self._folder(path / name, below, depth + 1)

    def _place(self, path: Path, node: Node) -> None:
        """Begin a file."""
        room(self._part, node.size, self._meter.title)
        with path.open("wb") as file:
            file.truncate(node.size)
        self._come[path] = 0
        self._spread(path, node, 0)

    def _take(self, due: tuple[Cid, Path, int, int], block: bytes) -> None:
        cid, path, at, size = due
        node = read(cid, block)
        if node.kind not in FILE_KINDS or node.size != size:
            raise ValueError("a block of another size than was said of it")
        self._spread(path, node, at)

    def _spread(self, path: Path, node: Node, at: int) -> None:
        if node.data:
            with path.open("r+b") as file:
                file.seek(at)
                file.write(node.data)
            self._come[path] += len(node.data)
            self._meter.put(path, self._come[path], len(node.data))
        at += len(node.data)
        for link in node.links:
            # What holds nothing may branch without end.
            if link.size:
                self._due.append((link.cid, path, at, link.size))
            at += link.size
