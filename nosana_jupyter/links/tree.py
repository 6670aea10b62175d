"""
UnixFS made from a stream: the blocks of a file, and the content id on top.

As `ipfs add --cid-version=1` cuts it: raw blocks of 256 KiB, 174 links to a block. Of the content
nothing stays in memory but the block that is being filled.

Goes to hosts as text: see `loading`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .gateways import NODE, RAW, Cid

CHUNK = 256 << 10
"""Bytes of a block of content."""

LINKS = 174
"""Most blocks that one block points at."""


class _Under(NamedTuple):
    """A block, as the one that points at it needs to know it."""

    cid: Cid
    size: int
    """Bytes of content in it and under it."""

    weight: int
    """Bytes of it and of the blocks under it."""


def _nothing(_cid: Cid, _block: bytes) -> None:
    """Keep no block."""


class Tree:
    """
    Makes the blocks of one file.

    Args:
        keep: Takes each block with its id, those below first.
    """

    def __init__(self, keep: Callable[[Cid, bytes], None] = _nothing) -> None:
        self._keep = keep
        self._rest = bytearray()
        self._levels: list[list[_Under]] = [[]]

    def add(self, data: bytes) -> None:
        """Take the next bytes of the content."""
        self._rest += data
        at = 0
        # The last block is cut at the end: what is empty has one as well.
        while len(self._rest) - at > CHUNK:
            self._leaf(bytes(self._rest[at : at + CHUNK]))
            at += CHUNK
        del self._rest[:at]

    def end(self) -> Cid:
        """Return the id of the file."""
        self._leaf(bytes(self._rest))
        level = 0
        while len(self._levels) > level + 1 or len(self._levels[level]) > 1:
            self._join(level)
            level += 1
        return self._levels[level][0].cid

    def _leaf(self, content: bytes) -> None:
        cid = self._block(RAW, content)
        self._put(0, _Under(cid, len(content), len(content)))

    def _put(self, level: int, under: _Under) -> None:
        if level == len(self._levels):
            self._levels.append([])
        if len(self._levels[level]) == LINKS:
            self._join(level)
        self._levels[level].append(under)

    def _join(self, level: int) -> None:
        """Let one block point at those of a level."""
        under, self._levels[level] = self._levels[level], []
        block = _node(under)
        cid = self._block(NODE, block)
        weight = len(block) + sum(each.weight for each in under)
        self._put(level + 1, _Under(cid, sum(each.size for each in under), weight))

    def _block(self, codec: int, block: bytes) -> Cid:
        cid = Cid(codec, hashlib.sha256(block).digest())
        self._keep(cid, block)
        return cid


def _node(under: Sequence[_Under]) -> bytes:
    links = b"".join(
        _field(0x12, _field(0x0A, each.cid.raw) + b"\x12\x00\x18" + _varint(each.weight))
        for each in under
    )
    inner = b"\x08\x02\x18" + _varint(sum(each.size for each in under))
    inner += b"".join(b"\x20" + _varint(each.size) for each in under)
    return links + _field(0x0A, inner)


def _field(key: int, data: bytes) -> bytes:
    return bytes([key]) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while True:
        number, low = number >> 7, number & 127
        out.append(low | (128 if number else 0))
        if not number:
            return bytes(out)
