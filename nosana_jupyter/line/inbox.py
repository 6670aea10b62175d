"""
Messages that wait to be read: only so many, and only so heavy. Then the host has to wait.
"""

from __future__ import annotations

import asyncio
from collections import deque

from ..wire.messages import AnyMessage, Chunk, Stream

MOST = 256
"""Most messages that wait."""

HEAVIEST = 256 << 20
"""About how many bytes of memory they may take; the last of them may be more than that."""

BLOWN = 72
"""Bytes of memory that a byte of a message may stand for: an empty list, and its place."""

_FLAT = (Chunk, Stream)
"""What takes as much as it is long."""

Item = AnyMessage | Exception


class Inbox:
    """A queue of messages, for one reader."""

    def __init__(self) -> None:
        self._items: deque[tuple[Item, int]] = deque()
        self._weight = 0
        self._came = asyncio.Event()
        self._left = asyncio.Event()

    def empty(self) -> bool:
        return not self._items

    async def put(self, item: Item, length: int = 0) -> None:
        """Add a message whose bytes were so many, once there is room."""
        while len(self._items) >= MOST or self._weight > HEAVIEST:
            self._left.clear()
            await self._left.wait()
        self._items.append((item, weight := length * (1 if isinstance(item, _FLAT) else BLOWN)))
        self._weight += weight
        self._came.set()

    def put_back(self, item: Item) -> None:
        """Put a message back in front of the others."""
        self._items.appendleft((item, 0))
        self._came.set()

    def get_nowait(self) -> Item:
        """Return the first message, of which there is one."""
        item, weight = self._items.popleft()
        self._weight -= weight
        self._left.set()
        return item

    async def get(self) -> Item:
        """Return the first message, once there is one."""
        while not self._items:
            self._came.clear()
            await self._came.wait()
        return self.get_nowait()
