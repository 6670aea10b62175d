"""
The way back: visitors of a host that is behind the door of a member.

The door holds a line to the network. When somebody wants one of the host's names, the network says
so on that line, and the door makes a connection for this one visitor and joins it to the port that
the host has registered. Which port that is the network does not say: nothing else here is reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import re

from ..errors import NetworkError
from .invite import HEADER
from .line import PIECE, Line, splice
from .pinned import ask, connect
from .seats import Seat

BEAT = 10.0
"""Seconds between signs of life."""

SILENCE = 30.0
"""Seconds without one after which a line is lost."""

PATIENCE = 5.0
"""Seconds in which a line has to stand."""

PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts to have a line; the last is that of all further ones."""

MOST = 500
"""Most visitors at once."""

_WORD = re.compile(r"open (?P<ticket>[0-9a-f]{32}) (?P<ident>[\w-]{1,100})\n", re.ASCII)


class Back:
    """
    The line of a host, and what its names stand for.

    Args:
        seat: Where, and as whom.
    """

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._ports: dict[str, int] = {}
        self._stands = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._visits: set[asyncio.Task[None]] = set()

    @property
    def login(self) -> str:
        return f"{self._seat.number}.{self._seat.key}"

    async def stand(self) -> None:
        """
        Return once there is a line.

        Raises:
            NetworkError: There is none in time.
        """
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep())
        try:
            async with asyncio.timeout(PATIENCE):
                await self._stands.wait()
        except TimeoutError:
            raise NetworkError(f"there is no line to {self._seat.name}") from None

    def lead(self, ident: str, port: int) -> None:
        """Let a name stand for a port of this machine."""
        self._ports[ident] = port

    def forget(self, ident: str) -> None:
        """Let a name stand for nothing."""
        self._ports.pop(ident, None)

    async def close(self) -> None:
        """End it."""
        tasks = [*self._visits, *([self._keeping] if self._keeping else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self) -> None:
        """Have a line, and have another when it is lost."""
        failed = 0
        while True:
            try:
                await self._hold(await self._begun("line"))
                failed = 0
            except (NetworkError, OSError, TimeoutError, ValueError):
                failed += 1
            self._stands.clear()
            await asyncio.sleep(PAUSES[min(failed, len(PAUSES) - 1)])

    async def _hold(self, line: Line) -> None:
        """Hear what the network says until it says nothing any more."""
        beating = asyncio.create_task(_beat(line))
        try:
            while True:
                async with asyncio.timeout(SILENCE):
                    word = (await line.reader.readline()).decode("latin1")
                if not word:
                    return
                if word == "ready\n":
                    self._stands.set()
                elif (found := _WORD.fullmatch(word)) and len(self._visits) < MOST:
                    visit = asyncio.create_task(self._visit(found["ticket"], found["ident"]))
                    self._visits.add(visit)
                    visit.add_done_callback(self._visits.discard)
        finally:
            beating.cancel()
            line.writer.transport.abort()

    async def _visit(self, ticket: str, ident: str) -> None:
        """Join a visitor to what a name stands for."""
        # Who is refused here is told so by the network, or waits for it in vain.
        with contextlib.suppress(NetworkError, OSError):
            try:
                port = self._ports[ident]
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=PIECE)
            except (KeyError, OSError):
                await ask(self._seat, self.login, "GET", f"/-/decline/{ticket}")
                return
            inner = Line(reader, writer)
            try:
                outer = await self._begun(f"come/{ticket}")
                try:
                    await splice(inner, outer)
                finally:
                    await outer.close()
            finally:
                await inner.close()

    async def _begun(self, what: str) -> Line:
        """Return a connection on which something was asked for."""
        line = await connect(self._seat)
        line.writer.write(
            f"GET /-/{what} HTTP/1.1\r\nHost: 127.0.0.1\r\n{HEADER}: {self.login}\r\n\r\n".encode()
        )
        return line


async def _beat(line: Line) -> None:
    with contextlib.suppress(OSError):
        while True:
            await asyncio.sleep(BEAT)
            line.writer.write(b"alive\n")
            await line.writer.drain()
