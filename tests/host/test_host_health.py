"""Health checks against real services of all kinds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
from host_world import awaited, until
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket

from nosana_jupyter.host import health
from nosana_jupyter.wire.definition import HealthCheck

HTTP = {"type": "http", "path": "/health", "method": "GET", "expected_status": 200}


def check(**more: Any) -> HealthCheck:
    """Return a check, by default by HTTP."""
    return msgspec.convert({"continuous": False, **(HTTP | more)}, HealthCheck)


@asynccontextmanager
async def service(
    answer: bytes, *, endless: bool = False
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Serve one answer to everybody; yield the port and what was asked."""
    asked: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            while endless and not writer.is_closing():
                writer.write(b"x" * 1000)
                await writer.drain()
                await asyncio.sleep(0.01)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            closed.set()

    closed = asyncio.Event()
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()
        if asked:
            await closed.wait()
            await asyncio.sleep(0)


async def passes(wanted: HealthCheck, port: int) -> bool:
    async with httpx.AsyncClient(timeout=1, trust_env=False, verify=False) as http:
        return await asyncio.wait_for(health.passes(wanted, port, http), 4)


def says(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("answer", "up"),
    [
        (says("200 OK"), True),
        (says("404 Not Found"), False),
        (says("302 Found\r\nLocation: /other"), False),
        (b"", False),
        (b"SSH-2.0-nonsense\r\n", False),
        (b"\0\xff" * 100, False),
    ],
)
@awaited
async def test_a_service_is_up_when_it_answers_as_it_should(answer: bytes, up: bool) -> None:
    """The status is what counts; what is no HTTP is not up, and no error."""
    async with service(answer) as (port, asked):
        assert await passes(check(), port) is up
        assert asked[0].startswith(b"GET /health HTTP/1.1\r\n")


@awaited
async def test_an_answer_without_an_end_is_an_answer() -> None:
    """A stream at the health path is up as soon as its status is there."""
    async with service(b"HTTP/1.1 200 OK\r\n\r\n", endless=True) as (port, _):
        assert await passes(check(), port)


@awaited
async def test_the_whole_check_is_sent() -> None:
    """Method, path, headers and body are the definition's."""
    wanted = check(
        method="POST", path="v1/ready?x=1", headers={"X-Mine": "1"}, body={"a": 1},
        expected_status=201,
    )  # fmt: skip
    async with service(says("201 Created")) as (port, asked):
        assert await passes(wanted, port)
        assert asked[0].startswith(b"POST /v1/ready?x=1 HTTP/1.1\r\n")
        assert b"X-Mine: 1\r\n" in asked[0]


@pytest.mark.parametrize(
    "wanted",
    [check(headers={"X": "ä€"}), check(headers={"a\nb": "c"}), check(path="/\0"),
     check(path="//[::1")],
    ids=str,
)  # fmt: skip
@awaited
async def test_checks_that_cannot_be_asked_do_not_pass(wanted: HealthCheck) -> None:
    """A definition with an impossible check is a service that never comes up, and no crash."""
    async with service(says("500 No")) as (port, _):
        assert not await passes(wanted, port)


@awaited
async def test_nobody_there_is_not_up(unused_port: int) -> None:
    """A port that nobody listens on is not up, by HTTP and by WebSocket."""
    by_socket = check(type="websocket", expected_response="hi", **dict.fromkeys(list(HTTP)[1:]))

    assert not await passes(check(), unused_port)
    assert not await passes(by_socket, unused_port)


@pytest.mark.parametrize(
    ("says", "up"), [("hello", True), (b"hello", True), ("bye", False), (b"\xff", False)]
)
@awaited
async def test_a_websocket_is_up_when_it_greets(says: str | bytes, up: bool) -> None:
    """The first frame has to be the one that is expected."""
    wanted = check(type="websocket", expected_response="hello", **dict.fromkeys(list(HTTP)[1:]))

    async def greet(line: ServerConnection) -> None:
        await line.send(says)

    async with serve_websocket(greet, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        assert await passes(wanted, port) is up


@awaited
async def test_a_proxy_of_the_environment_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    """Services of this machine are looked at directly."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    told: list[bool] = []
    async with service(says("200 OK")) as (port, _):
        await asyncio.wait_for(health.watch(check(), port, told.append), 5)

    assert told == [True]


@awaited
async def test_a_continuous_check_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that goes down later is seen to."""
    monkeypatch.setattr(health, "AGAIN", 0.05)
    told: list[bool] = []
    async with service(says("200 OK")) as (port, _):
        watching = asyncio.create_task(health.watch(check(continuous=True), port, told.append))
        await until(lambda: told)
    await until(lambda: told[-1] is False)
    watching.cancel()

    assert told[0]
