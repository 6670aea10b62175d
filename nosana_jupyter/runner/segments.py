"""
Outputs of a cell in a row, in memory or in a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import msgspec

Entries = list[tuple[int, bytes]]


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
