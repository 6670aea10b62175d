"""
The door to a team's network: a port of this machine behind which it looks like one on this machine.

What comes in at the door goes to the network in TLS, with the proof of our seat in its first head.
Paths begin with a key that only this user knows, and web pages are refused, as everywhere on
loopback. So neither clients nor hosts know anything of certificates and invites.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import secrets
import signal
import socket
from pathlib import Path

import msgspec

from .. import settings
from ..errors import NetworkError
from ..loopback import allowed
from ..settings import teams
from . import seats
from .back import Back
from .invite import HEADER
from .line import PIECE, Broken, Head, Line, body_of, head_of, splice
from .pinned import Refused, ask, connect, told
from .seats import Seat

log = logging.getLogger("nosana_jupyter.lan")

FIRST_PORT, PORTS = 20_000, 12_000
"""As for the local network: below those that systems give to outgoing connections."""

PATIENCE = 10.0
"""Seconds in which a request has to begin."""

LOOK = 2.0
"""Seconds between looks at whether the seat is still ours."""


class Door:
    """
    The door.

    Args:
        seat: Where it leads, and as whom.
    """

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._back = Back(seat)
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen where the seat says; anywhere else, and say so there, if that is taken."""
        seat = self._seat
        seat.door_key = seat.door_key or secrets.token_urlsafe(16)
        while self._server is None:
            try:
                self._server = await asyncio.start_server(
                    self._serve, "127.0.0.1", seat.door_port or _any_port(), limit=PIECE
                )
            except OSError:
                seat.door_port = 0
        seat.door_port = self._server.sockets[0].getsockname()[1]
        seats.write(seat)

    async def close(self) -> None:
        """Let nobody through any more."""
        if self._server is not None:
            self._server.close()
        await self._back.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        line = Line(reader, writer)
        try:
            async with asyncio.timeout(PATIENCE):
                head = await head_of(line)
            await self._pass(head, line)
        except NetworkError as error:
            status = error.status if isinstance(error, Refused) else 502
            await line.say(status, {"error": f"{error}. {error.hint}".strip()})
        except (Broken, OSError, TimeoutError):
            log.debug("a connection at the door broke off")
        finally:
            await line.close()

    async def _pass(self, head: Head, line: Line) -> None:
        key, _, rest = head.path.lstrip("/").partition("/")
        known = hmac.compare_digest(key.encode(), self._seat.door_key.encode())
        if not known or not allowed(head.get("host"), head.get("origin")):
            await line.say(403, {"error": "only programs of this machine's user may ask here"})
        elif rest == "services/health":
            await told(self._seat, self._back.login, "GET", "/-/hello")
            home = str(settings.home().resolve())
            await line.say(200, {"ok": True, "pid": os.getpid(), "home": home})
        elif head.method == "POST" and rest in ("tunnel/register", "tunnel/unregister"):
            await self._name(head, line)
        else:
            outer = await connect(self._seat)
            try:
                mine = f"{HEADER}: {self._back.login}"
                outer.writer.write(head.bytes(without=HEADER, more=mine))
                await splice(line, outer)
            finally:
                await outer.close()

    async def _name(self, head: Head, line: Line) -> None:
        """Register what a host of this machine wants to be reached by, or take it back."""
        async with asyncio.timeout(PATIENCE):
            asked = await body_of(line, head)
        ident, port = (asked.get("id"), asked.get("port")) if isinstance(asked, dict) else (0, 0)
        if not isinstance(ident, str):
            raise Broken
        if head.path.endswith("/register"):
            if self._seat.kind == "host":
                await self._back.stand()
            if not isinstance(port, int) or not 0 < port < 65536:
                raise Broken
            # Before the network knows: it may send a visitor at once.
            self._back.lead(ident, port)
        status, answer = await ask(self._seat, self._back.login, "POST", head.path, asked)
        if status != 200 or head.path.endswith("/unregister"):
            self._back.forget(ident)
        await line.say(status, answer)


async def serve(seat: Seat) -> None:
    """Keep the door of a network open until it is told to close, or the network was left."""
    folder = teams.folder(seat.name)
    door = Door(seat)
    await door.open()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    told_at = folder / "network.json"
    seats.keep(told_at, msgspec.json.encode(seat.network()))
    log.info("the door to %s is open, process %s", seat.place, os.getpid())
    try:
        while not stop.is_set() and _ours(folder / seats.FILE, seat):
            await asyncio.wait([asyncio.ensure_future(stop.wait())], timeout=LOOK)
    finally:
        told_at.unlink(missing_ok=True)
        await door.close()


def _ours(path: Path, seat: Seat) -> bool:
    """Say whether the seat is still the one that this door opens to."""
    try:
        now = msgspec.json.decode(path.read_bytes(), type=Seat)
    except (OSError, msgspec.MsgspecError):
        return False
    return (now.number, now.key, now.place) == (seat.number, seat.key, seat.place)


def _any_port() -> int:
    while True:
        port = FIRST_PORT + secrets.randbelow(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
