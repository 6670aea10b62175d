"""A real runner in a subprocess, started as a job's definition says, and a small client for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from websockets.sync.client import ClientConnection, connect

from nosana_jupyter.wire import launch, seal, values
from nosana_jupyter.wire.chunks import Assembly, split
from nosana_jupyter.wire.definition import RunOperation
from nosana_jupyter.wire.envelope import FRAME
from nosana_jupyter.wire.messages import (
    AnyMessage,
    Chunk,
    Early,
    Error,
    Execute,
    Gauge,
    Handle,
    Hello,
    Keeps,
    Reply,
    Stream,
)
from nosana_jupyter.wire.session import Role, Session

PATIENCE = 30.0


@dataclass
class Ran:
    """What a cell said."""

    said: list[AnyMessage] = field(default_factory=list)
    status: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    early: dict[str, Any] = field(default_factory=dict)
    """Those that came before the reply."""

    handles: dict[str, Handle] = field(default_factory=dict)
    reply: Reply | None = None

    def text(self, name: str = "stdout") -> str:
        return "".join(m.text for m in self.said if isinstance(m, Stream) and m.name == name)

    def of(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.said if isinstance(message, kind)]

    @property
    def traceback(self) -> str:
        return plain("\n".join(self.of(Error)[0].traceback))


def plain(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


class Client:
    """A client that does one thing at a time."""

    def __init__(self, port: int, key: seal.Key, token: bytes, job: str) -> None:
        self.port, self.key, self.token, self.job = port, key, token, job
        self.name = os.urandom(16)
        self.session = Session(Role.CLIENT)
        self.incoming = Assembly(limit=1 << 32)
        self.line: ClientConnection | None = None
        self.open = ExitStack()
        self.acknowledging = True
        self.gauges: list[Gauge] = []
        """What the machine did while cells ran."""

        self.keeps: list[Keeps] = []
        """What later jobs find there."""

    def connect(self) -> None:
        url = f"ws://127.0.0.1:{self.port}/"
        self.line = self.open.enter_context(
            connect(url, max_size=FRAME, compression=None, ping_interval=None, close_timeout=1)
        )
        opening = seal.knock(self.name)
        self.line.send(seal.encode_opening(opening))
        reply = seal.decode_opening(self.line.recv(PATIENCE, decode=False))
        self.channel = seal.channel(
            "client", self.key, reply.public,
            opening=opening, reply=reply, token=self.token, job=self.job,
        )  # fmt: skip
        self.session.reconnect()
        self.line.send(self.channel.seal(self.session.acknowledge()))
        self.flush()

    def cut(self) -> None:
        """Lose the line as networks do: without a word."""
        self.line.socket.shutdown(socket.SHUT_RDWR)
        self.line.socket.close()

    def flush(self) -> None:
        while (frame := self.session.frame()) is not None:
            self.line.send(self.channel.seal(frame))

    def say(self, message: AnyMessage) -> None:
        self.session.send(message)
        self.flush()

    def hear(self, timeout: float = PATIENCE) -> AnyMessage:
        deadline = time.monotonic() + timeout
        while True:
            data = self.line.recv(max(0.0, deadline - time.monotonic()), decode=False)
            message = self.session.receive(self.channel.open(data))
            if self.acknowledging and self.session.owes >= 8:
                self.line.send(self.channel.seal(self.session.acknowledge()))
            if isinstance(message, Gauge):
                self.gauges.append(message)
            elif isinstance(message, Keeps):
                self.keeps.append(message)
            elif message is not None:
                return message

    def start(self, code: str, names: Mapping[str, Any] | None = None, **options: Any) -> None:
        buffers: list[Any] = []
        header = cloudpickle.dumps(
            dict(names or {}), protocol=5, buffer_callback=lambda b: buffers.append(b.raw())
        )
        for chunk in split(buffers):
            self.say(chunk)
        filled = {"count": 1, "returns": []} | options
        self.say(Execute(code=code, header=header, buffers=len(buffers), **filled))

    def finish(self, ran: Ran | None = None, timeout: float = PATIENCE) -> Ran:
        ran = ran or Ran()
        while True:
            message = self.hear(timeout)
            if isinstance(message, Chunk):
                self.incoming.add(message)
            elif isinstance(message, Early):
                # The client under test takes them one by one: see `test_conversation`.
                parts = self.incoming.take(sum(each.buffers for each in message.values.values()))
                for name, each in message.values.items():
                    own, parts = parts[: each.buffers], parts[each.buffers :]
                    ran.early[name] = values.unpacked(each.tree, own)
                ran.said.append(message)
            elif isinstance(message, Reply):
                parts = self.incoming.take(message.buffers)
                ran.values = {
                    name: values.decode(tree, parts)
                    for name, tree in message.values.items()
                    if type(tree) is not list or tree[0] != "same"
                }
                ran.status, ran.handles, ran.reply = message.status, message.handles, message
                return ran
            else:
                ran.said.append(message)

    def run(self, code: str, names: Mapping[str, Any] | None = None, **options: Any) -> Ran:
        self.start(code, names, **options)
        return self.finish()

    def hear_until(self, done: Callable[[Ran], bool]) -> Ran:
        """Hear outputs until they say what is waited for."""
        ran = Ran()
        while not done(ran):
            ran.said.append(self.hear())
        return ran


class Process:
    """The runner's process."""

    def __init__(self, folder: Path, python: str = sys.executable, **environment: str) -> None:
        self.key = seal.Key()
        self.token = os.urandom(32)
        self.job = "J0b" + os.urandom(4).hex()
        self.clients: list[Client] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        definition = launch.cell_definition(
            image="python:3.11", client_key=self.key.public, token=self.token
        )
        operation = definition.ops[0]
        assert isinstance(operation, RunOperation)
        command = operation.args.cmd
        assert isinstance(command, list)
        self.log = folder / "runner.log"
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [python, *command],
                env=inherited
                | (operation.args.env or {})
                | {
                    launch.JOB: self.job,
                    launch.port_variable(launch.PORT): str(self.port),
                    launch.NOT_ISOLATED: "1",
                    launch.CACHE: str(folder / "cache"),
                    "TMPDIR": str(folder),
                    "IPYTHONDIR": str(folder / "nobody"),
                }
                | environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def client(self) -> Client:
        self.clients.append(Client(self.port, self.key, self.token, self.job))
        return self.clients[-1]

    def wait_listening(self) -> float:
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            assert self.process.poll() is None, self.log.read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return time.monotonic() - began
            time.sleep(0.01)
        raise AssertionError("the runner does not listen")

    def connected(self) -> Client:
        self.wait_listening()
        client = self.client()
        client.connect()
        hello = client.hear()
        assert isinstance(hello, Hello)
        client.hello = hello
        return client

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        # A line left open keeps a thread, and threads disturb the tests that follow.
        for client in self.clients:
            client.open.close()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    runner = Process(tmp_path)
    yield runner
    runner.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One runner for the cells of a whole module: a session of many cells."""
    runner = Process(tmp_path_factory.mktemp("runner"))
    yield runner
    runner.stop()


@pytest.fixture(scope="module")
def client(shared: Process) -> Iterator[Client]:
    client = shared.connected()
    with client.open:
        yield client


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start runners with an environment of the test's own."""
    started: list[Process] = []

    def make(**environment: str) -> Process:
        started.append(Process(tmp_path, **environment))
        return started[-1]

    yield make
    for runner in started:
        runner.stop()
