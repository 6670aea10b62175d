"""
What each cell has said, kept so that it can be said again to a client that comes anew.

Outputs are kept encoded, in segments: the newest in memory, older ones in files, and of too much
the oldest cells go first and then the middle of one cell. What an output has done away with is not
said again: text that was cleared, a display that was updated since.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..units import size
from ..wire.envelope import join, pack
from ..wire.messages import (
    OUTPUTS,
    AnyMessage,
    At,
    Chunk,
    ClearOutput,
    CommMessage,
    DisplayData,
    Early,
    Error,
    ExecuteResult,
    Handle,
    InputRequest,
    Known,
    Reply,
    Stream,
    UpdateDisplayData,
)
from .segments import Segment, moved, moves

if TYPE_CHECKING:
    from .attesting import Deposition

SEGMENT = 1 << 18
"""Bytes from which on a segment is closed."""

MEMORY = 4 << 20
"""Most bytes of outputs that are kept in memory, beside the open segments."""

DISK = 256 << 20
"""Most bytes of outputs that are kept at all."""

VALUES = 64 << 20
"""Most bytes of the values of a cell that are copied before another cell may change them."""

CELLS = 256
"""Most cells of which anything is kept."""

PIECE = 1 << 18
"""Most characters of text that are put together when it is said again."""

SHOWN = (Stream, DisplayData, ExecuteResult, Error, ClearOutput)
"""What is gone once the output is cleared. An update may be of another cell's display."""


class Record:
    """
    What one cell has said, and how it ended.

    Args:
        cell: Its name.
        records: Keeps the bounds of all of them.
    """

    def __init__(self, cell: str, records: Records) -> None:
        self.cell = cell
        self.count = 0
        """Number of its last output."""

        self.values: list[Chunk] = []
        """What goes before the reply: the buffers of its values, views of what is there."""

        self._kept: Segment | None = None
        """The same, copied."""

        self.signed: Deposition | None = None
        """What is to be signed of it, until it ends."""

        self.question: InputRequest | None = None
        """What the cell has asked, until it is answered."""

        self.reply: Reply | None = None
        self.released = False
        self.segments: list[Segment] = []
        self._records = records
        self._updates: dict[str, tuple[int, Segment]] = {}
        """Where the last update of each display is."""

        self._cleared = 0
        """Number of the last `ClearOutput` that has done its work."""

        self._clearing = 0
        """Number of one that waits for the next output."""

        self._moved = False
        """Whether widgets have said how they stand."""

        self._gap: tuple[Segment | None, int] | None = None
        """After which segment some are missing, and how many bytes."""

    def add(self, message: AnyMessage) -> None:
        """
        Keep a message.

        Raises:
            LocalProtocolError: It cannot be encoded.
        """
        if isinstance(message, Reply):
            self.reply, self.question = message, None
        elif isinstance(message, InputRequest):
            self.question = message
        elif isinstance(message, Chunk):
            self.values.append(message)
        elif isinstance(message, Early):
            # Who comes anew did not ask for it: its buffers are not the reply's.
            self.values.clear()
        else:
            self._keep(message, pack(message))

    def _keep(self, message: AnyMessage, data: bytes) -> None:
        # What is said to widgets goes with the output that comes next.
        number = self.count + 1
        if isinstance(message, OUTPUTS):
            self.count = number
        if not self.segments or self.segments[-1].size >= SEGMENT:
            self.segments.append(Segment())
        segment = self.segments[-1]
        if segment.entries is None:
            raise AssertionError("an open segment is in memory")
        segment.entries.append((number, data))
        segment.size += len(data)
        if isinstance(message, SHOWN):
            if isinstance(message, ClearOutput):
                self._clearing = self.count
            if self._clearing and not getattr(message, "wait", False):
                self._clear()
            segment.shown += 1
        else:
            segment.lasting += 1
            self._moved = self._moved or isinstance(message, CommMessage)
            if isinstance(message, UpdateDisplayData):
                self._replace(str(message.transient.get("display_id", "")), segment)
        self._records.grown(segment, len(data))

    def _replace(self, display: str, segment: Segment) -> None:
        """Note that what was said of a display before is no longer so."""
        before = self._updates.get(display)
        self._updates[display] = self.count, segment
        if before is not None:
            before[1].lasting -= 1
            self._forget(before[1])

    def _clear(self) -> None:
        """Note that what was shown before is gone."""
        self._cleared, self._clearing = self._clearing, 0
        for segment in self.segments[:-1]:
            segment.shown = 0
            self._forget(segment)
        self.segments[-1].shown = 0

    def _forget(self, segment: Segment) -> None:
        """Drop a segment of which nothing would be said again."""
        if segment is not self.segments[-1] and not (segment.shown or segment.lasting):
            self._drop(segment)

    def _drop(self, segment: Segment) -> int:
        self.segments.remove(segment)
        self._records.gone(segment)
        segment.drop()
        return segment.size

    def thin(self) -> bool:
        """Drop a segment of the middle, and note the gap; say whether there was one to spare."""
        if len(self.segments) < 4:
            return False
        after, missing = self._gap or (None, 0)
        if after not in self.segments:
            after = self.segments[len(self.segments) // 2 - 1]
        place = self.segments.index(after) + 1
        if place >= len(self.segments) - 1:
            return False
        self._gap = after, missing + self._drop(self.segments[place])
        return True

    def drop(self) -> None:
        """Forget all of it."""
        while self.segments:
            self._drop(self.segments[0])
        if self._kept is not None:
            self._records.gone(self._kept)
            self._kept.drop()
        self.values = []

    def age(self) -> None:
        """Let go of the values: another cell begins, and may change what they are views of."""
        if self.reply is None or not self.values:
            return
        count = sum(len(each.data) for each in self.values)
        if not self.released and count <= VALUES:
            # Nobody has them yet.
            self._kept = Segment()
            self._kept.entries = [(0, pack(each)) for each in self.values]
            self._kept.size = count
            self._records.put_away(self._kept)
        if self._kept is None or self._kept.path is None:
            self.reply = without_values(self.reply, "another cell has run since")
        self.values = []

    def replay(self, after: int, *, merged: bool = True) -> Iterator[AnyMessage]:
        """
        Say again what is not yet said and still so; then the values and the reply.

        Args:
            after: Number of the last output that was heard.
            merged: Whether text is put together; else each output keeps its number.
        """
        said = after
        for number, message in (self._pieces if merged else self._living)(after):
            if isinstance(message, OUTPUTS):
                if said + 1 != number:
                    yield At(number - 1)
                said = number
            yield message
        if said != self.count:
            yield At(self.count)
        yield from self.values
        if self.question is not None:
            yield self.question
        if self._kept is not None:
            yield from (join(data) for _, data in self._kept.read())
        if self.reply is not None:
            yield self.reply

    def _pieces(self, after: int) -> Iterator[tuple[int, AnyMessage]]:
        """Yield what `_living` does, with text put together; the number is that of its end."""
        last = after
        pieces: list[str] = []
        name, length = "", 0
        for number, message in self._living(after):
            if pieces and not (
                isinstance(message, Stream) and message.name == name and length < PIECE
            ):
                yield last, Stream(name, "".join(pieces))  # type: ignore[arg-type] # one of two
                pieces, length = [], 0
            last = number
            if isinstance(message, Stream):
                name = message.name
                pieces.append(message.text)
                length += len(message.text)
            else:
                yield number, message
        if pieces:
            yield last, Stream(name, "".join(pieces))  # type: ignore[arg-type] # one of two

    def _living(self, after: int) -> Iterator[tuple[int, AnyMessage]]:
        """Yield the outputs after a number that no later one has done away with."""
        last, place = after, 0
        latest = moved(self.segments) if self._moved else {}
        for segment in list(self.segments):
            entries = segment.read()
            for number, data in entries:
                place += 1
                if number <= after:
                    continue
                message = join(data)
                if latest.get(moves(message), place) != place:
                    continue
                if isinstance(message, SHOWN) and number < self._cleared:
                    continue
                if isinstance(message, UpdateDisplayData):
                    display = str(message.transient.get("display_id", ""))
                    if self._updates[display][0] != number:
                        continue
                if isinstance(message, OUTPUTS):
                    last = number
                yield number, message
            missing = self._gap[1] if self._gap and self._gap[0] is segment else 0
            if missing := missing or (0 if entries else segment.size):
                yield last, Stream("stderr", f"\n… {size(missing)} of output left out …\n")


class Records:
    """
    The records of all cells of this runner, within bounds.

    Args:
        folder: Takes what does not stay in memory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._all: dict[str, Record] = {}
        self._in_memory: deque[Segment] = deque()
        self._memory = 0
        self._whole = 0
        self._files = 0

    def get(self, cell: str) -> Record | None:
        return self._all.get(cell)

    def begin(self, cell: str) -> Record:
        """Start the record of a cell that is about to run."""
        for each in self._all.values():
            each.age()
        if before := self._all.pop(cell, None):
            before.drop()
        while len(self._all) >= CELLS and (oldest := self._spare()):
            self._discard(oldest)
        self._all[cell] = Record(cell, self)
        return self._all[cell]

    def unfetched(self) -> list[Record]:
        """Return the records that no client has said to have, oldest first."""
        return [each for each in self._all.values() if not each.released]

    def known(self) -> list[Known]:
        """Say which cells can be asked for again."""
        return [
            Known(each.cell, each.reply is None, each.count, each.released)
            for each in self._all.values()
        ]

    def grown(self, segment: Segment, count: int) -> None:
        """Note that a segment has grown, and keep the bounds."""
        self._memory += count
        self._whole += count
        if segment.size >= SEGMENT:
            self._in_memory.append(segment)
        while self._memory > MEMORY and self._in_memory:
            self._spill(self._in_memory.popleft())
        while self._whole > DISK and self._shrink():
            pass

    def gone(self, segment: Segment) -> None:
        """Note that a segment is dropped."""
        self._whole -= segment.size
        if segment.entries is not None:
            self._memory -= segment.size

    def put_away(self, segment: Segment) -> None:
        """Take in a segment that is not read soon."""
        self._memory += segment.size
        self._whole += segment.size
        self._spill(segment)

    def _spill(self, segment: Segment) -> None:
        if segment.entries is None:
            return  # Dropped meanwhile.
        self._files += 1
        self._memory -= segment.size
        try:
            segment.spill(self._folder / str(self._files))
        except OSError:
            # The cell has filled the disk. It is told as a gap when it is read.
            segment.drop()

    def _shrink(self) -> bool:
        """Make room; say whether there was any to make."""
        if oldest := self._spare():
            self._discard(oldest)
            return True
        return any(each.thin() for each in list(self._all.values()))

    def _spare(self) -> Record | None:
        """Return the oldest record that may go: of those that somebody has, if there is one."""
        ended = [each for each in self._all.values() if each.reply is not None]
        return next((each for each in ended if each.released), next(iter(ended), None))

    def _discard(self, record: Record) -> None:
        record.drop()
        del self._all[record.cell]


def without_values(reply: Reply, reason: str) -> Reply:
    """Return a reply that says of each value why it does not come."""
    gone = {name: Handle("value", "", reason) for name in reply.values}
    return msgspec.structs.replace(reply, values={}, buffers=0, handles={**reply.handles, **gone})
