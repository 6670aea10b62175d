"""
The address of a service on this machine: requests come in here, and go to a server that is up.

It does not change when a server is lost and another takes its place; what comes meanwhile waits.
Where the servers are and what they require stays here: who asks brings the key of this address.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import tornado.httpserver
import tornado.httputil
import tornado.netutil
import tornado.routing
import tornado.web

from ..errors import UsageError
from .passing import LARGEST, Passing
from .sockets import OVER, Socket, is_socket

if TYPE_CHECKING:
    from .service import Service

LEAVING = 2.0
"""Seconds that who has a WebSocket open may take to close it, too."""


class Gateway:
    """
    The address of one service.

    Args:
        service: Whose.
        port: That it had before; 0: any.
    """

    def __init__(self, service: Service, *, port: int = 0) -> None:
        self.service = service
        self.port = port
        self.requests = 0
        """Requests that have come."""

        self.busy = 0
        """Requests that are under way."""

        self.used = time.monotonic()
        """When the last one ended."""

        self._server: tornado.httpserver.HTTPServer | None = None
        self.flights: set[asyncio.Task[Any]] = set()
        self.sockets: set[Socket] = set()
        """WebSockets that are open."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def idle(self) -> float:
        """Seconds without a request."""
        return 0.0 if self.busy else time.monotonic() - self.used

    async def open(self) -> None:
        """
        Listen.

        Raises:
            UsageError: Somebody else does, at the address that the service has.
        """
        try:
            sockets = tornado.netutil.bind_sockets(self.port, "127.0.0.1")
        except OSError as error:
            raise UsageError(
                f"service {self.service.name} has the address {self.url}, which is taken: "
                f"{error.strerror}",
                hint="Is it kept by another kernel? See %nosana services.",
            ) from None
        self.port = sockets[0].getsockname()[1]
        application = tornado.web.Application(
            [
                tornado.routing.Rule(_Upgrading(), Socket, {"gateway": self}),
                (r"/.*", Passing, {"gateway": self}),
            ],
            log_function=lambda _: None,
            websocket_max_message_size=LARGEST,
        )
        self._server = tornado.httpserver.HTTPServer(
            application, max_body_size=LARGEST, max_buffer_size=LARGEST
        )
        self._server.add_sockets(sockets)

    async def close(self) -> None:
        """Take no more requests, and give up those that are under way."""
        if self._server is None:
            return
        self._server.stop()
        for flight in list(self.flights):
            flight.cancel()
        for socket in list(self.sockets):
            socket.leave(OVER, "the service has ended")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVING):
                while self.sockets:
                    await asyncio.sleep(0.02)
        await self._server.close_all_connections()
        self._server = None


class _Upgrading(tornado.routing.Matcher):
    """Matches requests that want a WebSocket."""

    def match(self, request: tornado.httputil.HTTPServerRequest) -> dict[str, Any] | None:
        """Return what the handler is to know of it: nothing."""
        return {} if is_socket(request) else None
