"""A line on the way to a host that can be cut, held up, torn and refused."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec

from nosana_jupyter.client import Client

NOW_RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: a close that is a reset."""


class FaultLine:
    """
    A TCP proxy in front of the tunnel.

    Args:
        port: Of the tunnel.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.refuses = ""
        """What is hung up on at once: `runner`, `host`, or `runner host`."""

        self.stalls = False
        """Whether nothing more passes to or from a runner, while connections stay open."""

        self.tears: int | None = None
        """Bytes from a runner after which its connections are reset, wherever a frame ends."""

        self.opened = 0
        """Connections to a runner so far."""

        self.first = b""
        """What the client said first on one of them."""

        self._lines: dict[asyncio.StreamWriter, str] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FaultLine]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut("runner host")
            await server.wait_closed()

    def cut(self, what: str = "runner") -> None:
        """Reset connections."""
        for writer in [each for each, kind in self._lines.items() if kind in what.split()]:
            _reset(writer)
            del self._lines[writer]

    def refuse(self, what: str) -> None:
        """Cut connections, and let no more be made."""
        self.refuses = what
        self.cut(what)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            kind = "runner" if b"Sec-WebSocket" in head and b"flog" not in head else "host"
            if kind in self.refuses.split():
                _reset(writer)
                return
            there, onward = await asyncio.open_connection("127.0.0.1", self._to)
            self.opened += kind == "runner"
            self._lines |= {writer: kind, onward: kind}
            onward.write(head)
            await asyncio.gather(
                self._carry(reader, onward, kind, back=False),
                self._carry(there, writer, kind, back=True),
            )
            onward.close()
        writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str, *, back: bool
    ) -> None:
        while data := await reader.read(1 << 14):
            while kind == "runner" and self.stalls:
                await asyncio.sleep(0.02)
            if kind == "runner" and not back:
                self.first = self.first or data
            if kind == "runner" and back and self.tears is not None:
                writer.write(data[: self.tears])
                await writer.drain()
                self.tears -= len(data)
                if self.tears <= 0:
                    self.tears = None
                    self.cut()
                continue
            writer.write(data)
            await writer.drain()
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        plug: socket.socket = writer.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOW_RESET)
    writer.transport.abort()


@asynccontextmanager
async def faulty(client: Client) -> AsyncIterator[FaultLine]:
    """Lead all that a client says to hosts over such a line."""
    before = urlsplit(client.network.tunnel.replace("{id}", "x"))
    async with FaultLine(before.port or 0).serving() as line:
        tunnel = client.network.tunnel.replace(str(before.port), str(line.port))
        client.network = msgspec.structs.replace(client.network, tunnel=tunnel)
        yield line
