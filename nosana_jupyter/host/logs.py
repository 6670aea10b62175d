"""
What the operations of a job say: read from files as it is written, kept in order, and followed.
"""

from __future__ import annotations

import asyncio
import codecs
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

MOST_LINES = 24_999
"""Most lines of one operation in a result; the oldest go first."""

MOST_KEPT = 32 << 20
"""What the lines that are kept of a job weigh at most, in characters."""

MOST_TOLD = 4 << 20
"""Most characters in a result: it has to fit what a pin service takes."""

OVERHEAD = 100
"""What a line weighs beside its characters: a flood of empty lines is a flood all the same."""

PIECE = 1 << 18
"""Most bytes that are read at once."""

LONGEST = 64 << 10
"""Bytes after which a line without an end is passed on."""

SYSTEM = "system"
"""Operation under which the host itself says how far it is."""

MANY, SHEET = 2000, 4096
"""Lines at once from which on they are passed on by so many characters and not one by one."""


class Bell:
    """Wakes all who wait, again and again."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        event, self._event = self._event, asyncio.Event()
        event.set()

    def wait(self) -> Coroutine[Any, Any, Literal[True]]:
        """Wait for the next ring after this call, though it may come before the first await."""
        return self._event.wait()


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A piece of output, mostly one line with its end."""

    operation: str
    group: str
    kind: str
    """`stdout`, `stderr`, or `nodeerr` for what the host itself has to say; or that of an event."""

    text: str
    moment: int
    """Unix milliseconds; no two lines of a job have the same."""

    event: dict[str, Any] | None = None
    """What there is instead of a text: how far a pull or a download is."""

    def told(self) -> dict[str, Any]:
        """Return the line as a result has it."""
        when = datetime.fromtimestamp(self.moment / 1000, UTC)
        stamp = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"type": self.kind, "log": self.text, "timestamp": stamp}


class Book:
    """All lines of one job, in order."""

    def __init__(self) -> None:
        self.share = MOST_TOLD
        """Characters of one operation in the result: all of them share what there is."""

        self._lines: list[Line] = []
        self._gone = 0
        """How many lines were dropped from the front."""

        self._size = 0
        self._moment = 0
        self._closed = False
        self._bell = Bell()

    def add(
        self,
        operation: str,
        group: str,
        kind: str,
        text: str,
        *,
        moment: int | None = None,
        event: dict[str, Any] | None = None,
    ) -> None:
        """Write a line down; `moment` is when it was said, in Unix milliseconds."""
        self._moment = max(self._moment + 1, moment or int(time.time() * 1000))
        self._lines.append(
            Line(
                operation=operation, group=group, kind=kind, text=text, moment=self._moment,
                event=event,
            )
        )  # fmt: skip
        self._size += len(text) + OVERHEAD
        if self._size > MOST_KEPT:
            self._drop()
        self._bell.ring()

    def show(self, operation: str, group: str, kind: str, event: dict[str, Any]) -> None:
        """Write down how far something is."""
        self.add(operation, group, kind, "", event=event)

    def of(self, operation: str) -> list[Line]:
        """Return the newest lines of an operation, the oldest first, as many as a result holds."""
        found: list[Line] = []
        size = 0
        for line in reversed(self._lines):
            if line.operation != operation:
                continue
            size += len(line.text)
            if len(found) == MOST_LINES or size > self.share:
                break
            found.append(line)
        return found[::-1]

    def close(self) -> None:
        """Say that no more lines come."""
        self._closed = True
        self._bell.ring()

    async def follow(self) -> AsyncIterator[Sequence[Line]]:
        """
        Yield the lines there are, then those that come, until the book is closed.

        Few at once: one who reads slowly would keep them in memory, which the book has let go.
        """
        position = self._gone
        while True:
            position = max(position, self._gone)
            start = position - self._gone
            fresh = _some(self._lines[start : start + MANY])
            position += len(fresh)
            if fresh:
                yield fresh
            elif self._closed:
                return
            else:
                await self._bell.wait()

    def _drop(self) -> None:
        count = 0
        # Down to three quarters, so that it does not happen at each line.
        while self._size > MOST_KEPT * 3 // 4 and count < len(self._lines) - 1:
            self._size -= len(self._lines[count].text) + OVERHEAD
            count += 1
        del self._lines[:count]
        self._gone += count


def _some(lines: Sequence[Line]) -> list[Line]:
    """Return the first of some lines, and so many that one piece is full."""
    found, size = [], 0
    for line in lines:
        found.append(line)
        size += len(line.text)
        if size > PIECE:
            break
    return found


class Tail:
    """
    The end of a file that grows.

    Args:
        path: The file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self) -> list[str]:
        """
        Return what is new, by lines.

        A line without an end is passed on when nothing has followed it since the last look.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(PIECE)
        except FileNotFoundError:
            return []
        self._offset += len(data)
        lines = (self._rest + self._decoder.decode(data)).splitlines(keepends=True)
        self._rest = ""
        if data and lines and not lines[-1].endswith("\n") and len(lines[-1]) < LONGEST:
            self._rest = lines.pop()
        return lines if len(lines) < MANY else list(sheets(lines))

    def size(self) -> int:
        """Return how many bytes the file has."""
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def drain(self) -> Iterator[list[str]]:
        """Yield all that is left of a file that grows no more; of very much, the end."""
        left = self.size() - self._offset
        if left > MOST_TOLD:
            yield [*filter(None, [self._rest]), f"[{left - MOST_TOLD} bytes are left out]\n"]
            self._offset += left - MOST_TOLD
            self._rest = ""
            self._decoder.reset()
        while fresh := self.read():
            yield fresh
        # The last look may have held back a line without an end, and half a character.
        yield self.read() + list(filter(None, [self._decoder.decode(b"", final=True)]))


def sheets(lines: Sequence[str]) -> Iterator[str]:
    """Join lines to texts that are not much longer than a sheet."""
    sheet: list[str] = []
    size = 0
    for line in lines:
        sheet.append(line)
        size += len(line)
        if size >= SHEET:
            yield "".join(sheet)
            sheet, size = [], 0
    if sheet:
        yield "".join(sheet)
