"""
UnixFS: the blocks that IPFS cuts content into, and the hash of the topmost.

As `ipfs add` does it unless it is told otherwise: blocks of 256 KiB, 174 links to a block.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

CHUNK = 256 << 10
"""Bytes of one block of content."""

LINKS = 174
"""Most blocks that one block points at."""

PREFIX = b"\x12\x20"
"""Of a hash: SHA-256, 32 bytes."""


def digest(content: bytes) -> bytes:
    """Return the SHA-256 of the block at the top of some content."""
    pieces = [content[at : at + CHUNK] for at in range(0, len(content), CHUNK)] or [b""]
    blocks = [_leaf(piece) for piece in pieces]
    while len(blocks) > 1:
        blocks = [_parent(blocks[at : at + LINKS]) for at in range(0, len(blocks), LINKS)]
    return blocks[0].digest


class _Block(NamedTuple):
    """A block of content, as those that point at it need to know it."""

    digest: bytes
    size: int
    """Bytes of content in it and under it."""

    weight: int
    """Bytes of it and of the blocks under it."""


def _leaf(content: bytes) -> _Block:
    field = b"\x12" + _varint(len(content)) + content if content else b""
    return _block(b"", field, len(content), 0)


def _parent(blocks: list[_Block]) -> _Block:
    """Return the block that points at others."""
    links = b"".join(
        b"\x12" + _varint(len(link)) + link
        for link in (
            b"\x0a\x22" + PREFIX + block.digest + b"\x12\x00\x18" + _varint(block.weight)
            for block in blocks
        )
    )
    size = sum(block.size for block in blocks)
    weight = sum(block.weight for block in blocks)
    return _block(links, b"", size, weight, [block.size for block in blocks])


def _block(
    links: bytes, content: bytes, size: int, under: int, sizes: Sequence[int] = ()
) -> _Block:
    inner = b"\x08\x02" + content + b"\x18" + _varint(size)
    inner += b"".join(b"\x20" + _varint(each) for each in sizes)
    whole = links + b"\x0a" + _varint(len(inner)) + inner
    return _Block(hashlib.sha256(whole).digest(), size, under + len(whole))


def _varint(number: int) -> bytes:
    out = bytearray()
    while True:
        number, low = number >> 7, number & 127
        out.append(low | (128 if number else 0))
        if not number:
            return bytes(out)
