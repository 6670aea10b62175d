"""
The node API: what a job's poster may ask of the host that runs it.

Routes, states and the authorization are those of a real node: a job's routes are for its project
alone. It listens on loopback only, and refuses web pages and foreign names.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import tornado.http1connection
import tornado.iostream
import tornado.web

from ..errors import RemoteProtocolError
from ..loopback import allowed
from . import permits
from .agent import Agent
from .door import LARGEST_BODY, Followers, Refusals
from .flow import Flow
from .machine import Machine, node_info
from .record import COLLECTING, WAITING, OpState, Record
from .sockets import Socket
from .unfetched import Result
from .usage import usage

LARGEST = 1 << 20
"""Most bytes of a definition; a real node takes a tenth of it."""

PATIENTLY = 1 << 30
"""Most bytes that are heard of a definition, though not kept."""

KEEP_ALIVE = 15.0
"""Seconds between two signs of life on a stream."""

UNREAD = 60.0
"""Seconds after which one is closed that nobody reads."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """What the API speaks for."""

    agent: Agent
    machine: Machine
    began: float
    """When this host started, on the monotonic clock."""

    followers: Followers = field(default_factory=Followers)
    refusals: Refusals = field(default_factory=Refusals)

    def flow(self, job: str) -> Flow | None:
        """Return a job that runs here, or was closed lately."""
        return self.agent.flows.get(job) or self.agent.past.get(job, (0.0, None))[1]

    @property
    def state(self) -> str:
        """What this host does, in the words of the node API."""
        if self.agent.leaving:
            return "RESTARTING"
        if self.agent.flows:
            return "RUNNING_JOB"
        return "QUEUED" if self.agent.joined else "JOINING_MARKET"


class NodeHandler(tornado.web.RequestHandler):
    """Base of all routes."""

    def initialize(self, node: Node) -> None:
        self.node = node

    def prepare(self) -> None:
        """Refuse web pages and foreign names."""
        if not allowed(self.request.headers.get("Host"), self.request.headers.get("Origin")):
            raise self.fail(403, "only programs of this machine may ask here")

    def write_error(self, status_code: int, **_: Any) -> None:  # noqa: ARG002 - tornado's name
        """Answer an error in one sentence."""
        self.finish({"error": self._reason})

    def fail(self, status: int, reason: str) -> tornado.web.HTTPError:
        """Return the error that ends the request."""
        return tornado.web.HTTPError(status, reason=reason)

    def owned(self, job: str) -> Flow:
        """
        Return a job's flow, to its project only.

        Raises:
            HTTPError: 404 if it is not here, as a poster may be quicker than we are; 401 if
                another asks.
        """
        flow = self.node.flow(job)
        if flow is None:
            raise self.fail(404, "this node does not run such a job")
        self.admit(flow.record)
        return flow

    def admit(self, record: Record | Result) -> None:
        """
        See that a job's own project asks.

        Raises:
            HTTPError: 401 if another does.
        """
        header = self.request.headers.get("Authorization", "")
        try:
            permits.check(
                header, record.project, job=record.job, public=record.public, expiry=record.timeout
            )
        except RemoteProtocolError as error:
            self.node.refusals.note(str(self.request.method), record.job, error)
            raise self.fail(401, str(error)) from None


class Info(NodeHandler):
    async def get(self) -> None:
        """Say what this machine is."""
        agent, uptime = self.node.agent, time.monotonic() - self.node.began
        holdings = await agent.executor.holdings()
        node, state = agent.wallet.address, self.node.state
        self.finish(
            node_info(
                self.node.machine, node=node, state=state, uptime=uptime, images=holdings["images"]
            )
        )


@tornado.web.stream_request_body
class JobDefinition(NodeHandler):
    def initialize(self, node: Node) -> None:
        super().initialize(node)
        self._body = bytearray()
        self._kept = LARGEST

    def prepare(self) -> None:
        """Hear even what is refused to its end: its sender is to read our answer."""
        super().prepare()
        try:
            self.owned(self.path_args[0])
        except tornado.web.HTTPError:
            self._kept = -1
        connection = self.request.connection
        if isinstance(connection, tornado.http1connection.HTTP1Connection):
            connection.set_max_body_size(PATIENTLY)

    def data_received(self, chunk: bytes) -> None:
        """Take a piece of the definition."""
        if len(self._body) <= self._kept:
            self._body += chunk

    def get(self, job: str) -> None:
        """Give back the definition that runs."""
        flow = self.owned(job)
        if flow.record.definition is None:
            raise self.fail(400, "the definition has not come yet")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(json.dumps(flow.record.definition))

    def post(self, job: str) -> None:
        """Take the definition of a confidential job."""
        flow = self.owned(job)
        if flow.record.status != WAITING or flow.record.definition is not None:
            raise self.fail(400, "the job is not waiting for its definition")
        if len(self._body) > LARGEST:
            raise self.fail(413, "the definition is too large")
        try:
            flow.deliver(json.loads(self._body))
        except RemoteProtocolError as error:
            raise self.fail(422, _sentence(str(error))) from None
        except (ValueError, RecursionError):
            raise self.fail(422, "not a job definition: not JSON") from None
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("Job definition received")


class Results(NodeHandler):
    def get(self, job: str) -> None:
        """Give the result, and finish the job; or what of a job that is over nobody fetched."""
        flow = self.node.flow(job)
        if (flow is None or flow.record.status != COLLECTING) and (
            kept := self.node.agent.unfetched.get(job)
        ):
            self.admit(kept)
            self.finish(kept.told)
            return
        flow = self.owned(job)
        if flow.record.status != COLLECTING:
            raise self.fail(400, "the job has no result to fetch")
        self.finish(flow.collect())


class Operations(NodeHandler):
    def get(self, job: str, operation: str = "") -> None:
        """Say how the operations, or one of them, stand."""
        states = _statuses(self.owned(job).record.states)
        if not states:
            raise self.fail(400, "the job does not run yet")
        if not operation:
            self.finish(states)
        elif operation in states:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(states[operation])
        else:
            raise self.fail(404, "OPERATION_NOT_FOUND")


class Group(NodeHandler):
    def get(self, job: str, group: str) -> None:
        """Say how the operations of a group stand; `current` is the first that is not over."""
        states = self.owned(job).record.states
        if not states:
            raise self.fail(400, "the job does not run yet")
        name = _current(states) if group == "current" else group
        found = _statuses([each for each in states if each.group == name])
        if not found:
            raise self.fail(404, "GROUP_NOT_FOUND")
        self.finish(found)


class Control(NodeHandler):
    def post(self, job: str, group: str, operation: str | None, verb: str) -> None:
        """Stop or restart a group that runs, or one operation of it."""
        flow = self.owned(job)
        members = [each for each in flow.operations if each.state.group == group]
        if operation is not None:
            members = [each for each in members if each.id == operation]
        if not members:
            raise self.fail(500, "OPERATION_NOT_FOUND" if operation else "GROUP_NOT_FOUND")
        if all(each.state.over for each in members):
            raise self.fail(500, "GROUP_NOT_ACTIVE")
        for each in members:
            each.halt("", again=verb == "restart")
        self.set_status(202 if verb == "restart" else 200)
        self.finish({"message": f"{operation or group}: {verb}"})


class Endpoints(NodeHandler):
    def get(self, job: str) -> None:
        """Say where the job's services are."""
        urls = self.owned(job).endpoints()
        if not urls:
            raise self.fail(400, "the job exposes nothing")
        online = any(each["status"] == "ONLINE" for each in urls.values())
        self.finish({"urls": urls, "status": "ONLINE" if online else "OFFLINE"})


class Stats(NodeHandler):
    async def get(self, job: str) -> None:
        """Say what the job's operations take of the machine, now."""
        flow = self.owned(job)
        found = await usage(flow.record, self.node.agent.executor)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(found))


class StopJob(NodeHandler):
    def post(self, job: str) -> None:
        """End the job as if its time were over."""
        flow = self.owned(job)
        if not flow.works:
            raise self.fail(400, "the job does not run")
        flow.stop("expired")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("Job stopping")


class JobInfo(NodeHandler):
    async def get(self, job: str) -> None:
        """Follow the job's state as server-sent events, until it ends."""
        flow = self.owned(job)
        with self.node.followers.one_more(job):
            self.set_header("Content-Type", "text/event-stream")
            self.set_header("Cache-Control", "no-cache")
            try:
                await self._follow(flow)
            except tornado.iostream.StreamClosedError:
                return
            except TimeoutError:
                # Its reader does not read.
                self.request.connection.stream.close()  # type: ignore[union-attr] # it has one

    async def _follow(self, flow: Flow) -> None:
        said = ""
        while True:
            waiting = asyncio.ensure_future(flow.bell.wait())
            now = json.dumps(_job_info(flow))
            if now != said:
                self.write(f"data: {now}\n\n")
                said = now
            else:
                self.write(": keep-alive\n\n")
            try:
                async with asyncio.timeout(UNREAD):
                    await self.flush()
                if flow.done or flow.broken:
                    return
                await asyncio.wait([waiting], timeout=KEEP_ALIVE)
            finally:
                waiting.cancel()


class Root(Socket):
    async def get(self, *arguments: str, **named: str) -> None:
        """Say who this is; or, to a WebSocket, follow a job."""
        if self.request.headers.get("Upgrade", "").lower() == "websocket":
            await super().get(*arguments, **named)
        elif self.request.path == "/":
            self.set_header("Content-Type", "application/json")
            self.finish(json.dumps(self.node.agent.wallet.address))
        else:
            self.set_status(404)
            self.finish({"error": "Not found"})


def application(agent: Agent, machine: Machine) -> tornado.web.Application:
    """Return the node API of a host."""
    common = {"node": Node(agent=agent, machine=machine, began=time.monotonic())}
    job = r"/job/(\w{32,44})"
    name = r"([^/ ]+)"
    verb = r"(stop|restart)"
    routes: list[tuple[str, type[tornado.web.RequestHandler]]] = [
        (r"/node/info", Info),
        (rf"{job}/info", JobInfo),
        (rf"{job}/job-definition", JobDefinition),
        (rf"{job}/results", Results),
        (rf"{job}/ops", Operations),
        (rf"{job}/ops/{name}", Operations),
        (rf"{job}/group/{name}", Group),
        (rf"{job}/group/{name}/(?:operation/{name}/)?{verb}", Control),
        (rf"{job}/endpoints", Endpoints),
        (rf"{job}/stats", Stats),
        (rf"{job}/stop", StopJob),
        (r"/.*", Root),
    ]
    return tornado.web.Application(
        [(pattern, handler, common) for pattern, handler in routes],
        websocket_ping_interval=30,
        websocket_max_message_size=LARGEST_BODY,
        log_function=_quiet,
    )


def _job_info(flow: Flow) -> dict[str, Any]:
    told = flow.record.told()
    for state in told["opStates"]:
        del state["logs"], state["providerId"]
    states = flow.record.states
    urls = flow.endpoints()
    private = any(service.private for service in flow.record.services)
    current = _current(states)
    return {
        **told,
        "status": flow.record.status,
        # A client takes the end for the end of the stream: a result may still be waiting.
        "endTime": told["endTime"] if flow.done else None,
        "secrets": {"urlmode": "private" if private else "public", flow.job: urls},
        "operations": {
            "all": _statuses(states),
            "currentGroup": current,
            "currentGroupStatus": _statuses([each for each in states if each.group == current]),
        }
        if states
        else None,
    }


def _statuses(states: list[OpState]) -> dict[str, str]:
    """Return the status of operations in the words that the API has for live ones."""
    words = {"success": "finished"}
    return {each.operation_id: words.get(each.status, each.status) for each in states}


def _current(states: list[OpState]) -> str:
    live = [each.group for each in states if not each.over]
    return live[0] if live else (states[-1].group if states else "")


def _sentence(text: str) -> str:
    """Return a text as the reason of an answer, which is one line of latin letters."""
    return " ".join(text.split()).encode("ascii", "replace").decode()[:300]


_quiet: Callable[[tornado.web.RequestHandler], None] = lambda _: None  # noqa: E731 - says nothing
