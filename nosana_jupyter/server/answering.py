"""
The handlers of the Jupyter server: who may ask, and what is passed on.

Imports little, as each start of a Jupyter server waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from http.client import responses
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized, ws_authenticated
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web
from tornado.websocket import WebSocketClosedError, WebSocketHandler

if TYPE_CHECKING:
    from .desk import Desk

RESOURCE = "nosana"
"""What an authorizer of the Jupyter server decides on."""

LARGEST = 2 << 20
"""Most bytes of a request."""

PING = 30.0

Deed = tuple[str, str]
"""Module and name of the function that answers."""


class Route(APIHandler):
    """A route. Whatever its methods do, they do for who is known here and may do it."""

    auth_resource = RESOURCE
    _track_activity = False  # A panel that looks keeps no server from being idle.

    def initialize(self, desk: Desk, deeds: Mapping[str, Deed]) -> None:
        """Take what answers."""
        self._desk = desk
        self._deeds = deeds

    @web.authenticated
    @authorized
    async def get(self, name: str = "") -> None:
        """Answer a question."""
        await self._answer(name)

    @web.authenticated
    @authorized
    async def post(self, name: str = "") -> None:
        """Do what is asked."""
        await self._answer(name)

    @web.authenticated
    @authorized
    async def delete(self, name: str = "") -> None:
        """Remove what is named."""
        await self._answer(name)

    async def _answer(self, name: str) -> None:
        deed = self._deeds.get(self.request.method or "")
        if deed is None:
            raise web.HTTPError(405)
        if len(self.request.body) > LARGEST:
            raise web.HTTPError(413)
        query = {key: self.get_query_argument(key) for key in self.request.query_arguments}
        # Imported off the loop, and once.
        asked = await self._desk.run(import_module, f"{__package__}.asked")
        given = asked.Asked(desk=self._desk, name=name, query=query, body=self.request.body)
        answer = await asked.answered(*deed, given)
        self.set_status(answer.status)
        if answer.file:
            self.set_header("Content-Disposition", f'attachment; filename="{answer.file}"')
        await self.finish(answer.content or None, set_content_type=answer.kind)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what went wrong that is no error of ours: of that, its text is not for everybody."""
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        message = responses.get(status_code, "Unknown error")
        hint = ""
        if isinstance(error, web.HTTPError):
            message = error.log_message or message
        else:
            hint = "This is a fault of ours: the log of the Jupyter server says more."
        kind = type(error).__name__ if error else ""
        # As a `Problem`, which may not be imported yet.
        self.finish(json.dumps({"message": message, "hint": hint, "money": "", "kind": kind}))


class Events(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """The event stream of one tab."""

    auth_resource = RESOURCE

    @property
    def ping_interval(self) -> float:
        """Seconds between two pings: a tab that has gone without a word is let go."""
        return PING

    @property
    def ping_timeout(self) -> float:
        """Seconds in which a ping is answered."""
        return PING

    def initialize(self, desk: Desk) -> None:
        """Take what there is to be told."""
        self._desk = desk

    @ws_authenticated
    @authorized(action="read", resource=RESOURCE)  # type: ignore[untyped-decorator]
    async def get(self, *_: Any, **__: Any) -> None:  # type: ignore[override]
        """Open the stream."""
        # What watches is imported off the loop, and once.
        await self._desk.run(import_module, f"{__package__}.watching")
        await super().get()

    async def open(self, *_: Any) -> None:
        """Listen from now on. Pings are tornado's, which counts in seconds as we do."""
        self._listener = self._desk.watch.join(self._write)

    def on_message(self, message: str | bytes) -> None:
        """Take what a tab says: nothing is asked here."""

    def on_close(self) -> None:
        """Listen no more."""
        listener = getattr(self, "_listener", None)
        if listener is not None:
            self._desk.watch.leave(listener)

    async def _write(self, text: bytes) -> None:
        with suppress(WebSocketClosedError):
            await self.write_message(text)
