"""
The buffers that come in for cells: what has come once, and is still there, does not come again.

A cell gets the memory that a buffer came into, to do with it what it likes. What was in it is known
by its ids, and is looked at again before it is used for another cell, which gets a copy: so nothing
is there twice that nobody asked for twice, and no cell sees what another does to its data.
"""

from __future__ import annotations

import weakref
from hashlib import sha256
from typing import Any, Optional

from ..errors import RemoteProtocolError
from ..units import size as size_of
from ..wire.attest import digests, learn, whole
from ..wire.beside import Beside
from ..wire.chunks import BUFFERS, LARGE, Assembly, room
from ..wire.messages import Chunk, Have, Large, Missing
from ..wire.pieces import ID, PIECE, Names, bits, count, unpack

UPLOAD = 64 << 30
"""Most bytes of the buffers that go with a cell."""

SMALL = 64 << 20
"""Most bytes of buffers that are held here when no cell holds them any more."""


class Kept:
    """
    A buffer, or as much of it as has come.

    Args:
        large: What it is.
    """

    def __init__(self, large: Large) -> None:
        self.key = large.size, large.ids
        self.size = large.size
        ids = large.ids
        self.ids = [ids[begin : begin + ID] for begin in range(0, len(ids), ID)]
        self.has = bytearray(len(self.ids))
        """For each piece whether it has come."""

        self.lent = False
        """Whether a cell has its memory, and may have written to it."""

        self._pages: Optional[memoryview] = room(large.size)
        # Memory of its own can be known without being held.
        self.weak: Any = weakref.ref(self._pages.obj) if large.size >= LARGE else None

    @property
    def pages(self) -> memoryview:
        """Its memory; nothing if it is gone."""
        if self._pages is not None:
            return self._pages
        return memoryview((self.weak and self.weak()) or b"")

    def lend(self) -> memoryview:
        """Give its memory to a cell, which may let go of it."""
        pages = self.pages
        self.lent = True
        if self.weak:
            self._pages = None
        return pages

    def piece(self, index: int) -> bytes:
        """Return a piece."""
        return bytes(self.pages[index * PIECE : (index + 1) * PIECE])


Place = tuple[Kept, int]
"""Where a piece is: the buffer, and its number there."""


class Intake:
    """Takes in what goes with the next cell."""

    def __init__(self) -> None:
        self._plain = Assembly(limit=UPLOAD)
        self._kept: dict[tuple[int, bytes], Kept] = {}
        """Those used longest ago first."""

        self._places: dict[bytes, Place] = {}
        self._wanted: list[Kept] = []
        """The buffers of the next cell."""

        self._digests: dict[bytes, bytes] = {}
        """Of pieces, by their ids: these do not bind who knows their key."""

        self._hashing = Beside()
        self.digests: list[bytes] = []
        """Of the buffers that were taken last."""

        self._due: dict[bytes, list[Place]] = {}
        """Pieces that have yet to come, and where they go."""

    def renew(self) -> None:
        """Forget what the next cell was to get: another client has come. What has come stays."""
        self._plain = Assembly(limit=UPLOAD)
        self._wanted, self._due = [], {}

    def want(self, have: Have) -> Missing:
        """
        Say which pieces of the next cell's buffers are not here.

        Raises:
            RemoteProtocolError: What is asked for cannot be.
        """
        self.renew()
        whole = 0
        for each in have.buffers:
            if each.size < 0 or len(each.ids) != count(each.size) * ID:
                raise RemoteProtocolError("a buffer's ids are not those of its pieces")
            whole += each.size
        if whole > UPLOAD or len(have.buffers) > BUFFERS:
            raise RemoteProtocolError(f"more comes than the {size_of(UPLOAD)} that are taken here")
        names = Names(have.key)
        wanted = [self._find(each, names) for each in have.buffers]
        self._bound(wanted)
        missing: list[int] = []
        number = 0
        for kept in wanted:
            for index, name in enumerate(kept.ids):
                if not kept.has[index] and not self._copy(kept, index, name, names):
                    if name not in self._due:
                        missing.append(number + index)
                    self._due.setdefault(name, []).append((kept, index))
            number += len(kept.ids)
        self._wanted = wanted
        return Missing(bits(missing, number))

    def _find(self, large: Large, names: Names) -> Kept:
        """Return memory for a buffer, with what there is of it."""
        before = self._kept.pop((large.size, large.ids), None)
        if before is not None and not before.lent:
            # Of an upload that broke off, or twice in this one.
            self._kept[before.key] = before
            return before
        kept = self._kept[large.size, large.ids] = Kept(large)
        pages = before.pages if before is not None else b""
        if before is not None and len(pages) == large.size and all(before.has):
            kept.pages[:] = pages
            ids = names.ids(kept.pages)
            for index, name in enumerate(kept.ids):
                kept.has[index] = ids[index * ID : (index + 1) * ID] == name
                if kept.has[index]:
                    self._places[name] = kept, index
        return kept

    def _copy(self, kept: Kept, index: int, name: bytes, names: Names) -> bool:
        """Take a piece from another buffer, if it is still there."""
        place = self._places.get(name)
        if place is None:
            return False
        data = place[0].piece(place[1])
        if names.ids(memoryview(data)) != name:
            # A cell has written to it, or it is gone.
            del self._places[name]
            return False
        kept.pages[index * PIECE : index * PIECE + len(data)] = data
        self._arrived(kept, index)
        return True

    def _arrived(self, kept: Kept, index: int) -> None:
        kept.has[index] = 1
        self._places[kept.ids[index]] = kept, index

    def _bound(self, wanted: list[Kept]) -> None:
        """Forget what is gone, and of small buffers those that were used longest ago."""
        stay = set(wanted)
        held = 0
        for kept in reversed(list(self._kept.values())):
            held += 0 if kept.weak else kept.size
            gone = held > SMALL if kept.pages else kept.size > 0
            if gone and kept not in stay:
                self._drop(kept)

    def _drop(self, kept: Kept) -> None:
        """Forget a buffer."""
        del self._kept[kept.key]
        for name in kept.ids:
            if self._places.get(name, (None,))[0] is kept:
                del self._places[name]
                self._digests.pop(name, None)

    def add(self, chunk: Chunk) -> None:
        """
        Take in a part of a buffer.

        Raises:
            RemoteProtocolError: It is not of those that are due.
        """
        if not self._wanted:
            self._plain.add(chunk)
            return
        kept = self._wanted[chunk.buffer] if 0 <= chunk.buffer < len(self._wanted) else None
        data = memoryview(unpack(chunk.data, chunk.packed))
        first, rest = divmod(chunk.offset, PIECE)
        end = chunk.offset + len(data)
        if (
            kept is None
            or chunk.size != kept.size
            or rest
            or not 0 <= chunk.offset < end <= kept.size
            or (end % PIECE and end != kept.size)
        ):
            raise RemoteProtocolError("a chunk of a buffer is out of place")
        indexes = range(first, count(end))
        if any((kept, index) not in self._due.get(kept.ids[index], ()) for index in indexes):
            raise RemoteProtocolError("a piece comes that nobody asked for")
        names = b"".join(kept.ids[first : first + len(indexes)])
        self._hashing.do(learn, self._digests, names, data)
        for index in indexes:
            piece = data[(index - first) * PIECE : (index - first + 1) * PIECE]
            # The same piece twice in one chunk: the first one went to both places.
            for other, place in self._due.pop(kept.ids[index], ()):
                other.pages[place * PIECE : place * PIECE + len(piece)] = piece
                self._arrived(other, place)

    def take(self, number: int) -> list[memoryview]:
        """
        Return the buffers of the next cell.

        Raises:
            RemoteProtocolError: Not all of them have come.
        """
        if not self._wanted:
            found = self._plain.take(number)
            self.digests = [whole(digests(each)) for each in found]
            return found
        if number != len(self._wanted) or self._due:
            raise RemoteProtocolError(
                f"{number} buffers are due, and {len(self._due)} pieces have yet to come"
            )
        self._hashing.wait()
        self.digests = [
            whole(self._digests.get(name) or sha256(kept.piece(index)).digest()
                  for index, name in enumerate(kept.ids))
            for kept in self._wanted
        ]  # fmt: skip
        buffers: list[memoryview] = []
        seen: dict[Kept, int] = {}
        for kept in self._wanted:
            if kept in seen:
                # Two arrays that are alike are two arrays.
                buffers.append(room(kept.size))
                buffers[-1][:] = buffers[seen[kept]]
            else:
                seen[kept] = len(buffers)
                buffers.append(kept.lend())
        self.renew()
        return buffers
