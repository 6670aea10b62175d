"""Hosts whose own API misbehaves, or whose runner does, each job in a manner of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

from strange_runner import Runner, Script, listening
from websockets.asyncio.server import ServerConnection, serve

from nosana_jupyter.wire import launch

PAGE = "<html><body>Not Found: no such tunnel</body></html>"


def answer(status: int, body: str = "{}") -> bytes:
    """Return an answer over HTTP."""
    head = f"HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {len(body.encode())}"
    return f"{head}\r\n\r\n{body}".encode()


@dataclass(kw_only=True)
class Manner:
    """How a host behaves with one job; by default as it should."""

    says: bytes | None = None
    """What it answers to whatever it is asked; nothing leads to its runner."""

    dies: bool = False
    """Whether it does so only once it has the definition."""

    state: dict[str, Any] | None = None
    """How the runner's operation has ended, as it says from then on."""

    flow: dict[str, Any] | None = None
    """What else it says of the job."""

    result: dict[str, Any] | None = None
    """What it gives once as the result; before, and after, there is none."""

    frames: Sequence[tuple[float, dict[str, Any]]] = ()
    """Pauses, and what its log says after each; each line tells all of it from the beginning."""

    quiet: bool = False
    """Whether it says nothing unless it is asked."""

    cuts: int = 0
    """How many lines to its log break after each entry."""

    takes: asyncio.Event | None = None
    """What it waits for before it answers to the definition."""

    opens: asyncio.Event | None = None
    """What its runner waits for before it can be reached."""

    comes: float = 0.0
    """Seconds after the definition at which its runner can be reached."""


class StrangeHost:
    """
    Takes definitions and hands connections to its runner.

    On chain the network's own host takes the jobs. It waits for definitions that come here instead.

    Args:
        script: What its runners do.
        manners: Those of its jobs, in the order in which they come; the last is that of the rest.
    """

    def __init__(self, script: Script, manners: Sequence[Manner]) -> None:
        self.runner = Runner(script)
        self.asked: list[str] = []
        """What was asked: the last parts of paths."""

        self.jobs: dict[str, Manner] = {}
        self.taken: dict[str, float] = {}
        """When definitions came."""

        self.runner_url = self.log_url = ""
        self.port = 0
        self._manners = list(manners)

    @property
    def tunnel(self) -> str:
        return f"http://127.0.0.1:{self.port}/{{id}}"

    def manner(self, job: str) -> Manner:
        """Return how it behaves with a job."""
        if job not in self.jobs:
            more = len(self._manners) > 1
            self.jobs[job] = self._manners.pop(0) if more else self._manners[0]
        return self.jobs[job]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split()[1].decode()
            if b"upgrade: websocket" in head.lower():
                await self._connect(path, head, reader, writer)
                return
            length = re.search(rb"(?i)content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            _, _, _, job, what = path.split("/")[:5]
            self.asked.append(what)
            manner = self.manner(job)
            if what == "job-definition" and manner.takes is not None:
                await manner.takes.wait()
            if manner.says is not None and (not manner.dies or job in self.taken):
                writer.write(manner.says)
            elif what == "info":
                await self._inform(job, manner, writer)
            else:
                writer.write(self._answer(job, manner, what, head.split()[0], body))
            await writer.drain()

    def _answer(self, job: str, manner: Manner, what: str, method: bytes, body: bytes) -> bytes:
        if what == "job-definition" and method == b"POST":
            environment = json.loads(body)["ops"][0]["args"]["env"]
            self.runner.client = bytes.fromhex(environment[launch.CLIENT_KEY])
            self.runner.token = bytes.fromhex(environment[launch.TOKEN])
            self.runner.job = job
            self.runner.connections = self.runner.sent = self.runner.received = 0
            self.taken[job] = time.monotonic()
        if what == "results" and manner.result is not None:
            if job not in self.taken or self.asked.count("results") < 3:
                return answer(400, '{"error": "not yet"}')
            result, manner.result = manner.result, {}
            return answer(200, json.dumps(result)) if result else answer(404)
        return answer(200)

    async def _inform(self, job: str, manner: Manner, writer: asyncio.StreamWriter) -> None:
        """Follow the state of the job: all that a host knows is how the runner ended."""
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        ends = manner.state is not None or manner.flow is not None
        while not ends or job not in self.taken:
            writer.write(b"" if manner.quiet else b": keep-alive\n\n")
            await writer.drain()
            await asyncio.sleep(0.1)
        states = [manner.state] if manner.state else []
        told = json.dumps({"opStates": states, **(manner.flow or {})})
        writer.write(f"data: {told}\n\n".encode())

    async def _connect(
        self, path: str, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        job = next(reversed(self.taken), "")
        manner = self.manner(job) if job else Manner()
        late = time.monotonic() - self.taken.get(job, 0) < manner.comes
        late = late or (manner.opens is not None and not manner.opens.is_set())
        if path.endswith("/flog") and manner.says is None:
            await _pipe(self.log_url, head, reader, writer)
        elif manner.says is not None or late:
            writer.write(answer(404, PAGE))
            await writer.drain()
        else:
            await _pipe(self.runner_url, head, reader, writer)

    async def tell(self, line: ServerConnection) -> None:
        """Serve a log."""
        asked = json.loads(await line.recv())
        manner = self.manner(asked["body"]["jobAddress"])
        for number, (pause, entry) in enumerate(manner.frames):
            await asyncio.sleep(pause)
            told = {"opId": "system", "group": "", "type": "info", "timestamp": number + 1}
            frame = json.dumps({**told, **entry})
            await line.send(json.dumps({"path": "flog", "data": frame}))
            if number < manner.cuts:
                manner.cuts -= 1
                line.transport.abort()
                return
        await line.wait_closed()


async def _pipe(
    url: str, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Join a connection to that of a server of ours."""
    port = int(url.rsplit(":", 1)[1].strip("/"))
    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    inner_writer.write(re.sub(rb"^GET \S+", b"GET /", head))

    async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                target.write(data)
                await target.drain()
        target.close()

    with closing(inner_writer):
        await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))


@asynccontextmanager
async def hosting(script: Script, *manners: Manner) -> AsyncIterator[StrangeHost]:
    """Serve on loopback."""
    host = StrangeHost(script, manners or [Manner()])
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await host.handle(reader, writer)

    async with (
        listening(host.runner) as host.runner_url,
        serve(host.tell, "127.0.0.1", 0, close_timeout=0.2) as logs,
    ):
        host.log_url = f"ws://127.0.0.1:{next(iter(logs.sockets)).getsockname()[1]}/"
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        host.port = server.sockets[0].getsockname()[1]
        try:
            yield host
        finally:
            server.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0.02)  # So that what was closed is gone with this loop.
