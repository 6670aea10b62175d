"""
The way to hosts on other machines: they hold a line to this network, and nothing listens there.

A name that such a host registers leads to a port of this machine. Who connects to it is joined to a
connection that the host makes for this one visitor, once it was told to on its line.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from dataclasses import dataclass
from functools import partial

from ..chain import authorization
from ..lan.line import PIECE, Line, splice
from .roster import Seat

PATIENCE = 10.0
"""Seconds in which a host has to come for a visitor."""

BEAT = 10.0
"""Seconds between signs of life on a host's line."""

SILENCE = 30.0
"""Seconds without one after which it is given up."""

MOST = 256
"""Most names of one member."""


@dataclass(slots=True)
class _Exit:
    """A port of this machine that stands for a name."""

    number: str
    """Whose seat."""

    server: asyncio.Server
    port: int
    renewed: float


class Unled(Exception):
    """A name cannot lead there. Says why."""


class Relay:
    """The lines of all hosts elsewhere, and their names."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._exits: dict[str, _Exit] = {}
        self._waiting: dict[str, tuple[str, asyncio.Future[Line]]] = {}

    async def hold(self, seat: Seat, line: Line) -> None:
        """Keep the line of a host until it ends. Another one of the same seat takes its place."""
        before = self._lines.get(seat.number)
        self._lines[seat.number] = line
        if before is not None:
            before.writer.transport.abort()
        beating = asyncio.create_task(_beat(line))
        try:
            line.writer.write(b"ready\n")
            while True:
                async with asyncio.timeout(SILENCE):
                    if not await line.reader.readline():
                        return
        except (OSError, TimeoutError, ValueError):
            return
        finally:
            beating.cancel()
            if self._lines.get(seat.number) is line:
                del self._lines[seat.number]

    async def exit(self, seat: Seat, ident: str) -> int:
        """
        Return the port that stands for a name of a host.

        Raises:
            Unled: The host holds no line, or has too many names.
        """
        if seat.number not in self._lines:
            raise Unled("there is no line to this host")
        self._sweep()
        held = self._exits.get(ident)
        if held is not None and held.number == seat.number:
            held.renewed = time.monotonic()
            return held.port
        if sum(each.number == seat.number for each in self._exits.values()) >= MOST:
            raise Unled("this host has too many names")
        self.forget(ident)
        server = await asyncio.start_server(
            partial(self._visit, seat.number, ident), "127.0.0.1", 0, limit=PIECE
        )
        port: int = server.sockets[0].getsockname()[1]
        self._exits[ident] = _Exit(seat.number, server, port, time.monotonic())
        return port

    def forget(self, ident: str) -> None:
        """Close the port of a name."""
        if (held := self._exits.pop(ident, None)) is not None:
            held.server.close()

    async def come(self, seat: Seat, ticket: str, line: Line) -> None:
        """Take the connection that a host has made for a visitor; return once that has gone."""
        number, waiting = self._waiting.get(ticket, ("", None))
        if waiting is None or number != seat.number or waiting.done():
            return
        waiting.set_result(line)
        with contextlib.suppress(OSError):
            await line.writer.wait_closed()

    def decline(self, seat: Seat, ticket: str) -> None:
        """Take a host's word that nothing answers there."""
        number, waiting = self._waiting.get(ticket, ("", None))
        if waiting is not None and number == seat.number and not waiting.done():
            waiting.cancel()

    def close(self) -> None:
        """End it all."""
        for ident in list(self._exits):
            self.forget(ident)
        for line in self._lines.values():
            line.writer.transport.abort()

    async def _visit(
        self,
        number: str,
        ident: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        visitor = Line(reader, writer)
        try:
            host = await self._fetched(number, ident)
            if host is None:
                await visitor.say(502, {"error": "the host does not answer"})
                return
            try:
                await splice(visitor, host)
            finally:
                await host.close()
        finally:
            await visitor.close()

    async def _fetched(self, number: str, ident: str) -> Line | None:
        """Return a connection to what a host has under a name; nothing if it does not come."""
        line = self._lines.get(number)
        if line is None:
            return None
        ticket = secrets.token_hex(16)
        waiting: asyncio.Future[Line] = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = number, waiting
        try:
            line.writer.write(f"open {ticket} {ident}\n".encode())
            await asyncio.wait([waiting], timeout=PATIENCE)
            return None if waiting.cancelled() or not waiting.done() else waiting.result()
        finally:
            waiting.cancel()
            del self._waiting[ticket]

    def _sweep(self) -> None:
        """Close ports whose names have lapsed: nobody asks there any more."""
        oldest = time.monotonic() - authorization.EXPIRY - 60
        for ident in [ident for ident, each in self._exits.items() if each.renewed < oldest]:
            self.forget(ident)


async def _beat(line: Line) -> None:
    with contextlib.suppress(OSError):
        while True:
            await asyncio.sleep(BEAT)
            line.writer.write(b"alive\n")
            await line.writer.drain()
