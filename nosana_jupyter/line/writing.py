"""
What goes out to a runner: in order, at once where nothing is in its way, and confirmations with it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..wire import seal
from ..wire.messages import AnyMessage, Chunk, Execute, Release
from ..wire.session import Session

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

LATER = 0.05
"""Seconds after which a cell is released, if no other word goes out meanwhile."""

OWED = 0.05
"""Seconds after which what has come is confirmed, if nothing goes out meanwhile."""

MOST_OWED = 8
"""Messages that are confirmed at once."""


class Writer:
    """
    Gives out what a session has to say, on one connection after another.

    Args:
        session: Whose turn it is, and what is to be said again.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._wake = asyncio.Event()
        self._push: Callable[[], Coroutine[Any, Any, None]] | None = None
        """Gives out what there is, while nobody else does."""

        self._released: list[str] = []
        """Cells that are to be released: nobody waits for that, and others may for what they do."""
        self._timer: asyncio.TimerHandle | None = None

    async def send(self, message: AnyMessage) -> None:
        """
        Send a message.

        Raises:
            LocalProtocolError: The session does not allow it now.
        """
        if isinstance(message, Execute):
            released, self._released = self._released, []
            message = replace(message, released=released)
        self._release()
        self._session.send(message)
        if self._push is None or isinstance(message, Chunk):
            self._wake.set()
        else:
            # Another turn of the loop is a moment in which other threads have theirs.
            await self._push()

    def release(self, cell: str) -> None:
        """Say that all of a cell has arrived, with what is said next or a moment later."""
        self._released.append(cell)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(LATER, self._release)

    async def finish(self) -> None:
        """Say what was to be said a moment later: the line is about to be closed."""
        if self._released and self._push is not None:
            self._release()
            with contextlib.suppress(TimeoutError):  # A host that does not read is not waited for.
                async with asyncio.timeout(LATER):
                    await self._push()

    def confirm(self) -> None:
        """See that what has come is confirmed soon."""
        if self._session.owes:
            self._wake.set()

    async def write(self, line: ClientConnection, channel: seal.Channel) -> None:
        """Give out what there is, and what comes to it, for as long as a connection lasts."""
        from websockets.exceptions import ConnectionClosed

        async def push() -> None:
            # Nothing comes between the seal of a frame and its place on the line.
            with contextlib.suppress(ConnectionClosed):
                while (frame := self._session.frame()) is not None:
                    await line.send(channel.seal(frame))

        while True:
            await push()
            if self._session.owes >= MOST_OWED:
                await line.send(channel.seal(self._session.acknowledge()))
                continue
            self._wake.clear()
            self._push = push
            try:
                # Not `wait_for`: on Python 3.11 it loses a cancellation that comes with the event,
                # and nobody could end this.
                async with asyncio.timeout(OWED if self._session.owes else None):
                    await self._wake.wait()
            except TimeoutError:
                # Unless what has gone out since has said so.
                if self._session.owes:
                    await line.send(channel.seal(self._session.acknowledge()))
            finally:
                self._push = None

    def _release(self) -> None:
        while self._released:
            self._session.send(Release(self._released.pop(0)))
            self._wake.set()
