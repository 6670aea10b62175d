"""
Buffers on their way: cut into chunks on one side, put together on the other.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, Union

from ..errors import RemoteProtocolError
from ..units import size as size_of
from .messages import CHUNK, Chunk, Octets
from .pieces import unpack


class Piecewise(Protocol):
    """What is read piece by piece, as it is sent: a file of any size."""

    def __len__(self) -> int: ...

    def __getitem__(self, piece: slice, /) -> bytes: ...


View = Union[memoryview, Piecewise]
Buffer = Union[bytes, bytearray, View]

SPILL = 64 << 20
"""Bytes above which a buffer may lie in a file."""

BUFFERS = 100_000
"""Most buffers that go with one message."""

LARGE = 1 << 20
"""Bytes from which on a buffer has pages of its own."""


def room(size: int) -> memoryview:
    """
    Return writable memory. Of a large one a page is taken when it is first written.

    Raises:
        RemoteProtocolError: There is no room for so much.
    """
    if size < LARGE:
        return memoryview(bytearray(size))
    private: Any = {}
    if hasattr(mmap, "MAP_PRIVATE"):
        private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS}
    try:
        pages = mmap.mmap(-1, size, **private)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            # Of small pages, to have them takes five times as long as to fill them.
            pages.madvise(mmap.MADV_HUGEPAGE)
    except (OSError, OverflowError, ValueError) as error:
        raise RemoteProtocolError(f"there is no room for a buffer of {size_of(size)}") from error
    return memoryview(pages)


def plain(buffer: Buffer) -> View:
    """Return a buffer as one of bytes."""
    if isinstance(buffer, (bytes, bytearray, memoryview)):
        return memoryview(buffer).cast("B")
    return buffer


def split(buffers: Iterable[Buffer]) -> Iterator[Chunk]:
    """
    Cut buffers into chunks. Nothing is copied: a buffer must not change until it is confirmed.

    An empty buffer is one empty chunk.
    """
    for number, buffer in enumerate(buffers):
        view = plain(buffer)
        for offset in range(0, len(view) or 1, CHUNK):
            yield Chunk(number, len(view), offset, view[offset : offset + CHUNK])


class Assembly:
    """
    Puts chunks together, in writable memory.

    Args:
        limit: Most bytes that are taken in before `take`.
        spill: Whether large buffers lie in files, and not in memory.
    """

    def __init__(self, *, limit: int, spill: bool = False) -> None:
        self._limit = limit
        self._spill = spill
        self._clear()

    def _clear(self) -> None:
        self._buffers: list[Union[memoryview, Spilled]] = []
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
        begins = self._due == 0 and chunk.offset == 0 and chunk.buffer == len(self._buffers)
        if begins:
            if not 0 <= chunk.size <= self._limit - self.bytes or chunk.buffer >= BUFFERS:
                raise RemoteProtocolError(
                    f"more comes than the {size_of(self._limit)} that are taken here"
                )
            self._size = self._due = chunk.size
        elif (
            not self._due
            or chunk.buffer != len(self._buffers) - 1
            or chunk.offset != self._size - self._due
        ):
            raise RemoteProtocolError("a chunk of a buffer is out of place")
        data = unpack(chunk.data, chunk.packed)
        if chunk.size != self._size or len(data) != min(self._due, CHUNK):
            raise RemoteProtocolError("a chunk of a buffer has the wrong size")
        if begins:
            spills = self._spill and chunk.size > SPILL
            self._buffers.append(Spilled() if spills else room(chunk.size))
        last = self._buffers[-1]
        if isinstance(last, Spilled):
            last.extend(data)
        else:
            last[chunk.offset : chunk.offset + len(data)] = data
        self._due -= len(data)
        self.bytes += len(data)

    def take(self, count: int) -> list[memoryview]:
        """
        Return the buffers and start again.

        Raises:
            RemoteProtocolError: Not so many have come, or the last is not complete.
        """
        if count != len(self._buffers) or self._due:
            raise RemoteProtocolError(f"{count} buffers are due and {len(self._buffers)} have come")
        buffers = [each.view() if isinstance(each, Spilled) else each for each in self._buffers]
        self._clear()
        return buffers


class Spilled:
    """A buffer in a file without a name, which goes when nobody has it any more."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as this lives

    def extend(self, data: Octets, /) -> None:
        """Add bytes at the end."""
        self._file.write(data)

    def view(self) -> memoryview:
        """Return what it holds, as memory that may be written."""
        with self._file as file:
            file.flush()
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
