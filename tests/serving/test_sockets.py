"""WebSockets through the address of a service, to a real server and back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from test_services import two_hosts
from tiny_service import Served, asked, serving, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from witnesses import Witness, scene

from nosana_jupyter.serving import renting, replica
from nosana_jupyter.serving.forms import Form

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network")]

TALKING = Form(
    kind="image",
    image="docker.io/library/python:3.11-slim",
    port=8000,
    health="/health",
    cmd=[sys.executable, str(Path(__file__).with_name("talking_server.py"))],
    key_in="TALK_KEY",
)


@contextlib.asynccontextmanager
async def talking(served: Served, path: str = "/talk", **options: Any) -> AsyncIterator[Any]:
    """Talk to a service; yield the line, which has said who it is."""
    headers = {"Authorization": f"Bearer {served.service.key}", **options.pop("headers", {})}
    url = served.service.url.replace("http", "ws") + path
    async with connect(
        url, additional_headers=headers, max_size=64 << 20, proxy=None, **options
    ) as line:
        yield line


async def refused(served: Served, path: str = "/talk", **options: Any) -> tuple[int, str]:
    """Return the status and text that a line is refused with."""
    with pytest.raises(InvalidStatus) as raised:
        async with talking(served, path, **options):
            pass
    return raised.value.response.status_code, bytes(raised.value.response.body or b"").decode()


async def end_of(line: ClientConnection) -> tuple[int, str]:
    """Return the code and reason that a line ends with; it is a clean close."""

    async def hear() -> None:
        while True:
            await line.recv()

    with pytest.raises(ConnectionClosed) as raised:
        await hear()
    assert raised.value.rcvd is not None
    return raised.value.rcvd.code, raised.value.rcvd.reason


class TestItTalks:
    def test_both_ways(self) -> None:
        """
        Many messages and large ones, text and bytes, come whole and in order; pings are answered;
        subprotocol, path, headers, codes and reasons of a close pass; refusals are the server's.
        """

        async def story(witness: Witness) -> None:
            async with serving(witness.client, asked(TALKING)) as served:
                options: Any = {"subprotocols": ["other", "chat"], "headers": {"X-Own": "yes"}}
                async with talking(served, "/talk?room=1", **options) as line:
                    assert line.subprotocol == "chat"
                    assert str(await line.recv()).endswith(" /talk?room=1 yes")
                    sent: list[Any] = [each for i in range(1000) for each in (f"é{i}", b"%d" % i)]

                    async def send() -> None:
                        for each in sent:
                            await line.send(each)

                    sending = asyncio.create_task(send())
                    assert [await line.recv() for _ in sent] == sent
                    await sending
                    large = os.urandom(20 << 20)
                    await line.send(large)
                    assert await line.recv() == large
                    await (await line.ping())
                    await line.send("bye")
                    assert await end_of(line) == (4321, "as you say")
                async with talking(served) as line:
                    await line.recv()
                    await line.close(4002, "mine")
                async with talking(served) as line:
                    await line.recv()
                    line.transport.abort()
                async with talking(served) as line:
                    await line.recv()
                    async with asyncio.timeout(20):
                        while True:
                            await line.send("ended?")
                            ends = str(await line.recv()).split("|")
                            if len(ends) == 3:
                                break
                            await asyncio.sleep(0.02)
                assert sorted(ends) == ["1001:", "4002:mine", "4321:as you say"]
                assert await refused(served, "/nowhere") == (410, "gone")
                # Where a host leads to another address we do not go.
                assert (await refused(served, "/elsewhere"))[0] == 302
                await until(lambda: served.service.up[0].sockets == 0)

        scene(story)

    def test_nobody_else_is_let_in(self) -> None:
        """A wrong key, none, and a web page open no line."""

        async def story(witness: Witness) -> None:
            async with serving(witness.client, asked(TALKING)) as served:
                wrong = {"headers": {"Authorization": "Bearer sk-wrong"}}
                none = {"headers": {"Authorization": ""}}
                page: Any = {"origin": "https://evil.example"}
                found = [(await refused(served, **each))[0] for each in (wrong, none, page)]
                assert found == [401, 401, 403]
                assert served.service.gateway.requests == 0

        scene(story)


class TestItEnds:
    @pytest.mark.parametrize("end", ["dies", "stops"])
    def test_another_host_takes_over(self, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
        """
        Where a server dies, or its host falls silent, each line is closed with 1012; who connects
        again at the same address waits, and talks to another.
        """
        monkeypatch.setenv("NOSANA_ANSWER", "1s")
        monkeypatch.setattr(renting, "STUCK", 1.0)
        monkeypatch.setattr(replica, "PROBE", 0.3)
        monkeypatch.setattr(renting, "PATIENT", 0.5)

        async def story(witness: Witness) -> None:
            async with serving(witness.client, asked(TALKING, max_cost="1 NOS")) as served:
                await two_hosts(witness, served)
                async with talking(served) as line, talking(served) as other:
                    first = int(str(await line.recv()).split()[0])
                    await other.recv()
                    if end == "dies":
                        await line.send("die")
                    else:
                        os.kill(first, signal.SIGSTOP)
                    async with asyncio.timeout(40):
                        ends = {*await asyncio.gather(end_of(line), end_of(other))}
                    assert ends == {(1012, "the server was lost: connect again")}
                with contextlib.suppress(ProcessLookupError):
                    os.kill(first, signal.SIGKILL)
                async with talking(served, open_timeout=40) as line:
                    assert int(str(await line.recv()).split()[0]) != first
                    await line.send("once more")
                    assert await line.recv() == "once more"

        scene(story, within=90)

    def test_messages_keep_it_alive(self) -> None:
        """
        Messages count as requests do, and an open line alone does not; at the end of the service
        it is told why.
        """

        async def story(witness: Witness) -> None:
            async with serving(witness.client, asked(TALKING, idle=1)) as served:
                assert served.service.task is not None
                async with talking(served) as line:
                    for _ in range(8):
                        await line.send("more")
                        await line.recv()
                        await asyncio.sleep(0.25)
                    assert not served.service.is_over
                    async with asyncio.timeout(20):
                        assert await end_of(line) == (1001, "the service has ended")
                await asyncio.wait([served.service.task], timeout=20)
                assert served.service.over == "no request came for 1 s"

        scene(story)
