"""Visitors who want to be too much for a host: it stays small, and works on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
import tracemalloc
from pathlib import Path
from typing import Any

import psutil
import pytest
import tornado.web
from host_world import Document, World, awaited, document, op, read_record, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.host import door, order
from nosana_jupyter.host.captures import capture
from nosana_jupyter.host.literals import MOST, fill
from nosana_jupyter.host.logs import MOST_KEPT, MOST_TOLD, Book

pytestmark = pytest.mark.network

MIB = 1 << 20


def port_of(world: World) -> int:
    return int((world.machine.folder / "port").read_text())


def process_of(world: World) -> psutil.Process:
    assert world.machine.process is not None
    return psutil.Process(world.machine.process.pid)


def resident(world: World) -> int:
    """Return what the host has in memory, in MiB; its highest is counted from here on."""
    pid = process_of(world).pid
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return int(process_of(world).memory_info().rss) // MIB


def highest(world: World) -> int:
    """Return the most that it had in memory since."""
    status = Path(f"/proc/{process_of(world).pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) >> 10


async def knocks(port: int, count: int, first: bytes = b"") -> list[asyncio.StreamWriter]:
    """Open connections that say no more than this; those that were closed at once count too."""
    found = []
    for _ in range(count):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(OSError):
            writer.write(first)
            await writer.drain()
        found.append(writer)
    return found


@awaited
async def test_a_thousand_silent_visitors(world: World) -> None:
    """
    Neither connections that say nothing, nor half a request, take more files than there are for
    visitors; the job that runs goes on, and the next visitor is heard when they have gone.
    """
    job = await world.deliver(document(op("main", "sleep 1; echo done")))
    before, memory = process_of(world).num_fds(), resident(world)
    visitors = await knocks(port_of(world), 500)
    visitors += await knocks(port_of(world), 500, b"POST /job/x/stop HTTP/1.1\r\nHost: 127")

    assert process_of(world).num_fds() - before <= door.MOST_LINES + 20
    assert highest(world) - memory < 64
    await until(lambda: read_record(world.machine, job)["states"][0]["status"] == "success")
    for each in visitors:
        each.close()

    async def heard() -> bool:
        with contextlib.suppress(OSError, ValueError):
            return bool((await world.ask("GET", "/", None)).json() == world.node)
        return False

    await until(heard)
    await world.client(job).results()


@awaited
async def test_the_bodies_of_strangers_are_not_kept(world: World) -> None:
    """
    Whoever may not bring a definition is refused, and not a byte of what he sends stays in memory;
    a thousand refusals are a few lines of the log.
    """
    stranger = await world.stranger(nos=0)
    job = await world.post()
    await until(lambda: (world.machine.flow(job) / "record.json").exists())
    memory, noted = resident(world), len(world.machine.log)
    head = (
        f"POST /job/{job}/job-definition HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000000\r\n"
        f"Authorization: {world.header(job, wallet=stranger)}\r\n\r\n"
    )
    lines = [await asyncio.open_connection("127.0.0.1", port_of(world)) for _ in range(60)]
    for piece in (head.encode(), *[b"x" * 100_000] * 40):
        # All of them at the same time.
        for _, writer in lines:
            writer.write(piece)
        await asyncio.gather(*(writer.drain() for _, writer in lines))
    for reader, writer in lines:
        assert b" 401 " in await asyncio.wait_for(reader.readline(), 20)
        writer.close()

    assert highest(world) - memory < 64
    header = world.header(job, wallet=stranger)
    for _ in range(8):
        asked = [world.ask("GET", f"/job/{job}/ops", header) for _ in range(25)]
        assert {answer.status_code for answer in await asyncio.gather(*asked)} == {401}
    assert len(world.machine.log) - noted < 20_000
    await world.client(job).deliver(document(op("main", "true")), within=10)
    await until(lambda: read_record(world.machine, job)["status"] == "waiting-for-result")
    await world.client(job).results()


@awaited
async def test_a_job_has_so_many_followers(world: World) -> None:
    """More are turned away, and find room when others have gone."""
    job = await world.deliver(document(op("main", "echo x; sleep 60")))
    first = {"path": "/flog", "header": world.header(job), "body": {"jobAddress": job}}
    await until(lambda: read_record(world.machine, job)["states"])

    async def follow() -> ClientConnection:
        address = f"ws://127.0.0.1:{port_of(world)}/flog"
        line = await connect(address, proxy=None, ping_interval=None)
        await line.send(json.dumps(first))
        lines.append(line)
        return line

    lines: list[ClientConnection] = []
    for _ in range(door.MOST_OF_ONE):
        line = await follow()
        assert "flog" in str(await asyncio.wait_for(line.recv(), 10))
    for path in ("/flog", "/log"):
        first["path"] = path
        with pytest.raises(ConnectionClosed) as caught:
            await asyncio.wait_for((await follow()).recv(), 10)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1013
    info = await world.ask("GET", f"/job/{job}/info", world.header(job))
    assert info.status_code == 429
    await asyncio.gather(*(line.close() for line in lines))

    async def room() -> bool:
        with contextlib.suppress(ConnectionClosed):
            return bool(await (await follow()).recv())
        return False

    await until(room)
    await lines[-1].close()
    await world.client(job).stop()


@awaited
async def test_what_is_not_read_is_not_kept_for_each() -> None:
    """
    Of followers who stopped at different moments of a flood, each holds a few lines and no more.
    """
    book = Book()
    tracemalloc.start()
    followers = []
    for _ in range(20):
        for number in range(400):
            book.add("a", "g", "stdout", "x" * (90_000 + number))
        followers.append(book.follow())
        await anext(followers[-1])
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size < 2.5 * MOST_KEPT
    for each in followers:
        await each.aclose()  # type: ignore[attr-defined]


def test_who_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that never ends its request is closed."""
    monkeypatch.setattr(door, "SILENCE", 0.3)

    @awaited
    async def check() -> None:
        server = door.Door(tornado.web.Application())
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            server.add_sockets([listener])
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(b"GET / HTTP/1.1\r\n")
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
            server.stop()

    check()


MANY: dict[str, Document] = {
    "operations": document(*(op(f"o{n}", "true") for n in range(20_000))),
    "ports": document(op("a", "true", expose=list(range(1, 3000)))),
    "health checks": document(
        op("a", "true", expose=[{"port": 1, "health_checks": [
            {"type": "websocket", "continuous": True, "expected_response": "x"}] * 1000}])
    ),
    "volumes": document(op("a", "true", volumes=[{"name": "v", "dest": "/v"}] * 1000)),
    "results": document(op("a", "true", results={f"r{n}": "x" for n in range(1000)})),
    "aliases": document(op("a", "true", aliases=["x"] * 1000)),
}  # fmt: skip


@pytest.mark.parametrize("what", MANY)
def test_definitions_that_ask_for_very_many(what: str) -> None:
    """
    Each thing that costs the host something is counted before it is taken, and that is quick.
    """
    began = time.monotonic()
    with pytest.raises(RemoteProtocolError, match=f"{what}.*; this host takes 64"):
        order.read(MANY[what])

    assert time.monotonic() - began < 2


@pytest.mark.parametrize("depth", [70, 500, 900])
def test_definitions_that_are_deep(depth: int) -> None:
    """
    The body of a check may hold anything, but not so deep that it cannot be written down again.
    """
    body: Any = "x"
    for _ in range(depth):
        body = [body]
    check = {
        "type": "http", "path": "/", "method": "POST", "expected_status": 200, "continuous": False,
        "body": body,
    }  # fmt: skip
    with pytest.raises(RemoteProtocolError, match="nested too deeply"):
        order.read(document(op("a", "true", expose=[{"port": 1, "health_checks": [check]}])))


def test_a_literal_that_is_named_very_often() -> None:
    """
    A long value that a definition names a thousand times is refused, and not written a thousand
    times.
    """
    long = {"global.variables.x": "x" * MIB}
    for text in ("%%global.variables.x%%" * 1000, ["%%global.variables.x%%"] * 1000):
        with pytest.raises(RemoteProtocolError, match="more than 8 MiB"):
            fill(text, long)
    assert len(fill("%%global.variables.x%%" * 7, long)) < MOST


@awaited
async def test_results_that_are_all_of_the_output() -> None:
    """
    Expressions that keep every line, again and again, keep no more than a result holds.
    """
    lines = [("stdout", "x" * 5000)] * 100
    wanted: dict[str, Any] = {f"r{n}": ".+" for n in range(60)}
    found = await capture(wanted, lines)

    assert 0 < len(json.dumps(found)) <= MOST_TOLD
