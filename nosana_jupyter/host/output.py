"""
What a container says, on its way from the thread that listens to the loop that passes it on.
"""

from __future__ import annotations

import codecs
import threading
from collections import deque
from collections.abc import Iterator
from itertools import groupby

from .logs import LONGEST, MANY, MOST_TOLD, sheets

KINDS = ("stdout", "stderr")


class Output:
    """Pieces of output in order. One thread adds; another reads."""

    def __init__(self) -> None:
        self.said = 0
        """Bytes so far."""

        self._lock = threading.Lock()
        self._pieces: deque[tuple[str, bytes]] = deque()
        self._size = 0
        self._dropped = 0
        """Bytes that nobody read in time. A flood is not kept in memory."""

        self._rest = dict.fromkeys(KINDS, "")
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {kind: decoder("replace") for kind in KINDS}

    def add(self, kind: str, data: bytes) -> None:
        """Take a piece; the oldest go where too much waits."""
        with self._lock:
            self.said += len(data)
            self._size += len(data)
            self._pieces.append((kind, data))
            while self._size > MOST_TOLD and len(self._pieces) > 1:
                gone = len(self._pieces.popleft()[1])
                self._size -= gone
                self._dropped += gone

    def read(self) -> list[tuple[str, str]]:
        """
        Return what is new, by lines.

        A line without an end is passed on when nothing has followed it since the last look.
        """
        with self._lock:
            pieces, self._pieces = self._pieces, deque()
            dropped, self._dropped = self._dropped, 0
            self._size = 0
        found: list[tuple[str, str]] = []
        if dropped:
            found += [(kind, rest) for kind, rest in self._rest.items() if rest]
            found.append(("stdout", f"[{dropped} bytes are left out]\n"))
            self._rest = dict.fromkeys(KINDS, "")
            for decoder in self._decoders.values():
                decoder.reset()
        for kind, group in groupby(pieces, key=lambda piece: piece[0]):
            found += self._lines(kind, b"".join(data for _, data in group))
        heard = {kind for kind, _ in pieces}
        for kind in KINDS:
            if kind not in heard and self._rest[kind]:
                found.append((kind, self._rest[kind]))
                self._rest[kind] = ""
        return found

    def drain(self) -> Iterator[list[tuple[str, str]]]:
        """Yield the rest, once nothing more is added."""
        yield self.read()
        # What has no end, and half a character, may have been held back.
        yield self.read()
        ends = [(kind, decoder.decode(b"", final=True)) for kind, decoder in self._decoders.items()]
        yield [(kind, text) for kind, text in ends if text]

    def _lines(self, kind: str, data: bytes) -> Iterator[tuple[str, str]]:
        lines = (self._rest[kind] + self._decoders[kind].decode(data)).splitlines(keepends=True)
        self._rest[kind] = ""
        if lines and not lines[-1].endswith("\n") and len(lines[-1]) < LONGEST:
            self._rest[kind] = lines.pop()
        return ((kind, text) for text in (lines if len(lines) < MANY else sheets(lines)))
