"""
Logs and status of a job by WebSocket: the first frame says which, and proves who asks.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import tornado.web
import tornado.websocket

from ..chain import authorization
from ..errors import RemoteProtocolError
from ..loopback import allowed
from . import permits

if TYPE_CHECKING:
    from .api import Node
    from .flow import Flow
    from .logs import Line

FIRST_FRAME = 10.0
"""Seconds that the other side has to say what it wants."""

UNKNOWN_PATH, NO_JOB, UNAUTHORIZED, BAD_JOB = 3003, 1007, 3000, 1008
"""Close codes of a real node."""

TOO_MANY = 1013


class Socket(tornado.websocket.WebSocketHandler):
    """Follows one job: `/flog` and `/log` for what it says, `/status` for how it stands."""

    def initialize(self, node: Node) -> None:
        self.node = node
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None

    def prepare(self) -> None:
        """Refuse web pages and foreign names."""
        if not allowed(self.request.headers.get("Host"), self.request.headers.get("Origin")):
            raise tornado.web.HTTPError(403)

    def check_origin(self, origin: str) -> bool:
        """Say whether a page may open this."""
        return allowed(self.request.headers.get("Host"), origin)

    def open(self, *_: str, **__: str) -> None:
        """Give the other side a moment to say what it wants."""
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(FIRST_FRAME, self.close, BAD_JOB, "nothing was asked")

    def on_message(self, message: str | bytes) -> None:
        """Read the first frame."""
        if self.timer is not None:
            self.timer.cancel()
        if self.task is not None:
            return
        try:
            asked = json.loads(message)
            body = asked.get("body") or {}
            path = str(asked["path"])
            job = body.get("jobAddress") or body.get("address")
            header = asked.get("header") or (asked.get("headers") or {}).get("Authorization") or ""
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.close(NO_JOB, "a JSON frame with path, header and body is due")
            return
        follow = {"/flog": self._flog, "/log": self._basic, "/status": self._status}.get(path)
        flow = self.node.flow(job) if isinstance(job, str) else None
        if follow is None:
            self.close(UNKNOWN_PATH, "unknown path")
        elif not job:
            self.close(NO_JOB, "body.jobAddress is missing")
        elif flow is None:
            self.close(BAD_JOB, "this node does not run such a job")
        elif not self._may(str(header), flow, path):
            self.close(UNAUTHORIZED, "Unauthorized")
        else:
            self.task = asyncio.create_task(self._following(follow, flow, body))

    def on_close(self) -> None:
        """Stop following."""
        if self.timer is not None:
            self.timer.cancel()
        if self.task is not None:
            self.task.cancel()

    def _may(self, header: str, flow: Flow, path: str) -> bool:
        """Say whether a header was made by the job's project, or, for `/status`, by this node."""
        signers = [flow.record.project]
        if path == "/status":
            signers.append(self.node.agent.wallet.address)
        for signer in signers:
            try:
                permits.check(
                    header, signer, job=flow.job, public=flow.record.public,
                    expiry=authorization.EXPIRY,
                )  # fmt: skip
                return True
            except RemoteProtocolError:
                continue
        self.node.refusals.note(path, flow.job, "Unauthorized")
        return False

    async def _following(
        self,
        follow: Callable[[Flow, dict[str, Any]], Coroutine[Any, Any, None]],
        flow: Flow,
        body: dict[str, Any],
    ) -> None:
        try:
            with self.node.followers.one_more(flow.job):
                await follow(flow, body)
        except tornado.web.HTTPError as error:
            self.close(TOO_MANY, error.reason)

    async def _flog(self, flow: Flow, body: dict[str, Any]) -> None:
        # A client may ask for some lines only.
        asked = {key: body[key] for key in ("opId", "group", "type") if body.get(key)}

        def frame(line: Line) -> dict[str, Any] | None:
            kind = "error" if line.kind == "nodeerr" else "container"
            told = {
                "opId": line.operation, "group": line.group,
                "type": kind if line.event is None else "info", "timestamp": line.moment,
                "message": line.text if line.event is None else _progress(line),
            }  # fmt: skip
            return told if told | asked == told else None

        await self._lines(flow, "flog", frame)

    async def _basic(self, flow: Flow, _: dict[str, Any]) -> None:
        def frame(line: Line) -> dict[str, Any]:
            told = {
                "log": line.text, "type": line.kind, "method": "container",
                "timestamp": line.moment, "job": flow.job,
            }  # fmt: skip
            return told if line.event is None else told | _progress(line)

        await self._lines(flow, "log", frame)

    async def _lines(
        self, flow: Flow, path: str, frame: Callable[[Line], dict[str, Any] | None]
    ) -> None:
        async for lines in flow.book.follow():
            for line in lines:
                if (told := frame(line)) is not None:
                    await self._say(path, told)
        self.close(1000)

    async def _status(self, flow: Flow, _: dict[str, Any]) -> None:
        said, index = "", 0
        while True:
            waiting = asyncio.ensure_future(flow.bell.wait())
            try:
                status = flow.record.status
                if status != said:
                    moment = int(time.time() * 1000)
                    state = {"status": status, "state": status, "timestamp": moment}
                    await self._say("state", {**state, "index": index})
                    said, index = status, index + 1
                if flow.done or flow.broken:
                    self.close(1000)
                    return
                await waiting
            finally:
                waiting.cancel()

    async def _say(self, path: str, data: Any) -> None:
        try:
            await self.write_message(json.dumps({"path": path, "data": json.dumps(data)}))
        except tornado.websocket.WebSocketClosedError:
            raise asyncio.CancelledError from None


def _progress(line: Line) -> dict[str, Any]:
    """Return how far something is, as a real node says it."""
    return {"type": line.kind, "payload": {"event": line.event}}
