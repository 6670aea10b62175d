"""
The gate of this network to the machines around: the one port that others reach.

It speaks TLS alone, and to nobody without an invite or the seat that it became. Who asks is looked
at when a connection begins; what a kind of member may ask is decided by what there is behind the
gate for that kind. A seat that is revoked loses its open connections as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import RemoteProtocolError
from ..lan.invite import HEADER, Kind
from ..lan.line import PIECE, Broken, Head, Line, body_of, head_of, splice
from . import certificate
from .relay import Relay, Unled
from .roster import Roster, Seat, Unwelcome
from .tunnel import Tunnel

log = logging.getLogger("nosana_jupyter.local")

PATIENCE = 10.0
"""Seconds in which a stranger has to say who he is."""

LOOK = 0.5
"""Seconds between looks at who was revoked."""

STRANGERS = 200
"""Most connections that have not said yet who they are."""


class Gate:
    """
    The gate.

    Args:
        folder: The network's.
        tunnel: Where hosts register their names.
        tunnel_port: The tunnel's own port.
        ports: What is served to each kind of member, as a port of this machine.
        terms: What members have to know of this network.
        welcome: Gives a new member the money that comes with his invite.
    """

    def __init__(
        self,
        folder: Path,
        tunnel: Tunnel,
        tunnel_port: int,
        *,
        ports: Mapping[Kind, int],
        terms: Mapping[str, str],
        welcome: Callable[[Seat], None],
    ) -> None:
        self._folder = folder
        self._tunnel = tunnel
        self._tunnel_port = tunnel_port
        self._ports = ports
        self._terms = terms
        self._welcome = welcome
        self._roster = Roster(folder)
        self._relay = Relay()
        self._strangers = 0
        self._open: defaultdict[str, set[Line]] = defaultdict(set)
        self._server: asyncio.Server | None = None
        self._watching: asyncio.Task[None] | None = None

    async def open(self, address: str, port: int) -> None:
        """
        Listen.

        Raises:
            OSError: There is no such address, or somebody else has the port.
        """
        certificate.of(self._folder)
        self._server = await asyncio.start_server(
            self._serve, address, port, limit=PIECE,
            ssl=certificate.context(self._folder), ssl_handshake_timeout=PATIENCE,
        )  # fmt: skip
        self._watching = asyncio.create_task(self._watch())

    def close(self) -> None:
        """Let nobody in any more, and show everybody out."""
        if self._server is not None:
            self._server.close()
        if self._watching is not None:
            self._watching.cancel()
        self._relay.close()
        for number in list(self._open):
            self._show_out(number)
        self._roster.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            if self._open:
                for number in self._open.keys() - self._roster.standing():
                    self._show_out(number)

    def _show_out(self, number: str) -> None:
        for line in self._open.pop(number, set()):
            line.writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        line = Line(reader, writer)
        try:
            if self._strangers >= STRANGERS:
                return
            self._strangers += 1
            try:
                async with asyncio.timeout(PATIENCE):
                    head = await head_of(line)
            finally:
                self._strangers -= 1
            await self._ask(head, line)
        except Unwelcome as error:
            await line.say(401, {"error": str(error)})
        except (Broken, OSError, TimeoutError):
            log.debug("a connection at the gate broke off")
        finally:
            await line.close()

    async def _ask(self, head: Head, line: Line) -> None:
        login = head.get(HEADER) or ""
        if (head.method, head.path) == ("POST", "/-/join"):
            await self._join(login, head, line)
            return
        seat = self._roster.seat(login)
        self._open[seat.number].add(line)
        try:
            await self._pass(seat, head, line)
        finally:
            # Not by indexing: who was shown out has no entry any more.
            if (held := self._open.get(seat.number)) is not None:
                held.discard(line)
                if not held:
                    del self._open[seat.number]

    async def _join(self, login: str, head: Head, line: Line) -> None:
        async with asyncio.timeout(PATIENCE):
            asked = await body_of(line, head)
        try:
            key, wallet, node = (str(asked[name]) for name in ("key", "wallet", "node"))
        except (KeyError, TypeError):
            raise Broken from None
        seat, new = self._roster.join(login, key=key, wallet=wallet, node=node)
        if new:
            log.info("%s %s has joined", seat.kind, seat.owner or seat.number)
            self._welcome(seat)
        await line.say(200, {"kind": seat.kind, "nos": seat.nos, **self._terms})

    async def _pass(self, seat: Seat, head: Head, line: Line) -> None:
        """Lead a member where he wants to go, if he may."""
        area, _, rest = head.path.lstrip("/").partition("/")[2].partition("/")
        if head.path.startswith("/-/"):
            await self._own(seat, area, rest, line)
        elif area in ("rpc", "services"):
            await self._lead(self._ports[seat.kind], head.bytes(without=HEADER), line)
        elif area == "tunnel" and rest in ("register", "unregister"):
            await self._name(seat, rest, head, line)
        elif area == "tunnel":
            await self._lead(self._tunnel_port, head.bytes(path=f"/{rest}", without=HEADER), line)
        else:
            await line.say(404, {"error": "Not Found"})

    async def _own(self, seat: Seat, what: str, rest: str, line: Line) -> None:
        """Answer what doors ask for themselves."""
        if what == "hello":
            await line.say(200, {"kind": seat.kind, **self._terms})
        elif seat.kind != "host":
            await line.say(403, {"error": "this seat is a client's: a host needs its own invite"})
        elif what == "line":
            await self._relay.hold(seat, line)
        elif what == "come":
            await self._relay.come(seat, rest, line)
        elif what == "decline":
            self._relay.decline(seat, rest)
            await line.say(200, {})
        else:
            await line.say(404, {"error": "Not Found"})

    async def _name(self, seat: Seat, what: str, head: Head, line: Line) -> None:
        """Let a host's name lead to it, or nowhere."""
        if seat.kind != "host":
            await line.say(403, {"error": "this seat is a client's: a host needs its own invite"})
            return
        async with asyncio.timeout(PATIENCE):
            asked: Any = await body_of(line, head)
        try:
            ident, node, header = (str(asked[name]) for name in ("id", "node", "header"))
            if node != seat.node:
                raise RemoteProtocolError("this seat is another host's")
            if what == "register":
                self._tunnel.check(ident, node, header)
                port = await self._relay.exit(seat, ident)
                self._tunnel.register(ident, port, node, header)
            else:
                self._tunnel.unregister(ident, node, header)
                self._relay.forget(ident)
        except (KeyError, TypeError):
            await line.say(400, {"error": "the body is {id, node, header}"})
        except RemoteProtocolError as error:
            await line.say(401, {"error": str(error)})
        except Unled as error:
            await line.say(409, {"error": str(error)})
        else:
            await line.say(200, {})

    async def _lead(self, port: int, head: bytes, line: Line) -> None:
        """Join a connection to a port of this machine."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=PIECE)
        inner = Line(reader, writer)
        try:
            writer.write(head)
            with contextlib.suppress(OSError):
                await splice(line, inner)
        finally:
            await inner.close()
