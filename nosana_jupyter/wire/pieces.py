"""
Buffers by what is in them: each is cut into pieces, and what the other side has is not sent again.

A piece goes by an id: its GMAC under a key of the client's, another for each job. To name the
pieces of an array so takes less time than to copy it. Ids never leave the sealed line, and the key
only goes with them, to the host that is about to get the data: nobody else can test by an id what
somebody has. Two pieces that differ have the same id as seldom as a forged frame opens.
"""

from __future__ import annotations

import functools
import importlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..errors import RemoteProtocolError
from .beside import begin
from .messages import CHUNK, Large, Octets

PIECE = 1 << 16
"""Bytes of a piece, but for the last of a buffer."""

ID = 16
"""Bytes of an id."""

_NONCE = bytes(12)

_HALF = 8 << 20
"""Bytes from which on one half is printed beside the other."""

_STRIDE = 1 << 20
"""Bytes that are printed at a time: more take no less time for each."""


class Names:
    """
    Names pieces.

    Args:
        key: 32 bytes, used for nothing else.

    Raises:
        RemoteProtocolError: It is not.
    """

    def __init__(self, key: bytes) -> None:
        self.key = key
        try:
            self._encrypt = AESGCM(key).encrypt
        except ValueError as error:
            raise RemoteProtocolError("a key of ids has the wrong length") from error

    def ids(self, data: memoryview) -> bytes:
        """Return the ids of pieces in a row."""
        encrypt = self._encrypt
        return b"".join(
            encrypt(_NONCE, b"", data[start : start + PIECE])
            for start in range(0, len(data), PIECE)
        )

    def print(self, data: memoryview) -> bytes:
        """Return what tells data from other data of the same size, in about a copy's time."""
        half = len(data) // 2 // _STRIDE * _STRIDE
        if half < _HALF:
            return self._printed(data)
        first = begin(self._printed, data[:half])
        second = self._printed(data[half:])
        return first.result() + second

    def _printed(self, data: memoryview) -> bytes:
        encrypt = self._encrypt
        return b"".join(
            encrypt(_NONCE, b"", data[start : start + _STRIDE])
            for start in range(0, len(data), _STRIDE)
        )


def count(size: int) -> int:
    """Return how many pieces a buffer has."""
    return -(-size // PIECE)


def bits(numbers: Iterable[int], whole: int) -> bytes:
    """Return the bytes in which these bits are set."""
    found = bytearray(-(-whole // 8))
    for number in numbers:
        found[number >> 3] |= 1 << (number & 7)
    return bytes(found)


def runs(buffers: Sequence[Large], missing: bytes) -> Iterator[tuple[int, int, int]]:
    """
    Yield what is missing: buffer, begin and end, as long as fits into a chunk.

    Raises:
        RemoteProtocolError: The bits are of other buffers.
    """
    if len(missing) != -(-sum(count(each.size) for each in buffers) // 8):
        raise RemoteProtocolError("the runner misses pieces of other buffers")
    number = 0
    for buffer, each in enumerate(buffers):
        begin = end = 0
        for start in range(0, each.size, PIECE):
            if missing[number >> 3] >> (number & 7) & 1:
                if end != start or start - begin >= CHUNK:
                    if end > begin:
                        yield buffer, begin, end
                    begin = start
                end = min(start + PIECE, each.size)
            number += 1
        if end > begin:
            yield buffer, begin, end


@functools.lru_cache(maxsize=1)
def packers() -> list[str]:
    """Return the ways to compress that there are here, the best first."""
    try:
        importlib.import_module("compression.zstd")  # Of Python 3.14.
    except ImportError:
        return ["zlib"]
    return ["zstd", "zlib"]


def pack(data: bytes, how: str) -> bytes:
    """Compress the data of a chunk."""
    if how == "zlib":
        return zlib.compress(data, 1)
    packed: bytes = importlib.import_module("compression.zstd").compress(data, 1)
    return packed


def unpack(data: Octets, how: str) -> Octets:
    """
    Return the data of a chunk as it was.

    Raises:
        RemoteProtocolError: It is not compressed in this way, or is longer than a chunk may be.
    """
    if not how:
        return data
    if how not in packers():
        raise RemoteProtocolError(f"chunks in {how} are not read here")
    reader: Any = zlib.decompressobj()
    broken = zlib.error
    if how == "zstd":
        zstd = importlib.import_module("compression.zstd")
        reader, broken = zstd.ZstdDecompressor(), zstd.ZstdError
    try:
        found: bytes = reader.decompress(bytes(data), CHUNK)
    except broken as error:
        raise RemoteProtocolError("a chunk cannot be unpacked") from error
    if not reader.eof or reader.unused_data:
        raise RemoteProtocolError("a chunk is longer than it may be")
    return found
