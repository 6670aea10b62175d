"""
How the user stops a cell that is on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ..errors import NosanaError

if TYPE_CHECKING:
    from ..travel.prepare import Prepared


class Control:
    """Stops one cell, gently or not. On the loop's thread only."""

    def __init__(self) -> None:
        self.body: asyncio.Task[Any] | None = None
        """The task that takes the cell along its path."""

        self.interrupted = False
        """Whether the user has stopped it."""

        self.expired = False
        """Whether its time was over before it was."""

        self.soft: Callable[[], Awaitable[None]] | None = None
        """Interrupts the running cell, while one runs."""

        self.grace = 0.0
        """Seconds after an interrupt in which to end the job is to interrupt again."""

        self._interrupted_at = 0.0
        self._ended: asyncio.Task[Any] | None = None

        self.detached = False
        """Whether the cell is to go on when nobody follows it."""

        self.leaving: Callable[[], None] | None = None
        """Lets the job of a detached cell go on without this process."""

        self.parting: Callable[[], None] | None = None
        """Lets a cell go on without this process, which ends, once its runner has it."""

        self.left = False
        """Whether the cell goes on without this process."""

        self.packed: Callable[[Prepared], None] = lambda _: None
        """Takes what was made of the cell, before anything of it is sent."""

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
        self._interrupted_at = time.monotonic()
        self._again(self.soft)

    def expire(self) -> None:
        """Interrupt the cell, as its time is over. What it runs in goes on."""
        self.expired = True
        if self.soft is not None:
            self._again(self.soft)

    def _again(self, soft: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.ensure_future(self._soften(soft))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def abandon(self) -> None:
        """End the job."""
        self.interrupted = True
        if self.soft is not None and time.monotonic() - self._interrupted_at < self.grace:
            # Who presses twice at once means one interrupt, and not all that the job holds.
            self._again(self.soft)
            return
        if self.body is not None and self.body is not self._ended:
            self._ended = self.body
            self.body.cancel()

    def let_go(self) -> None:
        """Stop following a detached cell, which goes on; end the job of any other."""
        if self.leaving is None:
            self.abandon()
            return
        self.left = True
        self.leaving()
        if self.body is not None:
            self.body.cancel()

    def part(self) -> None:
        """Let the cell go on without this process, if its runner has it."""
        if self.parting is not None and self.body is not None:
            self.left = True
            self.parting()
            self.body.cancel()

    async def _soften(self, soft: Callable[[], Awaitable[None]]) -> None:
        with contextlib.suppress(NosanaError):
            await soft()
