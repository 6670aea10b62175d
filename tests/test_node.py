"""The client of a host's API against hosts that refuse, vanish, stall, lie and talk nonsense."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from solders.keypair import Keypair
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket

from nosana_jupyter import node as node_module
from nosana_jupyter.chain import authorization
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import NodeError
from nosana_jupyter.network import MAINNET, Network
from nosana_jupyter.node import Node

WALLET = Wallet(Keypair())
HOST = str(Keypair().pubkey())
JOB = str(Keypair().pubkey())
WORK = {"version": "0.1", "type": "container", "ops": []}

QUIET = logging.getLogger("a stranger's own")
QUIET.disabled = True


async def sign(message: str) -> str:
    """Sign as the job's project."""
    return authorization.authorize(WALLET, message)


Answer = bytes | None
"""Raw bytes of an answer; nothing hangs up without one."""


def http(status: int, body: bytes | str = b"", *, more: str = "") -> bytes:
    """Return an answer."""
    content = body.encode() if isinstance(body, str) else body
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n{more}\r\n"
    )
    return head.encode() + content


class Stranger:
    """A host that answers as it is told, to each request the next, and the last for ever."""

    def __init__(self, *answers: Answer | Callable[[bytes], Answer]) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.port = 0
        self._open: set[asyncio.Task[None]] = set()

    @property
    def network(self) -> Network:
        return msgspec.structs.replace(MAINNET, tunnel=f"http://127.0.0.1:{self.port}/{{id}}")

    @property
    def node(self) -> Node:
        return Node(self.network, HOST, sign, JOB)

    @property
    def headers(self) -> list[str]:
        """The authorizations that it was sent."""
        lines = [line for each in self.requests for line in each.split(b"\r\n")]
        return [
            line.decode().partition(": ")[2]
            for line in lines
            if line.lower().startswith(b"authorization:")
        ]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            request = head + await reader.readexactly(length)
            self.requests.append(request)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            content = answer(request) if callable(answer) else answer
            if content:
                writer.write(content)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._open.discard(task)


@asynccontextmanager
async def stranger(*answers: Answer | Callable[[bytes], Answer]) -> AsyncIterator[Stranger]:
    """Serve on loopback."""
    host = Stranger(*answers)
    server = await asyncio.start_server(host.handle, "127.0.0.1", 0, limit=1 << 24)
    host.port = server.sockets[0].getsockname()[1]
    try:
        yield host
    finally:
        server.close()
        while host._open:
            for task in list(host._open):
                task.cancel()
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)


def run(story: Callable[[], Awaitable[None]], *, within: float = 20) -> None:
    """Run a story in a loop of its own."""

    async def whole() -> None:
        await asyncio.wait_for(story(), within)

    asyncio.run(whole())


async def drain(
    stream: AsyncIterator[dict[str, Any]], into: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Read a stream to its end; return all of it."""
    found = [] if into is None else into
    async for each in stream:
        assert isinstance(each, dict)
        found.append(each)
    return found


async def outcome(asked: Awaitable[Any]) -> Any:
    """Return what was answered, which is plain data, or our own error, which is short."""
    try:
        found = await asked
    except NodeError as error:
        found = error
    assert isinstance(found, dict | list | NodeError | None)
    if isinstance(found, NodeError):
        assert 0 < len(str(found)) < 400
    return found


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def told(error: BaseException) -> str:
    """Return all that a user could see of an error, with its causes."""
    lines = traceback.format_exception(error)
    rendered = error._render_traceback_() if isinstance(error, NodeError) else []
    return "\n".join([*lines, *rendered, repr(error), str(vars(error))])


def test_each_request_names_the_job_and_when() -> None:
    """An authorization is over the job, and carries a time."""

    async def story() -> None:
        async with stranger(http(200, "{}")) as host:
            assert await host.node.operations() == {}
            await host.node.stop()
            await host.node.deliver(WORK)
        paths = [each.split(b" ")[:2] for each in host.requests]
        assert paths == [
            [b"GET", f"/{HOST}/job/{JOB}/ops".encode()],
            [b"POST", f"/{HOST}/job/{JOB}/stop".encode()],
            [b"POST", f"/{HOST}/job/{JOB}/job-definition".encode()],
        ]
        assert json.loads(host.requests[2].partition(b"\r\n\r\n")[2]) == WORK
        assert len(host.headers) == 3
        for header in host.headers:
            assert authorization.check(header, WALLET.address, expected=JOB, expiry=10)
            assert header.count(":") == 2

    run(story)


def test_a_delivery_is_tried_until_the_host_is_there() -> None:
    """Not found, not waiting yet, hung up, broken: each passes."""

    async def story() -> None:
        nothing = http(400, '{"error": "not waiting"}')
        answers = [http(404, "no"), None, b"garbage\r\n\r\n", http(502), nothing, nothing]
        async with stranger(*answers, http(200, "ok")) as host:
            await host.node.deliver(WORK)
        assert len(host.requests) == 7

    run(story)


def test_a_delivery_whose_answer_was_lost_is_not_refused() -> None:
    """The host has it: a second attempt is refused, and that is a success."""

    async def story() -> None:
        async with stranger(None, http(400, "not waiting"), http(200, json.dumps(WORK))) as host:
            await host.node.deliver(WORK)
        methods = [each.split(b" ")[0] for each in host.requests]
        assert methods == [b"POST", b"POST", b"GET"]

    run(story)


def test_a_host_that_runs_something_else_is_an_error_at_once() -> None:
    """A definition that is not ours is not taken for ours."""

    async def story() -> None:
        async with stranger(http(400), http(200, '{"version": "x"}')) as host:
            with pytest.raises(NodeError, match="another definition"):
                await host.node.deliver(WORK)

    run(story)


@pytest.mark.parametrize("status", [413, 422])
def test_a_refusal_that_is_final_ends_the_delivery(status: int) -> None:
    """What no further attempt changes is not attempted further."""

    async def story() -> None:
        async with stranger(http(status, '{"error": "too large"}')) as host:
            with pytest.raises(NodeError) as caught:
                await host.node.deliver(WORK)
        assert (caught.value.status, len(host.requests)) == (status, 1)
        assert "too large" in str(caught.value)

    run(story)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_not_believed_at_once(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that has not seen the job yet refuses: after a while it is believed."""
    monkeypatch.setattr(node_module, "STUBBORN", 0.3)

    async def story() -> None:
        async with stranger(http(status), http(status), http(200)) as host:
            await host.node.deliver(WORK)
        async with stranger(http(status)) as host:
            began = time.monotonic()
            with pytest.raises(NodeError):
                await host.node.deliver(WORK)
            assert 0.3 <= time.monotonic() - began < 3
        assert len(host.requests) > 2

    run(story)


PAGE = "<html><title>404 Not Found</title>The tunnel of this node is closed</html>"


@pytest.mark.parametrize("status", [404, 500, 502, 503])
def test_a_tunnel_is_not_its_host(status: int) -> None:
    """Whatever a tunnel answers: a host that says nothing itself is given up, and no page shown."""

    async def story() -> None:
        async with stranger(http(status, PAGE)) as host:
            began = time.monotonic()
            with pytest.raises(NodeError) as caught:
                await host.node.deliver(WORK, silence=0.4)
            assert 0.4 <= time.monotonic() - began < 3
        assert str(caught.value) == (
            f"node {HOST} has not answered for 0.4 s; a tunnel in its place answers {status}"
        )

    run(story)


def test_a_host_that_speaks_is_not_silent() -> None:
    """A host that asks for patience has it, however long the tunnel needed before."""

    async def story() -> None:
        began = time.monotonic()

        def patience(_: bytes) -> bytes:
            done = time.monotonic() - began > 1.5
            return http(200) if done else http(400, '{"error": "not waiting"}')

        async with stranger(http(502, PAGE), http(404, PAGE), patience) as host:
            await host.node.deliver(WORK, silence=0.8)

    run(story)


IDENT = "Xy9" * 15


@pytest.mark.parametrize(
    ("urls", "found"),
    [
        ({IDENT: {"opID": "runner", "port": 8765, "url": "http://169.254.169.254/"}}, IDENT),
        ({IDENT: {"port": 80}, IDENT[::-1]: {"port": 8765}}, IDENT[::-1]),
        ({"../../evil": {"port": 8765}}, None),
        ({"evil.example/" + IDENT: {"port": 8765}}, None),
        ({IDENT: {"port": "8765"}}, None),
        ({IDENT: 8765}, None),
        ([IDENT], None),
        (None, None),
    ],
)
def test_the_name_of_a_private_service(urls: Any, found: str | None) -> None:
    """Only the host knows it; it is a name, and never an address that leads elsewhere."""

    async def story() -> None:
        nothing = http(400, '{"error": "nothing exposed"}')
        async with stranger(
            nothing, http(502, PAGE), http(200, json.dumps({"urls": urls}))
        ) as host:
            assert await host.node.service(8765, within=0.5) == found

    run(story)


def test_a_host_that_is_not_there_is_given_up(unused_port: int) -> None:
    """Nobody listens: an error with a hint, and not before the time that was given."""
    network = msgspec.structs.replace(MAINNET, tunnel=f"http://127.0.0.1:{unused_port}/{{id}}")
    node = Node(network, HOST, sign, JOB)

    async def story() -> None:
        began = time.monotonic()
        with pytest.raises(NodeError) as caught:
            await node.deliver(WORK, within=0.4)
        assert time.monotonic() - began >= 0.4
        assert caught.value.status == 0
        assert caught.value.hint
        for ask in (node.results, node.definition, node.endpoints, node.operations, node.stop):
            with pytest.raises(NodeError, match="does not answer"):
                await ask()
        for stream in (node.info(), node.logs()):
            with pytest.raises(NodeError, match="does not answer"):
                await drain(stream)

    run(story)


def test_a_proxy_of_the_environment_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    """A host of this machine is asked directly: no proxy leads to loopback."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "ws_proxy", "WS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def story() -> None:
        async with stranger(http(200, '{"a": "running"}')) as host:
            assert await host.node.operations() == {"a": "running"}

        async def greet(line: ServerConnection) -> None:
            await line.recv()
            await line.send('{"path": "flog", "data": "{}"}')

        async with follow(greet) as node:
            assert [each async for each in node.logs()] == [{}]

    run(story)


def _unused(_: bytes) -> Answer:
    raise AssertionError


def test_redirects_are_not_followed() -> None:
    """A host cannot send us, or our authorization, elsewhere."""

    async def story() -> None:
        async with (
            stranger(_unused) as other,
            stranger(http(307, more=f"Location: http://127.0.0.1:{other.port}/x\r\n")) as host,
        ):
            with pytest.raises(NodeError) as caught:
                await host.node.results()
            for stream in (host.node.info(), host.node.logs()):
                with pytest.raises(NodeError):
                    await drain(stream)
        assert caught.value.status == 307
        assert other.requests == []

    run(story)


def test_an_answer_without_an_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host cannot fill our memory: not with an answer, not packed, not with an event."""
    import gzip

    monkeypatch.setattr(node_module, "LARGEST", 1 << 20)
    monkeypatch.setattr(node_module, "LONGEST", 1 << 20)
    big = http(200, b'"' + b"x" * (3 << 20) + b'"')
    bomb = http(200, gzip.compress(b" " * (64 << 20)), more="Content-Encoding: gzip\r\n")

    async def story() -> None:
        for answer in (big, bomb):
            async with stranger(answer) as host:
                with pytest.raises(NodeError, match="nobody can read"):
                    await host.node.results()
        async with stranger(http(200, b"data: " + b"x" * (3 << 20))) as host:
            with pytest.raises(NodeError, match="nobody can read"):
                await drain(host.node.info())

        async def shout(line: ServerConnection) -> None:
            await line.recv()
            await line.send(json.dumps({"data": "x" * (3 << 20)}))
            await line.wait_closed()

        async with follow(shout) as node:
            with pytest.raises(NodeError):
                await drain(node.logs())

    run(story)


ECHOES = ["{header}", '{{"error": "{header}"}}', "a {signature} b", "\x1b[31m{header}\x07\n" * 40]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status", [400, 401, 422, 500])
def test_no_secret_is_in_any_error_or_log(
    status: int, echo: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Even a host that says our authorization back does not get it shown."""
    caplog.set_level(logging.DEBUG)

    def answer(request: bytes) -> bytes:
        header = next(
            line.decode().partition(": ")[2]
            for line in request.split(b"\r\n")
            if line.lower().startswith(b"authorization:")
        )
        return http(status, echo.format(header=header, signature=header.split(":")[1]))

    async def greet(line: ServerConnection) -> None:
        header = json.loads(await line.recv())["header"]
        seen.append(header)
        await line.close(3000, echo.format(header=header, signature=header.split(":")[1])[:123])

    seen: list[str] = []
    shown: list[str] = []

    async def story() -> None:
        async with stranger(answer) as host:
            node = host.node
            for ask in (
                node.results,
                node.endpoints,
                node.stop,
                lambda: node.deliver(WORK, within=0),
            ):
                with pytest.raises(NodeError) as caught:
                    await ask()
                shown.append(told(caught.value))
                assert caught.value.status == status
                assert all(c.isprintable() for c in str(caught.value))
            seen.extend(host.headers)
        async with follow(greet) as node:
            with pytest.raises(NodeError) as caught:
                await drain(node.logs())
            shown.append(told(caught.value))

    run(story)
    everything = "\n".join([*shown, caplog.text, repr(WALLET)])
    assert len(seen) >= 5
    for header in seen:
        assert header not in everything
        assert header.split(":")[1] not in everything
        assert header.split(":")[1][:30] not in everything
    assert str(list(bytes(WALLET.keypair)))[1:-1] not in everything


@asynccontextmanager
async def follow(
    handler: Callable[[ServerConnection], Awaitable[None]],
) -> AsyncIterator[Node]:
    """Serve a WebSocket; yield the client of that host."""
    async with serve_websocket(handler, "127.0.0.1", 0, logger=QUIET) as server:
        host = Stranger()
        host.port = next(iter(server.sockets)).getsockname()[1]
        yield host.node


def test_logs_are_read_in_both_forms() -> None:
    """Data comes as JSON in a text, and from some hosts as it is."""

    async def speak(line: ServerConnection) -> None:
        asked = json.loads(await line.recv())
        assert (asked["path"], asked["body"]) == ("/flog", {"jobAddress": JOB})
        assert authorization.check(asked["header"], WALLET.address, expected=JOB)
        await line.send(json.dumps({"path": "flog", "data": json.dumps({"message": "a"})}))
        await line.send(json.dumps({"path": "flog", "data": {"message": "b"}}))

    async def story() -> None:
        async with follow(speak) as node:
            assert [each["message"] async for each in node.logs()] == ["a", "b"]

    run(story)


@pytest.mark.parametrize(("code", "status"), [(3000, 3000), (1008, 1008), (1011, 1011)])
def test_a_line_that_is_closed_says_why(code: int, status: int) -> None:
    """The close code of a real node is the status of the error."""

    async def refuse(line: ServerConnection) -> None:
        await line.recv()
        await line.close(code, "Unauthorized")

    async def story() -> None:
        async with follow(refuse) as node:
            with pytest.raises(NodeError, match="Unauthorized") as caught:
                await drain(node.logs())
            assert caught.value.status == status

    run(story)


def test_a_line_that_breaks_is_not_an_end() -> None:
    """A host that dies in the middle of a stream is an error, and what came is kept."""

    async def die(line: ServerConnection) -> None:
        await line.recv()
        await line.send('{"data": "{}"}')
        line.transport.abort()

    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def story() -> None:
        found: list[Any] = []
        async with follow(die) as node:
            with pytest.raises(NodeError, match="does not answer"):
                await drain(node.logs(), found)
        async with stranger(chunked + b"b\r\ndata: {}\n\n\n\r\n") as host:
            with pytest.raises(NodeError, match="does not answer"):
                await drain(host.node.info(), found)
        assert found == [{}, {}]

    run(story)


def test_events_are_read_between_signs_of_life() -> None:
    """Comments and names of events are passed over, whatever the line ends."""
    body = ': keep-alive\n\ndata: {"status": "a"}\n\n'
    body += 'event: flow:updated\r\ndata:{"status": "b"}\r\n\r\n'

    async def story() -> None:
        async with stranger(http(200, body)) as host:
            assert [each["status"] async for each in host.node.info()] == ["a", "b"]

    run(story)


near_json = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from(
        [
            b"", b"null", b"[]", b"5", b'"x"', b"\xff", b"[" * 50_000, b'{"a":' * 50_000,
            b"9" * 5000, b'{"data": ' + b"9" * 5000 + b"}", b'{"data": 5}', b'{"data": null}',
            b'{"data": "["}', b'{"data": "[]"}', b'{"error": {"a": []}}', b'{"error": null}',
            b"NaN",
        ]
    ),
)  # fmt: skip
fuzzed = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@fuzzed
@given(body=near_json, status=st.sampled_from([200, 200, 200, 204, 302, 400, 401, 404, 500, 999]))
def test_garbage_is_data_or_an_error_of_ours(body: bytes, status: int) -> None:
    """Whatever a host answers, a client gets an object or a `NodeError`, and nothing else."""
    content = b"" if status == 204 else body

    async def story() -> None:
        async with stranger(http(status, content)) as host:
            for ask in (host.node.results, host.node.endpoints):
                found = await outcome(ask())
                assert isinstance(found, NodeError) or status == 200
            taken = await outcome(host.node.deliver(WORK, within=0))
            assert (taken is None) == (status < 300)
        async with stranger(http(200, b"data:" + body + b"\n\n")) as host:
            await outcome(drain(host.node.info()))

    run(story)


@fuzzed
@given(raw=st.binary(max_size=300) | near_json)
def test_what_is_no_http_is_an_error_of_ours(raw: bytes) -> None:
    """Bytes that are no answer at all, and heads that are broken."""

    async def story() -> None:
        for answer in (
            raw,
            b"HTTP/1.1 200 OK\r\n" + raw,
            b"HTTP/1.1 200 OK\r\nX: " + raw + b"\r\n\r\n",
        ):
            async with stranger(answer) as host:
                await outcome(host.node.endpoints())

    run(story)


@settings(max_examples=60, deadline=None)
@given(frames=st.lists(near_json, max_size=3), text=st.booleans())
def test_garbage_on_a_line_is_data_or_an_error_of_ours(frames: list[bytes], text: bool) -> None:
    """The same for what comes by WebSocket."""

    async def speak(line: ServerConnection) -> None:
        await line.recv()
        for frame in frames:
            await line.send(frame.decode(errors="replace") if text else frame)

    async def story() -> None:
        async with follow(speak) as node:
            await outcome(drain(node.logs()))

    run(story)
