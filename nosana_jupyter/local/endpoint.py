"""
The socket of the Solana RPC: requests by HTTP, subscriptions by WebSocket.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import tornado.web
import tornado.websocket

from ..loopback import allowed
from .guard import quiet
from .ledger import Ledger
from .rpc import Methods
from .subscriptions import Subscriptions

LARGEST_CALL = 50 << 10
"""Most bytes of an RPC request: what a real node takes unless told otherwise."""

LARGEST_BODY = 1 << 20
"""Most bytes of an RPC request that is read at all."""

MOST_UNSENT = 10_000
"""Notices that may wait for a client that does not read, before it is cut off."""


class RpcHandler(tornado.websocket.WebSocketHandler):
    """Solana JSON-RPC: `POST` for requests, a WebSocket for subscriptions."""

    def initialize(self, ledger: Ledger, methods: Callable[[Ledger], Methods] = Methods) -> None:
        self.ledger = ledger
        self.methods = methods
        self.subscriptions: Subscriptions | None = None
        self.unsent = 0

    def prepare(self) -> None:
        """Refuse web pages."""
        if not allowed(self.request.headers.get("Host"), self.request.headers.get("Origin")):
            raise tornado.web.HTTPError(403)

    def check_origin(self, origin: str) -> bool:
        """Say whether a WebSocket may come from there."""
        return allowed(self.request.headers.get("Host"), origin)

    def post(self) -> None:
        """Answer a request, or a list of them."""
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            # A real node insists as well. It also keeps out forms, which any web page may send.
            raise tornado.web.HTTPError(415)
        if len(self.request.body) > LARGEST_CALL:
            raise tornado.web.HTTPError(413)
        self.set_header("Content-Type", "application/json")
        try:
            asked = json.loads(self.request.body)
        except (ValueError, RecursionError):
            self.finish(
                {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}
            )
            return
        self.finish(json.dumps(self.methods(self.ledger).reply(asked)))

    def open(self, *_: str, **__: str) -> None:
        """Begin to listen to the ledger."""
        self.subscriptions = Subscriptions(self.ledger, self._tell)

    def on_message(self, message: str | bytes) -> None:
        """Take a request."""
        if self.subscriptions is not None:
            self.subscriptions.receive(message)

    def on_close(self) -> None:
        """Stop listening."""
        if self.subscriptions is not None:
            self.subscriptions.close()

    def _tell(self, text: str) -> None:
        """Send without waiting. A client that is gone or asleep is no concern of the ledger's."""
        if self.unsent > MOST_UNSENT:
            self.close(1013, "too slow")
            return
        try:
            sent = asyncio.ensure_future(self.write_message(text))
        except tornado.websocket.WebSocketClosedError:
            return
        self.unsent += 1
        sent.add_done_callback(self._sent)

    def _sent(self, sent: asyncio.Future[None]) -> None:
        self.unsent -= 1
        if not sent.cancelled():
            # Looked at, so that nobody complains of one that was not.
            sent.exception()


def rpc_application(ledger: Ledger) -> tornado.web.Application:
    """Return the application that serves JSON-RPC at any path."""
    return tornado.web.Application(
        [(r"/.*", RpcHandler, {"ledger": ledger})],
        websocket_max_message_size=1 << 20,
        websocket_ping_interval=20,
        log_function=quiet,
    )
