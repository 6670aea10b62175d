"""Runners that misbehave, on real sockets: each connection runs a script."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from nosana_jupyter.line.link import Link
from nosana_jupyter.travel.load import Load
from nosana_jupyter.wire import seal
from nosana_jupyter.wire.envelope import Frame, encode, join
from nosana_jupyter.wire.messages import (
    Ack,
    AnyMessage,
    Bye,
    Chunk,
    Execute,
    Have,
    Hello,
    Missing,
    Part,
)
from nosana_jupyter.wire.pieces import bits, count

TOKEN = b"t" * 32
JOB = "JobAddress"
HELLO = Hello(
    version=1,
    python="3.11.7",
    implementation="cpython",
    platform="linux",
    machine="x86_64",
    cloudpickle="3",
    cpus=2,
    memory=8.0,
    disk=8.0,
)


class Peer:
    """A runner's end of one connection: no session holds it to any rule."""

    def __init__(self, runner: Runner, line: ServerConnection) -> None:
        self.runner = runner
        self.line = line
        self.number = runner.connections
        self.channel: seal.Channel | None = None

    async def shake(self) -> None:
        """Shake hands as a good runner does."""
        opening = seal.decode_opening(await self.line.recv(decode=False))
        assert isinstance(opening, seal.Knock)
        answer = seal.answer(self.runner.key)
        await self.line.send(seal.encode_opening(answer))
        self.channel = seal.channel(
            "runner", self.runner.key, self.runner.client,
            opening=opening, reply=answer, token=self.runner.token, job=self.runner.job,
        )  # fmt: skip

    async def frame(self, sequence: int, received: int, message: Any) -> None:
        """Send any frame, sealed."""
        await self.octets(encode(Frame(sequence, received, message)))

    async def octets(self, data: bytes) -> None:
        """Send any bytes, sealed."""
        assert self.channel is not None
        await self.line.send(self.channel.seal(data))

    async def say(self, *messages: AnyMessage) -> None:
        """Send messages in order, whether it is the turn of anybody."""
        for message in messages:
            self.runner.sent += 1
            await self.frame(self.runner.sent, self.runner.received, message)

    async def acknowledge(self) -> None:
        await self.frame(0, self.runner.received, Ack())

    async def hear(self, *, confirm: bool = True) -> AnyMessage:
        """Return the client's next message; confirm it unless told otherwise."""
        assert self.channel is not None
        parts = bytearray()
        while True:
            data = await self.line.recv(decode=False)
            frame = msgspec.msgpack.decode(self.channel.open(data), type=Frame)
            if frame.sequence == 0 or frame.sequence <= self.runner.received:
                continue
            self.runner.received = frame.sequence
            if confirm:
                await self.acknowledge()
            message = frame.message
            if isinstance(message, Part):
                parts += message.data
                if not message.last:
                    continue
                message = join(parts)
            self.runner.heard.append(message)
            return message

    async def hear_cell(self) -> Execute:
        """Take what comes until a cell comes."""
        while True:
            message = await self.hear()
            if isinstance(message, Execute):
                return message
            if isinstance(message, Have):
                whole = sum(count(each.size) for each in message.buffers)
                await self.say(Missing(bits(range(whole), whole)))

    async def stay(self) -> None:
        """Take what comes until the client goes."""
        while not isinstance(await self.hear(), Bye):
            pass


Script = Callable[[Peer], Awaitable[None]]


class Runner:
    """
    What there is of a runner between its connections.

    Args:
        script: What it does on each connection, from before the handshake.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.key = seal.Key()
        self.client = b""
        self.token = TOKEN
        self.job = JOB
        self.connections = 0
        self.sent = self.received = 0
        self.heard: list[AnyMessage] = []

    def chunks(self) -> int:
        """Return how many chunks have come."""
        return sum(isinstance(each, Chunk) for each in self.heard)

    async def handle(self, line: ServerConnection) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionClosed):
            await self.script(Peer(self, line))


def after_hello(script: Script, hello: Hello = HELLO) -> Script:
    """Shake hands and say hello first, on the first connection."""

    async def whole(peer: Peer) -> None:
        await peer.shake()
        if peer.number == 1:
            await peer.say(hello)
        else:
            await peer.acknowledge()
        await script(peer)

    return whole


@asynccontextmanager
async def listening(runner: Runner) -> AsyncIterator[str]:
    """Listen on loopback; give the address."""
    async with serve(
        runner.handle, "127.0.0.1", 0, max_size=None, compression=None, close_timeout=0.2
    ) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"


@asynccontextmanager
async def linked(
    runner: Runner | Script, *, patience: float = 5, room: asyncio.Event | None = None
) -> AsyncIterator[Link]:
    """Give a link to a runner."""
    if not isinstance(runner, Runner):
        runner = Runner(runner)
    key = seal.Key()
    runner.client = key.public
    async with (
        listening(runner) as url,
        Link(url, key, TOKEN, JOB, patience=patience, first=patience, room=room) as link,
    ):
        yield link


def load(code: str = "x = 1", **options: Any) -> Load:
    """Return what goes to a runner for a cell that reads nothing."""
    filled: dict[str, Any] = {
        "count": 1, "header": b"", "buffers": [], "has_code": (), "packages": (), "extras": (),
        "modules": (), "sources": (), "returns": ("x",), "explicit": False, "environment": {},
    }  # fmt: skip
    return Load(code=code, **filled | options)


def run(story: Callable[[], Awaitable[Any]], *, within: float = 20) -> Any:
    """Run a story in a loop of its own; fail if it takes too long."""

    async def whole() -> Any:
        async with asyncio.timeout(within):
            return await story()

    return asyncio.run(whole())
