"""
How the user stops a cell that is on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from .errors import NosanaError


class Control:
    """Stops one cell, gently or not. On the loop's thread only."""

    def __init__(self) -> None:
        self.body: asyncio.Task[Any] | None = None
        """The task that takes the cell along its path."""

        self.interrupted = False
        """Whether the user has stopped it."""

        self.soft: Callable[[], Awaitable[None]] | None = None
        """Interrupts the running cell, while one runs."""

        self.talking = False
        """Whether it is in the middle of what it says to a runner."""

        self.room = asyncio.Event()
        """Cleared while nobody takes what the cell says; then its host has to wait."""

        self.room.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def interrupt(self) -> None:
        """Interrupt the cell if it runs; take the job back if it does not run yet."""
        self.interrupted = True
        if self.soft is None:
            self.abandon()
            return
        task = asyncio.ensure_future(self._soften(self.soft))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def abandon(self) -> None:
        """End the job."""
        self.interrupted = True
        if self.body is not None:
            self.body.cancel()

    async def _soften(self, soft: Callable[[], Awaitable[None]]) -> None:
        with contextlib.suppress(NosanaError):
            await soft()
