"""A sealed line that resumes, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from nosana_jupyter.errors import HostFailed, RemoteProtocolError
from nosana_jupyter.line.link import Link
from nosana_jupyter.wire import seal
from nosana_jupyter.wire.messages import Execute, Hello, Reply, Stream
from nosana_jupyter.wire.session import Role, Session

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
    """The runner's end of a line: answers, keeps a session, and can be cut off."""

    def __init__(self, client: bytes, *, token: bytes = TOKEN) -> None:
        self.key = seal.Key()
        self.client = client
        self.token = token
        self.session = Session(Role.RUNNER)
        self.session.send(HELLO)
        self.line: ServerConnection | None = None
        self.got: list[object] = []
        self._heard = asyncio.Event()

    async def handle(self, line: ServerConnection) -> None:
        """Serve one connection."""
        with contextlib.suppress(ConnectionClosed, RemoteProtocolError):
            opening = seal.decode_opening(await line.recv(decode=False))
            assert isinstance(opening, seal.Knock)
            answer = seal.answer(self.key)
            await line.send(seal.encode_opening(answer))
            channel = seal.channel(
                "runner",
                self.key,
                self.client,
                opening=opening,
                reply=answer,
                token=self.token,
                job=JOB,
            )
            self.line = line
            await line.send(channel.seal(self.session.acknowledge()))
            first = channel.open(await line.recv(decode=False))
            self.session.receive(first)
            self.session.reconnect()
            writer = asyncio.create_task(self._write(line, channel))
            try:
                async for data in line:
                    message = self.session.receive(channel.open(bytes(data)))
                    if message is not None:
                        self.got.append(message)
                        self._heard.set()
            finally:
                writer.cancel()

    async def _write(self, line: ServerConnection, channel: seal.Channel) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                frame = self.session.frame()
                if frame is None:
                    await asyncio.sleep(0.005)
                else:
                    await line.send(channel.seal(frame))

    async def heard(self) -> None:
        """Wait until the client has said something."""
        await asyncio.wait_for(self._heard.wait(), 10)

    async def cut(self) -> None:
        """Break the connection without a word."""
        assert self.line is not None
        self.line.transport.abort()


@asynccontextmanager
async def listening(peer: Peer, port: int = 0) -> AsyncIterator[tuple[Server, str]]:
    """Listen on loopback; give the address."""
    async with serve(peer.handle, "127.0.0.1", port, max_size=None) as server:
        number = next(iter(server.sockets)).getsockname()[1]
        yield server, f"ws://127.0.0.1:{number}/"


EXECUTE = Execute(code="1", count=1, header=b"", buffers=0, returns=[])


def test_nothing_is_lost_or_doubled_when_the_line_is_cut() -> None:
    """
    Text that streams while the connection breaks again and again arrives once and in order.
    """

    async def scenario() -> list[str]:
        key = seal.Key()
        peer = Peer(key.public)
        async with listening(peer) as (_, url), Link(url, key, TOKEN, JOB) as link:
            assert await link.receive() == HELLO
            await link.send(EXECUTE)
            await peer.heard()
            texts: list[str] = []
            for number in range(60):
                peer.session.send(Stream("stdout", f"{number}\n"))
                if number % 15 == 14:
                    await peer.cut()
            peer.session.send(Reply("ok", 0.0))
            async for message in link.messages():
                if isinstance(message, Reply):
                    break
                assert isinstance(message, Stream)
                texts.append(message.text)
            assert link.connections > 1
            assert peer.got == [EXECUTE]
            return texts

    assert asyncio.run(scenario()) == [f"{number}\n" for number in range(60)]


def test_a_message_sent_while_the_line_is_down_arrives() -> None:
    """
    What the client says into a broken line goes out on the next one.
    """

    async def scenario() -> list[object]:
        key = seal.Key()
        peer = Peer(key.public)
        async with listening(peer) as (_, url), Link(url, key, TOKEN, JOB) as link:
            await link.receive()
            await peer.cut()
            await link.send(EXECUTE)
            await peer.heard()
            return peer.got

    assert asyncio.run(scenario()) == [EXECUTE]


def test_a_runner_that_is_not_ours_is_refused() -> None:
    """
    Whoever answers without the token of the private definition is called out, not talked to.
    """

    async def scenario() -> None:
        key = seal.Key()
        peer = Peer(key.public, token=b"x" * 32)
        async with listening(peer) as (_, url), Link(url, key, TOKEN, JOB) as link:
            await link.receive()

    with pytest.raises(RemoteProtocolError, match="does not open"):
        asyncio.run(scenario())


def test_silence_ends_the_patience() -> None:
    """
    A host that nobody hears from is given up after the patience, and not before.
    """

    async def scenario() -> None:
        async with Link("ws://127.0.0.1:9/", seal.Key(), TOKEN, JOB, first=0.3) as link:
            await link.receive()

    with pytest.raises(HostFailed, match="has not answered"):
        asyncio.run(scenario())


def test_a_cut_line_is_no_dead_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where something speaks for a runner, it is sought beyond the patience, and that is told.
    """

    monkeypatch.setattr("nosana_jupyter.line.patience.NOTICE", 0.6)

    async def scenario() -> float:
        began = time.monotonic()
        link = Link("ws://nowhere.invalid/", seal.Key(), TOKEN, JOB, patience=0.1)
        told: list[str] = []
        link.patience.tell = told.append
        link.patience.hopes = lambda: "" if told else "its host says that it runs"
        link.patience.met()
        async with link:
            with pytest.raises(HostFailed, match="has not answered"):
                await link.receive()
        assert told[0] == "the line to the runner is down: its host says that it runs"
        return time.monotonic() - began

    assert asyncio.run(scenario()) > 0.6


def test_goodbye_waits_until_it_is_heard() -> None:
    """
    When `goodbye` returns, the runner knows.
    """

    async def scenario() -> str:
        key = seal.Key()
        peer = Peer(key.public)
        async with listening(peer) as (_, url), Link(url, key, TOKEN, JOB) as link:
            await link.receive()
            await link.goodbye()
            return peer.session.state.value

    assert asyncio.run(scenario()) == "closed"
