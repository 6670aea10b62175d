"""
Whether a chunk goes compressed: on a line slower than what compresses, if the last ones shrank.
"""

from __future__ import annotations

import time

import msgspec

from .messages import CHUNK, Chunk
from .pieces import pack

SLOW = 30e6
"""Bytes a second below which a line is slower than what compresses for it."""

PACE = 0.2
"""Seconds after which it is known how fast a line is."""

PAYS = 0.9
"""Share that is left of what is worth to be compressed."""

PROBE = 1 << 20
"""Bytes of a buffer after which it is known whether that pays."""


class Shrinker:
    """
    Compresses chunks that go one after another.

    Args:
        how: A way that the other side knows; none if it is empty.
    """

    def __init__(self, how: str) -> None:
        self._how = how
        self._began = 0.0
        self._sent = 0
        self._probed: dict[int, tuple[int, int]] = {}
        """For each buffer, bytes that were compressed, and what was left of them."""

    def take(self, chunk: Chunk, flying: int) -> Chunk:
        """
        Return a chunk as it is to go.

        Args:
            chunk: The next one.
            flying: Messages that were sent before and are not confirmed.
        """
        now = time.monotonic()
        if not self._began or chunk.buffer == chunk.offset == 0:
            self._began, self._sent = now, 0
            self._probed.clear()
        arrived, seconds = max(0, self._sent - flying * CHUNK), now - self._began
        self._sent += len(chunk.data)
        return self.shrink(chunk) if self.pays(chunk.buffer, arrived, seconds) else chunk

    def pays(self, buffer: int, arrived: int, seconds: float) -> bool:
        """Say whether a chunk of a buffer is worth it, when so much has arrived in so long."""
        before, after = self._probed.get(buffer, (0, 0))
        if not self._how or (before >= PROBE and after > PAYS * before):
            return False
        return seconds > PACE and arrived < SLOW * seconds

    def shrink(self, chunk: Chunk) -> Chunk:
        """Return a chunk compressed, or as it is if that does not shrink it."""
        packed = pack(bytes(chunk.data), self._how)
        before, after = self._probed.get(chunk.buffer, (0, 0))
        self._probed[chunk.buffer] = before + len(chunk.data), after + len(packed)
        if len(packed) >= PAYS * len(chunk.data):
            return chunk
        return msgspec.structs.replace(chunk, data=packed, packed=self._how)
