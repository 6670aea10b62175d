"""
A request to a service, passed on to a server that is up, and its answer piece by piece as it comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import time
from typing import TYPE_CHECKING, Any

import httpx
import tornado.httputil
import tornado.iostream
import tornado.web

from ..errors import JobError
from ..loopback import allowed

if TYPE_CHECKING:
    from .gateway import Gateway
    from .renting import Place

log = logging.getLogger("nosana_jupyter.serving.passing")

LARGEST = 256 << 20
"""Most bytes of a request: images and sound go along with some."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

OURS = frozenset({"authorization", "host", "cookie", "content-length", "origin", "referer"})
HOPS = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
"""Headers that are between two neighbours alone."""

TUNNEL = (404, 502, 503, 504)
"""What a tunnel answers in place of a server that it does not reach."""

NAMELESS = frozenset({"server", "alt-svc", "via", "set-cookie", "location", "content-location"})
"""Headers of an answer that would lead past us, or say where the server is."""


class Passing(tornado.web.RequestHandler):
    """Passes one request on, and the answer back, piece by piece as it comes."""

    SUPPORTED_METHODS = METHODS

    def initialize(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._task: asyncio.Task[Any] | None = None
        self._gone = False

    def set_default_headers(self) -> None:
        self.clear_header("Server")

    def check_xsrf_cookie(self) -> None:
        """Do nothing: there are no cookies, and each request brings the key."""

    def on_connection_close(self) -> None:
        self._gone = True
        if self._task is not None:
            self._task.cancel()

    def compute_etag(self) -> None:
        """Return nothing: the answer is the server's."""

    async def _pass(self) -> None:
        gateway = self._gateway
        if (refused := refusal(gateway, self.request)) is not None:
            answer_error(self, *refused)
            return
        self._task = asyncio.current_task()
        assert self._task is not None
        gateway.flights.add(self._task)
        gateway.requests += 1
        gateway.busy += 1
        try:
            await self._forward()
        except JobError as error:
            answer_error(self, 503, str(error), "service_over")
        except tornado.iostream.StreamClosedError:
            log.debug("who asked has gone")
        except asyncio.CancelledError:
            if not self._gone:
                self._break_off()
        finally:
            gateway.busy -= 1
            gateway.used = time.monotonic()
            gateway.flights.discard(self._task)

    get = head = post = put = patch = delete = options = _pass

    async def _forward(self) -> None:
        tried: set[Place] = set()
        while True:
            place = await self._gateway.service.place(tried)
            tried.add(place)
            place.busy += 1
            try:
                if await self._asked(place):
                    return
            finally:
                place.busy -= 1
                place.used = time.monotonic()
            self._gateway.service.doubt(place)

    async def _asked(self, place: Place) -> bool:
        """Ask a server; say whether it has answered. One that was never reached has not."""
        asked = self._request(place)
        try:
            answer = await place.http.send(asked, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return False
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:
            # It may have been at work: who asked decides whether to ask again.
            self._gateway.service.doubt(place)
            text = f"the server broke off before it answered ({type(error).__name__}); ask again"
            answer_error(self, 502, text, "server_lost")
            return True
        async with contextlib.aclosing(answer):
            if answer.status_code in TUNNEL and not await place.look():
                return False
            await self._answer(answer, place)
        return True

    def _request(self, place: Place) -> httpx.Request:
        request = self.request
        headers = [
            (name, value)
            for name, value in request.headers.get_all()
            if name.lower() not in OURS | HOPS
        ]
        return place.http.build_request(
            request.method or "GET",
            place.base + (request.uri or "/"),
            headers=[*headers, ("Authorization", f"Bearer {place.key}")],
            content=request.body or None,
        )

    async def _answer(self, answer: httpx.Response, place: Place) -> None:
        self.set_status(answer.status_code)
        self.clear_header("Content-Type")
        for name, value in answer.headers.multi_items():
            if name.lower() not in HOPS | NAMELESS:
                self.add_header(name, value)
        try:
            await self.flush()
            async for piece in answer.aiter_raw():
                place.heard = time.monotonic()
                self.write(piece)
                await self.flush()
        except httpx.HTTPError as error:
            log.info("a server broke off in the middle of an answer: %s", type(error).__name__)
            self._gateway.service.doubt(place)
            self._break_off()
            return
        self.finish()

    def _break_off(self) -> None:
        """Let who asked see that the answer is not whole."""
        if self._finished:
            return
        if not self._headers_written:
            answer_error(self, 503, "the service has ended", "service_over")
            return
        stream = getattr(self.request.connection, "stream", None)
        if stream is not None:
            stream.close()


def refusal(
    gateway: Gateway, request: tornado.httputil.HTTPServerRequest
) -> tuple[int, str, str] | None:
    """Return status, text and code that a request is refused with, if it is."""
    headers = request.headers
    if not allowed(headers.get("Host"), headers.get("Origin")):
        return 403, "only programs of this machine may ask here", "forbidden"
    given = headers.get("Authorization", "").encode()
    if not hmac.compare_digest(given, f"Bearer {gateway.service.key}".encode()):
        text = "this key is not that of the service: nosana_jupyter.openai() makes a client that "
        return 401, f"{text}has it", "invalid_api_key"
    return None


def answer_error(handler: tornado.web.RequestHandler, status: int, text: str, code: str) -> None:
    """Answer as servers of this kind do where something is wrong."""
    handler.set_status(status)
    handler.set_header("Content-Type", "application/json")
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": text, "type": kind, "param": None, "code": code}
    handler.finish(json.dumps({"error": error}))
