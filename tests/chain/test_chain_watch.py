"""Watching an account: a subscription makes it faster, and its loss makes nothing wrong."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from chain_vectors import load
from websockets.asyncio.server import ServerConnection, serve

from nosana_jupyter.chain import watch
from nosana_jupyter.network import MAINNET, Network

Talk = Callable[[ServerConnection], Awaitable[None]]
JOB = load("keys")["keys"]["job1"]["public_key"]
NEWS = json.dumps({"jsonrpc": "2.0", "method": "accountNotification", "params": {}})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pause before a subscription is made again."""
    monkeypatch.setattr(watch, "PAUSE", 0.02)


async def looks(network: Network, count: int, *, every: float, address: str = JOB) -> list[float]:
    """Return when an account was looked at, in seconds from the beginning."""
    began, times = time.monotonic(), []
    changes = watch.changes(network, address, every=every)
    async for _ in changes:
        times.append(time.monotonic() - began)
        if len(times) == count:
            break
    await changes.aclose()  # type: ignore[attr-defined]  # it is a generator
    return times


def watched(talk: Talk, count: int, *, every: float, address: str = JOB) -> list[float]:
    """Watch an account over a websocket that behaves as told."""

    async def run() -> list[float]:
        async with serve(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            network = msgspec.structs.replace(MAINNET, websocket=f"ws://127.0.0.1:{port}/key")
            return await looks(network, count, every=every, address=address)

    return asyncio.run(run())


def test_a_notification_is_a_look_at_once() -> None:
    """
    Nobody waits for the next look when the node says that something changed.
    """

    async def talk(line: ServerConnection) -> None:
        await line.recv()
        for _ in range(50):
            await line.send(NEWS)
            await asyncio.sleep(0.01)

    assert watched(talk, 4, every=30)[-1] < 5


@pytest.mark.parametrize("program", [False, True])
def test_a_subscription_is_the_official_request(program: bool) -> None:
    """
    The parameters are the official client's; one account is asked for by its own method.
    """
    heard: list[Any] = []

    async def talk(line: ServerConnection) -> None:
        heard.append(json.loads(await line.recv()))
        await line.send('{"jsonrpc":"2.0","result":1,"id":1}')
        await line.wait_closed()

    (official,) = load("rpc_requests")["calls"]["jobs.monitor (websocket)"]["requests"]
    watched(talk, 2, every=30, address=MAINNET.programs.jobs if program else JOB)
    if program:
        assert {key: heard[0][key] for key in official} == official
    else:
        assert heard[0]["method"] == "accountSubscribe"
        assert heard[0]["params"] == [JOB, official["params"][1]]


async def _refuse(line: ServerConnection) -> None:
    await line.close(1008, "no")


async def _garble(line: ServerConnection) -> None:
    await line.recv()
    await line.send("<html>")
    await line.send(b"\xff\x00")
    line.transport.abort()


async def _error(line: ServerConnection) -> None:
    await line.recv()
    await line.send('{"jsonrpc":"2.0","error":{"code":-32601,"message":"no"},"id":1}')
    await line.wait_closed()


async def _flood(line: ServerConnection) -> None:
    await line.recv()
    await line.send("x" * (watch.LARGEST + 1))
    await line.wait_closed()


async def _mute(line: ServerConnection) -> None:
    await line.wait_closed()


@pytest.mark.parametrize("talk", [_refuse, _garble, _error, _flood, _mute])
def test_looks_go_on_when_a_subscription_fails(talk: Talk) -> None:
    """
    Refused, garbled, flooded or silent: the looks come in time all the same.
    """
    times = watched(talk, 5, every=0.1)

    assert times[0] < 0.1
    assert times[-1] < 3


@pytest.mark.parametrize("websocket", ["ws://127.0.0.1:9", "no address", "http://127.0.0.1:9"])
def test_looks_go_on_without_a_websocket(websocket: str) -> None:
    """
    Where no subscription can be had, looking alone remains.
    """
    network = msgspec.structs.replace(MAINNET, websocket=websocket)

    assert len(asyncio.run(looks(network, 4, every=0.05))) == 4


def test_a_lost_subscription_is_made_again() -> None:
    """
    After the line is lost it is laid anew, and what happened meanwhile is looked for.
    """
    lines = 0

    async def talk(line: ServerConnection) -> None:
        nonlocal lines
        lines += 1
        await line.recv()
        await line.send('{"jsonrpc":"2.0","result":1,"id":1}')
        line.transport.abort()

    times = watched(talk, 5, every=30)

    assert lines >= 4
    assert times[-1] < 10


def test_a_bell_is_a_look_at_once() -> None:
    """
    Who knows better rings.
    """

    async def run() -> float:
        network = msgspec.structs.replace(MAINNET, websocket="ws://127.0.0.1:9")
        bell = asyncio.Event()
        changes = watch.changes(network, JOB, every=30, bell=bell)
        began = time.monotonic()
        await anext(changes)
        bell.set()
        await anext(changes)
        await changes.aclose()  # type: ignore[attr-defined]  # it is a generator
        return time.monotonic() - began

    assert asyncio.run(run()) < 5


def test_the_log_shows_no_key(caplog: pytest.LogCaptureFixture) -> None:
    """
    A subscription that fails is logged by its place.
    """
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", "nosana_jupyter")
    network = msgspec.structs.replace(MAINNET, websocket="ws://127.0.0.1:9/secret-key?k=secret-too")
    asyncio.run(looks(network, 3, every=0.05))

    assert "ws://127.0.0.1:9/…" in caplog.text
    assert "secret" not in caplog.text


def test_no_library_logs_the_key(caplog: pytest.LogCaptureFixture) -> None:
    """
    Over a line that works, not even the most talkative log shows the path of the address.
    """
    caplog.set_level("DEBUG")

    async def talk(line: ServerConnection) -> None:
        await line.recv()
        await line.send(NEWS)
        await line.wait_closed()

    watched(talk, 2, every=30)

    # The server of this test may say what it was asked for.
    ours = [each for each in caplog.records if not each.name.startswith("websockets.server")]
    assert not any("/key" in each.getMessage() for each in ours)
