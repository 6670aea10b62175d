"""A host whose own API is as it should be, and whose runner is not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

from strange_runner import Runner, Script, listening

from nosana_jupyter.wire import launch


class StrangeHost:
    """
    Takes definitions and hands connections to its runner.

    On chain the network's own host takes the jobs. It waits for definitions that come here instead.
    """

    def __init__(self, script: Script, state: dict[str, Any] | None = None) -> None:
        self.runner = Runner(script)
        self.state = state
        """What it says of its runner's operation."""

        self.runner_url = ""
        self.port = 0

    @property
    def tunnel(self) -> str:
        return f"http://127.0.0.1:{self.port}/{{id}}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            if b"upgrade: websocket" in head.lower():
                await self._pipe(head, reader, writer)
            else:
                length = re.search(rb"(?i)content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                await self._answer(head.split()[1].decode(), head.split()[0], body, writer)

    async def _answer(
        self, path: str, method: bytes, body: bytes, writer: asyncio.StreamWriter
    ) -> None:
        _, _, _, job, what = path.split("/")[:5]
        if what == "job-definition" and method == b"POST":
            environment = json.loads(body)["ops"][0]["args"]["env"]
            self.runner.client = bytes.fromhex(environment[launch.CLIENT_KEY])
            self.runner.token = bytes.fromhex(environment[launch.TOKEN])
            self.runner.job = job
        if what == "info":
            told = json.dumps({"opStates": [self.state] if self.state else []})
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            writer.write(f"data: {told}\n\n".encode())
            await writer.drain()
            await asyncio.sleep(20 if self.state is None else 0)
            return
        content = b"{}"
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n" + content)
        await writer.drain()

    async def _pipe(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        port = int(self.runner_url.rsplit(":", 1)[1].strip("/"))
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        first = re.sub(rb"^GET \S+", b"GET /", head)
        inner_writer.write(first)

        async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(1 << 16):
                    target.write(data)
                    await target.drain()
            target.close()

        with closing(inner_writer):
            await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))


@asynccontextmanager
async def hosting(
    script: Script, state: dict[str, Any] | None = None
) -> AsyncIterator[StrangeHost]:
    """Serve on loopback."""
    host = StrangeHost(script, state)
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await host.handle(reader, writer)

    async with listening(host.runner) as url:
        host.runner_url = url
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
