"""
The stand-in for the network's tunnel: a name in the path leads to a port on this machine.

The head of a request is read, its first path segment looked up, and then bytes are spliced: HTTP,
event streams and WebSockets pass alike. As on the real network the tunnel sees what passes, and no
more than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..chain import authorization
from ..errors import RemoteProtocolError
from ..loopback import allowed

log = logging.getLogger("nosana_jupyter.tunnel")

LARGEST_HEAD = 64 << 10
PIECE = 1 << 18

NOT_FOUND = "The page you requested was not found: no such tunnel."


@dataclass(frozen=True, slots=True)
class Exit:
    """Where a name leads."""

    port: int
    node: str
    """Who registered it; nobody else may take it over while it holds."""

    until: float
    """Unix time when it lapses."""


class Tunnel:
    """
    Names and where they lead.

    Args:
        clock: Unix time, in seconds.
        exits: Says which name a name of several hosts leads to this time, if it is one.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        exits: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._shared = exits
        self._exits: dict[str, Exit] = {}

    def register(self, ident: str, port: int, node: str, header: str) -> None:
        """
        Lead a name to a port until the registration expires.

        Args:
            ident: The name: a node's address, or a service id.
            port: On this machine.
            node: The node that registers.
            header: Authorization string of that node over the name.

        Raises:
            RemoteProtocolError: The node did not sign this, or the name is another's.
        """
        self.check(ident, node, header)
        if not 0 < port < 65536:
            raise RemoteProtocolError(f"{port} is no port")
        self._exits[ident] = Exit(port, node, self._clock() + authorization.EXPIRY)

    def unregister(self, ident: str, node: str, header: str) -> None:
        """Forget a name; raises as `register` does."""
        self.check(ident, node, header)
        self._exits.pop(ident, None)

    def port(self, ident: str) -> int | None:
        """Return where a name leads, or nothing."""
        found = self._exits.get(ident) or self._exits.get(self._shared(ident) or "")
        if found is None or found.until < self._clock():
            return None
        return found.port

    def check(self, ident: str, node: str, header: str) -> None:
        """See that a node may lead a name; raises as `register` does."""
        now = int(self._clock() * 1000)
        if not authorization.check(header, node, expected=ident, now=now):
            raise RemoteProtocolError("the registration is not signed by its node")
        held = self._exits.get(ident)
        if held is not None and held.node != node and held.until >= self._clock():
            raise RemoteProtocolError("another node has this name")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await self._route(head, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            log.debug("a connection broke off")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _route(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        lines = head[:-4].split(b"\r\n")
        headers = {}
        for line in lines[1:]:
            label, _, value = line.partition(b":")
            headers[label.strip().lower().decode("latin1")] = value.strip().decode("latin1")
        request = lines[0].split(b" ")
        if len(request) != 3 or not allowed(headers.get("host"), headers.get("origin")):
            await _say(writer, 403, "only programs of this machine may ask here")
            return
        method, path, version = request
        ident, _, rest = path.removeprefix(b"/").partition(b"/")
        name = ident.decode("latin1")
        if method == b"POST" and name in ("register", "unregister") and not rest:
            await self._control(name, headers, reader, writer)
            return
        port = self.port(name)
        if port is None:
            await _say(writer, 404, NOT_FOUND)
            return
        upgrade = "upgrade" in headers.get("connection", "").lower()
        kept = [
            line for line in lines[1:] if upgrade or not line.lower().startswith(b"connection:")
        ]
        if not upgrade:
            # One request a connection: the next may be for another name.
            kept.append(b"Connection: close")
        first = b" ".join([method, b"/" + rest, version])
        await _splice(port, b"\r\n".join([first, *kept]) + b"\r\n\r\n", reader, writer)

    async def _control(
        self,
        name: str,
        headers: dict[str, str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        try:
            length = int(headers.get("content-length", "0"))
            if not 0 < length <= LARGEST_HEAD:
                raise ValueError
            asked = json.loads(await reader.readexactly(length))
            ident, node, header = (str(asked[key]) for key in ("id", "node", "header"))
            if name == "register":
                self.register(ident, int(asked["port"]), node, header)
            else:
                self.unregister(ident, node, header)
        except RemoteProtocolError as error:
            await _say(writer, 401, str(error))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            await _say(writer, 400, "the body is {id, port, node, header}")
        else:
            await _say(writer, 200, "ok")


class _End(asyncio.BufferedProtocol):
    """
    One of two joined connections: what is read from it is written to the other.

    Args:
        other: The other one.
        over: Set once either side has ended.
        before: Who had the connection, and waits for its end.
    """

    def __init__(
        self,
        other: asyncio.Transport,
        over: asyncio.Event,
        before: asyncio.BaseProtocol | None = None,
    ) -> None:
        self._other = other
        self._over = over
        self._before = before
        self._memory = memoryview(bytearray(PIECE))

    def get_buffer(self, _: int) -> memoryview:
        return self._memory

    def buffer_updated(self, count: int) -> None:
        if self._other.is_closing():
            return
        self._other.write(self._memory[:count])
        if self._other.get_write_buffer_size():
            # Some Pythons keep the memory itself until it is sent.
            self._memory = memoryview(bytearray(PIECE))

    def pause_writing(self) -> None:
        self._other.pause_reading()

    def resume_writing(self) -> None:
        self._other.resume_reading()

    def eof_received(self) -> bool:
        if self._before is None:
            # The answer's end is the end; a request body's end is not.
            self._over.set()
        elif not self._other.is_closing():
            self._other.write_eof()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._over.set()
        if self._before is not None:
            self._before.connection_lost(error)


async def _splice(
    port: int, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Join a connection to a port of this machine, until either side ends."""
    outer: asyncio.Transport = writer.transport  # type: ignore[assignment] # it is one of a stream
    over = asyncio.Event()
    try:
        inner, _ = await asyncio.get_running_loop().create_connection(
            lambda: _End(outer, over), "127.0.0.1", port
        )
    except OSError:
        await _say(writer, 502, "the host does not answer")
        return
    try:
        for each in (outer, inner):
            each.set_write_buffer_limits(4 * PIECE)
        gone = reader.at_eof()
        outer.set_protocol(_End(inner, over, outer.get_protocol()))
        # Nothing more comes to the reader, and it has what came with the head.
        reader.feed_eof()
        inner.write(head + await reader.read())
        if gone:
            inner.write_eof()
        if not outer.is_closing():
            await over.wait()
    finally:
        inner.close()


async def _say(writer: asyncio.StreamWriter, status: int, text: str) -> None:
    reason = {
        200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
        502: "Bad Gateway",
    }  # fmt: skip
    body = text.encode()
    writer.write(
        f"HTTP/1.1 {status} {reason.get(status, 'Error')}\r\nContent-Type: text/plain\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    await writer.drain()
