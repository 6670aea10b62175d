"""
WebSockets through the address of a service: one line to who asked, one to the server, and each
message of one goes to the other.

Both lines are whole ones: a server that is lost ends in a close that says so (1012), never in half
a frame. An open line alone keeps no service alive: its messages do, as requests do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

import tornado.iostream
import tornado.websocket

from .. import dial
from ..errors import JobError
from . import passing

if TYPE_CHECKING:
    import tornado.httputil
    from websockets.asyncio.client import ClientConnection

    from .gateway import Gateway
    from .renting import Place

log = logging.getLogger("nosana_jupyter.serving.sockets")

LOST = 1012, "the server was lost: connect again"
"""What is said where a server is lost: a service that starts anew."""

OVER = 1001
"""What is said where a service ends: it goes away."""

ABNORMAL, WORDLESS = 1006, 1005
"""Codes that stand for no close at all, and for one without a code; neither may be sent."""

OPENING = 10.0
"""Seconds that a server may take to open a line."""

PINGS = 20.0
"""Seconds between pings to a server, which keep the way open. Whether it lives others see."""


def is_socket(request: tornado.httputil.HTTPServerRequest) -> bool:
    """Say whether a request wants a WebSocket."""
    return request.headers.get("Upgrade", "").lower() == "websocket"


class Socket(tornado.websocket.WebSocketHandler):
    """Passes one WebSocket on."""

    def initialize(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._place: Place | None = None
        self._line: ClientConnection | None = None
        self._back: asyncio.Task[None] | None = None

    def set_default_headers(self) -> None:
        self.clear_header("Server")

    def check_origin(self, origin: str) -> bool:
        """Let it pass: `refusal` has looked at it."""
        return bool(origin)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Return what the server has chosen."""
        chosen = self._line.subprotocol if self._line is not None else None
        return chosen if chosen in subprotocols else None

    async def get(self, *_args: Any, **_kwargs: Any) -> None:
        """Open both lines; return when they are closed."""
        gateway = self._gateway
        if (refused := passing.refusal(gateway, self.request)) is not None:
            passing.answer_error(self, *refused)
            return
        gateway.requests += 1
        gateway.used = time.monotonic()
        try:
            found = await self._opened()
        except JobError as error:
            passing.answer_error(self, 503, str(error), "service_over")
            return
        if found is None:
            return
        self._place, self._line = found
        self._place.sockets += 1
        gateway.sockets.add(self)
        try:
            await super().get()
        finally:
            gateway.sockets.discard(self)
            self._place.sockets -= 1
            if self._back is not None:
                self._back.cancel()
                await asyncio.gather(self._back, return_exceptions=True)
            # A server that has closed it hears this no more.
            await self._line.close(_sayable(self.close_code), self.close_reason or "")

    def open(self, *_args: str, **_kwargs: str) -> None:
        """Begin to pass what the server says."""
        assert self._place is not None
        assert self._line is not None
        self._back = asyncio.create_task(self._pass_back(self._place, self._line))

    async def _opened(self) -> tuple[Place, ClientConnection] | None:
        """Return a server and a line to it; nothing if who asked was told why there is none."""
        from websockets.exceptions import InvalidStatus, WebSocketException

        service = self._gateway.service
        tried: set[Place] = set()
        while True:
            place = await service.place(tried)
            tried.add(place)
            try:
                return place, await self._dial(place)
            except InvalidStatus as error:
                answer = error.response
                if answer.status_code not in passing.TUNNEL or await place.look():
                    self.set_status(answer.status_code)
                    self.set_header(
                        "Content-Type", answer.headers.get("Content-Type", "text/plain")
                    )
                    self.finish(bytes(answer.body or b""))
                    return None
            except (OSError, TimeoutError, WebSocketException, ValueError, EOFError) as error:
                log.info("a server opened no line: %s", type(error).__name__)
                if await place.look():
                    text = f"the server opens no WebSocket here ({type(error).__name__})"
                    passing.answer_error(self, 502, text, "server_lost")
                    return None
            service.doubt(place)

    async def _dial(self, place: Place) -> ClientConnection:
        """Open a line to a server, with what who asked says beside the key."""
        from websockets.asyncio.client import connect

        address = "ws" + place.base.removeprefix("http") + (self.request.uri or "/")
        told = self.request.headers.get("Sec-WebSocket-Protocol", "")
        wanted: Any = [name for each in told.split(",") if (name := each.strip())]
        headers = [
            (name, value)
            for name, value in self.request.headers.get_all()
            if name.lower() not in passing.OURS | passing.HOPS
            and not name.lower().startswith("sec-websocket-")
        ]
        dialled: Any = connect(
            address, additional_headers=[*headers, ("Authorization", f"Bearer {place.key}")],
            subprotocols=wanted or None,
            user_agent_header=None, compression=None, open_timeout=OPENING, close_timeout=1,
            ping_interval=PINGS, ping_timeout=None, max_size=passing.LARGEST,
            **await dial.options(address),
        )  # fmt: skip
        # A host may not lead us elsewhere.
        dialled.process_redirect = lambda error: error
        line: ClientConnection = await dialled
        return line

    async def on_message(self, message: str | bytes) -> None:
        """Pass a message to the server. The next is read when it has taken this one."""
        from websockets.exceptions import ConnectionClosed

        self._gateway.used = time.monotonic()
        assert self._line is not None
        with contextlib.suppress(ConnectionClosed):  # Whose end `_pass_back` tells.
            await self._line.send(message)

    async def _pass_back(self, place: Place, line: ClientConnection) -> None:
        """Pass what the server says to who asked, and its end."""
        gone = asyncio.create_task(place.gone.wait())
        passed = asyncio.create_task(self._pass_messages(place, line))
        try:
            await asyncio.wait({gone, passed}, return_when=asyncio.FIRST_COMPLETED)
            code, reason = passed.result() if passed.done() else LOST
            if code == ABNORMAL:
                self._gateway.service.doubt(place)
                code, reason = LOST
            self.leave(None if code == WORDLESS else code, reason)
        finally:
            gone.cancel()
            passed.cancel()
            await asyncio.gather(gone, passed, return_exceptions=True)

    async def _pass_messages(self, place: Place, line: ClientConnection) -> tuple[int, str]:
        """Return the code and the reason that the line has ended with."""
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                message = await line.recv()
                place.heard = self._gateway.used = time.monotonic()
                await self.write_message(message, binary=isinstance(message, bytes))
        except ConnectionClosed as closed:
            # One that says too much at once was closed by us.
            end = closed.rcvd or closed.sent
            return (end.code, end.reason) if end is not None else (ABNORMAL, "")
        except (tornado.websocket.WebSocketClosedError, tornado.iostream.StreamClosedError):
            return WORDLESS, ""

    def leave(self, code: int | None, reason: str) -> None:
        """Close the line to who asked."""
        self.close(code, reason if code is not None else None)


def _sayable(code: int | None) -> int:
    """Return a code that may be sent, for one that came, or did not."""
    if code is None or code in {1004, WORDLESS, ABNORMAL, 1015} or not 1000 <= code < 5000:
        return OVER
    return code
