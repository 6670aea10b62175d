"""
Buffers on their way: cut into chunks on one side, put together on the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Union

from ..errors import RemoteProtocolError
from ..units import size
from .messages import CHUNK, Chunk

Buffer = Union[bytes, bytearray, memoryview]

BUFFERS = 100_000
"""Most buffers that go with one message."""


def split(buffers: Iterable[Buffer]) -> Iterator[Chunk]:
    """
    Cut buffers into chunks. Nothing is copied: a buffer must not change until it is confirmed.

    An empty buffer is one empty chunk.
    """
    for number, buffer in enumerate(buffers):
        view = memoryview(buffer).cast("B")
        for offset in range(0, len(view) or 1, CHUNK):
            yield Chunk(number, len(view), offset, view[offset : offset + CHUNK])


class Assembly:
    """
    Puts chunks together, in writable memory.

    Args:
        limit: Most bytes that are taken in before `take`.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._clear()

    def _clear(self) -> None:
        self._buffers: list[bytearray] = []
        self._size = 0
        self._due = 0
        self.bytes = 0
        """Bytes that have come in."""

    def add(self, chunk: Chunk) -> None:
        """
        Take a chunk in.

        Raises:
            RemoteProtocolError: It is not the next one, or there are too many.
        """
        if self._due == 0 and chunk.offset == 0 and chunk.buffer == len(self._buffers):
            if not 0 <= chunk.size <= self._limit - self.bytes or chunk.buffer >= BUFFERS:
                raise RemoteProtocolError(
                    f"more comes than the {size(self._limit)} that are taken here"
                )
            self._buffers.append(bytearray())
            self._size = self._due = chunk.size
        elif (
            not self._due
            or chunk.buffer != len(self._buffers) - 1
            or chunk.offset != self._size - self._due
        ):
            raise RemoteProtocolError("a chunk of a buffer is out of place")
        if chunk.size != self._size or len(chunk.data) != min(self._due, CHUNK):
            raise RemoteProtocolError("a chunk of a buffer has the wrong size")
        # Memory is taken as bytes arrive: a size that is only claimed costs nothing.
        self._buffers[-1] += chunk.data
        self._due -= len(chunk.data)
        self.bytes += len(chunk.data)

    def take(self, count: int) -> list[bytearray]:
        """
        Return the buffers and start again.

        Raises:
            RemoteProtocolError: Not so many have come, or the last is not complete.
        """
        if count != len(self._buffers) or self._due:
            raise RemoteProtocolError(f"{count} buffers are due and {len(self._buffers)} have come")
        buffers = self._buffers
        self._clear()
        return buffers
