"""
The node API: what a job's poster may ask of the host that runs it.

Routes, states and the authorization are those of a real node. Whoever is not the job's project
learns nothing, not even whether there is such a job.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

import tornado.iostream
import tornado.web
import tornado.websocket

from ..chain import authorization
from ..errors import RemoteProtocolError
from ..loopback import allowed
from ..wire.definition import service_id
from .agent import Agent
from .flow import Flow
from .machine import Machine, node_info

log = logging.getLogger("nosana_jupyter.host")

LARGEST = 4 << 20
"""Most bytes of a definition."""

KEEP_ALIVE = 15.0
FIRST_FRAME = 10.0


class NodeHandler(tornado.web.RequestHandler):
    """Base of all routes."""

    def initialize(self, agent: Agent, machine: Machine, began: float) -> None:
        self.agent = agent
        self.machine = machine
        self.began = began

    def prepare(self) -> None:
        """Refuse web pages and foreign names."""
        if not allowed(self.request.headers.get("Host"), self.request.headers.get("Origin")):
            raise tornado.web.HTTPError(403)

    def write_error(self, status_code: int, **_: Any) -> None:  # noqa: ARG002 - tornado's name
        """Answer an error in one sentence."""
        self.finish({"error": self._reason})

    def fail(self, status: int, reason: str) -> tornado.web.HTTPError:
        """Return the error that ends the request."""
        return tornado.web.HTTPError(status, reason=reason)

    def owned(self, job: str) -> Flow:
        """Return a job's flow, to its project only."""
        flow = self.agent.flows.get(job)
        account = self.agent.jobs.get(job)
        header = self.request.headers.get("Authorization", "")
        if flow is None or account is None or not _signed(header, account.project, account.timeout):
            raise self.fail(401, "Unauthorized")
        return flow


class Root(NodeHandler):
    def get(self) -> None:
        """Say who this is."""
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(self.agent.wallet.address))


class Info(NodeHandler):
    def get(self) -> None:
        """Say what this machine is."""
        state = "RUNNING_JOB" if self.agent.flows else "QUEUED"
        node, uptime = self.agent.wallet.address, time.monotonic() - self.began
        self.finish(node_info(self.machine, node=node, state=state, uptime=uptime))


class JobDefinition(NodeHandler):
    def get(self, job: str) -> None:
        """Give back the definition that runs."""
        flow = self.owned(job)
        if flow.record.definition is None:
            raise self.fail(400, "the definition has not come yet")
        self.set_header("Content-Type", "text/plain")
        self.finish(json.dumps(flow.record.definition))

    def post(self, job: str) -> None:
        """Take the definition of a confidential job."""
        flow = self.owned(job)
        if not flow.waiting_for_definition:
            raise self.fail(400, "the job is not waiting for its definition")
        if len(self.request.body) > LARGEST:
            raise self.fail(413, "the definition is too large")
        try:
            flow.deliver(json.loads(self.request.body))
        except (RemoteProtocolError, ValueError, RecursionError):
            raise self.fail(422, "this is no job definition") from None
        self.finish("Job definition received")


class Results(NodeHandler):
    def get(self, job: str) -> None:
        """Give the result, and finish the job."""
        flow = self.owned(job)
        if flow.record.status != "waiting-for-result":
            raise self.fail(400, "the job has no result to fetch")
        self.finish(flow.fetch())


class Operations(NodeHandler):
    def get(self, job: str, operation: str = "") -> None:
        """Say how the operations, or one of them, stand."""
        states = {each.operationId: each.status for each in self.owned(job).record.states}
        if not operation:
            self.finish(states)
        elif operation in states:
            self.finish(states[operation])
        else:
            raise self.fail(404, "OPERATION_NOT_FOUND")


class Group(NodeHandler):
    def get(self, job: str, group: str) -> None:
        """Say how the operations of a group stand; `current` is the first that is not over."""
        states = self.owned(job).record.states
        if group == "current":
            live = [each.group for each in states if each.status in ("init", "running")]
            group = live[0] if live else (states[-1].group if states else "")
        found = {each.operationId: each.status for each in states if each.group == group}
        if not found:
            raise self.fail(404, "GROUP_NOT_FOUND")
        self.finish(found)


class Endpoints(NodeHandler):
    def get(self, job: str) -> None:
        """Say where the job's services are."""
        flow = self.owned(job)
        self.finish(endpoints(self.agent, flow))


class StopJob(NodeHandler):
    def post(self, job: str) -> None:
        """End the job as if its time were over."""
        self.owned(job).stop("expired")
        self.finish("Job stopping")


class JobInfo(NodeHandler):
    async def get(self, job: str) -> None:
        """Follow the job's state as server-sent events, until it ends."""
        flow = self.owned(job)
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        said, moment = "", time.monotonic()
        try:
            while True:
                now = json.dumps(self._state(flow))
                if now != said:
                    self.write(f"data: {now}\n\n")
                    await self.flush()
                    said, moment = now, time.monotonic()
                elif time.monotonic() - moment > KEEP_ALIVE:
                    self.write(": keep-alive\n\n")
                    await self.flush()
                    moment = time.monotonic()
                if flow.record.ended is not None:
                    return
                await asyncio.sleep(0.5)
        except tornado.iostream.StreamClosedError:
            return

    def _state(self, flow: Flow) -> dict[str, Any]:
        whole = flow.result()
        for state in whole["opStates"]:
            state.pop("logs", None)
            state.pop("providerId", None)
        whole["secrets"] = {flow.job: endpoints(self.agent, flow)["urls"]}
        whole["operations"] = {
            "all": {each.operationId: each.status for each in flow.record.states}
        }
        return whole


class Socket(tornado.websocket.WebSocketHandler):
    """Logs and status, by WebSocket: the first frame says which, and proves who asks."""

    def initialize(self, agent: Agent, machine: Machine, began: float) -> None:  # noqa: ARG002
        self.agent = agent
        self.task: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Refuse web pages."""
        if not allowed(self.request.headers.get("Host"), self.request.headers.get("Origin")):
            raise tornado.web.HTTPError(403)

    def check_origin(self, origin: str) -> bool:
        """Say whether a page may open this."""
        return allowed(self.request.headers.get("Host"), origin)

    def open(self, *_: str, **__: str) -> None:
        """Give the other side a moment to say what it wants."""
        self.timer = asyncio.get_running_loop().call_later(FIRST_FRAME, self.close, 1008)

    def on_message(self, message: str | bytes) -> None:
        """Read the first frame."""
        self.timer.cancel()
        if self.task is not None:
            return
        try:
            asked = json.loads(message)
            path, job = asked["path"], asked["body"]["jobAddress"]
            header = asked.get("header") or asked["headers"]["Authorization"]
        except (ValueError, KeyError, TypeError, RecursionError):
            self.close(1007, "a JSON frame with path, body.jobAddress and header is due")
            return
        flow, account = self.agent.flows.get(job), self.agent.jobs.get(job)
        if flow is None or account is None or not _signed(header, account.project, 300):
            self.close(3000, "Unauthorized")
            return
        follow = {"/flog": self._flog, "/log": self._basic, "/status": self._status}.get(path)
        if follow is None:
            self.close(3003, "unknown path")
            return
        self.task = asyncio.create_task(follow(flow))

    def on_close(self) -> None:
        """Stop following."""
        self.timer.cancel()
        if self.task is not None:
            self.task.cancel()

    async def _flog(self, flow: Flow) -> None:
        def frame(op: str, line: dict[str, Any], moment: int) -> dict[str, Any]:
            return {
                "opId": op, "group": op, "type": "container", "timestamp": moment,
                "message": line["log"],
            }  # fmt: skip

        await self._lines(flow, "flog", frame)

    async def _basic(self, flow: Flow) -> None:
        def frame(op: str, line: dict[str, Any], moment: int) -> dict[str, Any]:
            return {
                "log": line["log"], "type": line["type"], "method": "container",
                "timestamp": moment, "job": flow.job, "op": op,
            }  # fmt: skip

        await self._lines(flow, "log", frame)

    async def _lines(self, flow: Flow, path: str, frame: Any) -> None:
        """Send what there is, then what comes; timestamps only grow."""
        sent: dict[tuple[str, str], int] = {}
        moment = 0
        while True:
            over = flow.record.ended is not None
            for state in flow.record.states:
                lines = flow.logs(state)
                for kind in ("stdout", "stderr"):
                    mine = [line for line in lines if line["type"] == kind]
                    key = (state.operationId, kind)
                    for line in mine[sent.get(key, 0) :]:
                        moment = max(moment + 1, int(time.time() * 1000))
                        await self._say(path, frame(state.operationId, line, moment))
                    sent[key] = len(mine)
            if over:
                self.close(1000)
                return
            await asyncio.sleep(0.25)

    async def _status(self, flow: Flow) -> None:
        said, index = "", 0
        while True:
            status = flow.record.status
            if status != said:
                state = {"status": status, "state": status, "timestamp": int(time.time() * 1000)}
                await self._say("state", {**state, "index": index})
                said, index = status, index + 1
            if flow.record.ended is not None:
                self.close(1000)
                return
            await asyncio.sleep(0.25)

    async def _say(self, path: str, data: Any) -> None:
        await self.write_message(json.dumps({"path": path, "data": json.dumps(data)}))


def endpoints(agent: Agent, flow: Flow) -> dict[str, Any]:
    """Return the services of a job, as the node API tells them."""
    urls = {}
    for operation, port, _ in flow.ports():
        ident = service_id(operation=operation, port=port, job=flow.job)
        name = flow.record.states[operation].operationId
        running = flow.record.states[operation].status == "running"
        urls[ident] = {
            "opID": name,
            "port": port,
            "url": agent.network.address(ident),
            "status": "ONLINE" if running else "OFFLINE",
        }
    online = any(each["status"] == "ONLINE" for each in urls.values())
    return {"urls": urls, "status": "ONLINE" if online else "OFFLINE"}


def application(agent: Agent, machine: Machine) -> tornado.web.Application:
    """Return the node API of a host."""
    common = {"agent": agent, "machine": machine, "began": time.monotonic()}
    job = r"/job/(\w{32,44})"
    return tornado.web.Application(
        [
            (r"/", Root, common),
            (r"/node/info", Info, common),
            (rf"{job}/info", JobInfo, common),
            (rf"{job}/job-definition", JobDefinition, common),
            (rf"{job}/results", Results, common),
            (rf"{job}/ops", Operations, common),
            (rf"{job}/ops/([\w.-]+)", Operations, common),
            (rf"{job}/group/([\w.-]+)", Group, common),
            (rf"{job}/endpoints", Endpoints, common),
            (rf"{job}/stop", StopJob, common),
            (r"/(?:flog|log|status)?", Socket, common),
        ],
        websocket_ping_interval=30,
        log_function=lambda _: None,
    )


def _signed(header: str, project: Any, expiry: float) -> bool:
    """Say whether a header was made by the job's project; never log it."""
    try:
        return authorization.check(header, project, expiry=expiry)
    except RemoteProtocolError:
        return False
