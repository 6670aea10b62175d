"""
Outputs of a cell in a row, in memory or in a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Optional

import msgspec

from ..wire.envelope import join
from ..wire.messages import AnyMessage, CommMessage

Entries = list[tuple[int, bytes]]

Moves = tuple[str, tuple[str, ...], str]
"""A widget, and fields of its state."""


class Segment:
    """Some outputs of one cell, in a row."""

    def __init__(self) -> None:
        self.entries: Optional[Entries] = []
        """Number and bytes of each; nothing once they are in the file, or gone."""

        self.path: Path | None = None
        self.size = 0
        self.shown = 0
        """Number of its outputs that a later one may clear."""

        self.lasting = 0
        """Number of the others that have not been replaced."""

    def read(self) -> Entries:
        """Return what it holds; nothing if its file is gone."""
        if self.entries is not None or self.path is None:
            return self.entries or []
        try:
            return msgspec.msgpack.decode(self.path.read_bytes(), type=Entries)
        except (OSError, msgspec.DecodeError):
            return []

    def spill(self, path: Path) -> None:
        """
        Move it from memory to a file.

        Raises:
            OSError: There is no room.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.msgpack.encode(self.entries))
        self.path, self.entries = path, None

    def drop(self) -> None:
        """Forget what it holds."""
        self.entries = None
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self.path = None


def moves(message: AnyMessage) -> Optional[Moves]:
    """Return which fields of which widget a message says anew, if it does no more than that."""
    if not isinstance(message, CommMessage):
        return None
    state = message.data.get("state")
    if not isinstance(state, dict) or message.data.get("method") not in ("update", "echo_update"):
        return None
    return message.comm, tuple(sorted(state)), str(message.data.get("buffer_paths") or "")


def moved(segments: Iterable[Segment]) -> dict[Optional[Moves], int]:
    """Return the places of the last of those messages that say the same fields of a widget."""
    entries = chain.from_iterable(each.read() for each in list(segments))
    found = {moves(join(data)): place for place, (_, data) in enumerate(entries, 1)}
    found.pop(None, None)
    return found
