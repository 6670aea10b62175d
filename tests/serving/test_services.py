"""Models as services: a real server, the real clients, and the whole path between them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import httpx
import msgspec
import openai
import pytest
from langchain_openai import ChatOpenAI
from local_networks import LocalNetwork
from tiny_service import FORM, SERVER, Served, asked, serving, until
from witnesses import Witness, scene

from nosana_jupyter import schedules
from nosana_jupyter.chain.accounts import QueueType
from nosana_jupyter.errors import HostFailed, UsageError
from nosana_jupyter.events import Event, Said
from nosana_jupyter.line.control import Control
from nosana_jupyter.reminders import look_back
from nosana_jupyter.rent import apart
from nosana_jupyter.serving import renting, replica
from nosana_jupyter.serving.offering import Offering

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network")]

HELLO: Any = [{"role": "user", "content": "good morning"}]


def client_of(served: Served, key: str = "") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"{served.service.url}/v1", api_key=key or served.service.key,
        http_client=httpx.AsyncClient(trust_env=False),
    )  # fmt: skip


async def chat(served: Served) -> str:
    async with client_of(served) as client:
        answer = await client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=8)
    return str(answer.choices[0].message.content)


async def two_hosts(witness: Witness, served: Served | None = None) -> None:
    """Wait until two hosts are there, of which one may be at work for a service."""
    client = witness.client
    await apart._ask_for(client.network.hosts, 2)
    [market] = [each for each in await client.markets() if each.slug == "nvidia-3070"]
    busy = {each.job.node for each in served.service.up} if served else set()
    async with asyncio.timeout(20):
        while True:
            account = await client.rpc.market(market.address)
            queue = account.queue if account and account.queue_type == QueueType.NODES else []
            if len(busy | {str(each) for each in queue}) >= 2:
                return
            await asyncio.sleep(0.05)


class TestTheWholePath:
    def test_the_real_clients_chat(self) -> None:
        """OpenAI's client and LangChain's get whole answers, streamed ones, and parts of one."""

        async def story(witness: Witness) -> None:
            async with serving(witness.client, asked()) as served:
                assert len((await chat(served)).split()) == 8
                async with client_of(served) as client:
                    stream = await client.chat.completions.create(
                        model="tiny", messages=HELLO, max_tokens=8, stream=True
                    )
                    pieces = [each.choices[0].delta.content async for each in stream]
                assert len([each for each in pieces if each]) >= 8
                async with httpx.AsyncClient(trust_env=False) as http:
                    model = ChatOpenAI(
                        base_url=f"{served.service.url}/v1",
                        api_key=served.service.key,  # type: ignore[arg-type]
                        model="tiny", max_tokens=8, http_async_client=http,
                    )  # fmt: skip
                    assert len(str((await model.ainvoke("good morning")).content).split()) == 8
                    assert len([each async for each in model.astream("good morning")]) >= 8
                view = served.service.view()
                assert (view.state, view.hosts, view.requests) == ("up", 1, 4)
                # Who hangs up in the middle of an answer frees the server.
                [place] = served.service.up
                async with client_of(served) as client:
                    stream = await client.chat.completions.create(
                        model="tiny", messages=HELLO, max_tokens=400, stream=True
                    )
                    async for _ in stream:
                        break
                    await stream.close()
                await until(lambda: served.service.gateway.busy == 0 and place.busy == 0)
                assert len((await chat(served)).split()) == 8

        scene(story)

    def test_nobody_else_is_let_in(self) -> None:
        """A wrong key, none, and a web page are refused here; the server's own name is not told."""

        async def story(witness: Witness) -> None:
            async with serving(witness.client, asked()) as served:
                service = served.service
                [place] = service.up
                with pytest.raises(openai.AuthenticationError, match="not that of the service"):
                    async with client_of(served, "sk-wrong") as client:
                        await client.models.list()
                async with httpx.AsyncClient(trust_env=False) as http:
                    url = f"{service.url}/v1/models"
                    bare = await http.get(url)
                    key = {"Authorization": f"Bearer {service.key}"}
                    page = await http.get(url, headers={**key, "Origin": "https://evil.example"})
                    named = await http.get(url, headers={**key, "Host": "evil.example"})
                    good = await http.get(url, headers=key)
                    # Who knows where the server is has not its key.
                    direct = await http.get(f"{place.base}/v1/models")
                assert [each.status_code for each in (bare, page, named, good, direct)] == [
                    401, 403, 403, 200, 401,
                ]  # fmt: skip
                assert service.gateway.requests == 1
                hidden = {place.key, service.key, place.base.rpartition("/")[2]}
                told = f"{service!r} {service.view()!r} {service.record()!r} {served.events!r}"
                told += f"{place!r} {good.headers!r}"
                assert not [each for each in hidden if each in told]
                assert place.job.address not in place.base

        scene(story)


class TestItDoesNotCome:
    @pytest.mark.parametrize("end", ["fails", "given up"])
    def test_nothing_is_left(self, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
        """
        A server that ends at once is told with what it said; one that the user does not wait for is
        ended: both are paid, and nothing goes on.
        """
        monkeypatch.setenv("NOSANA_ATTEMPTS", "1")
        command = "echo no such model >&2; exit 1" if end == "fails" else "sleep 600"
        form = msgspec.structs.replace(FORM, cmd=command)

        async def story(witness: Witness) -> None:
            offering = Offering(asyncio.get_running_loop().create_task)
            control = Control()

            def emit(event: Event) -> None:
                witness.emit(event)
                if end == "given up" and "starting the server" in str(event):
                    control.interrupt()

            kind = HostFailed if end == "fails" else asyncio.CancelledError
            with pytest.raises(kind) as raised:
                await offering.serve(witness.client, asked(form), emit, control, None)
            if end == "fails":
                assert "the server ended with exit code 1" in str(raised.value)
                assert "no such model" in str(raised.value)
                assert "runner" not in f"{raised.value} {raised.value.hint}"
            assert witness.receipt.status == ("failed" if end == "fails" else "interrupted")
            assert offering.names() == []
            assert offering.elsewhere(witness.client) == []
            offering.close()

        scene(story)


class TestItLasts:
    def test_ends_when_idle(self) -> None:
        """
        Without a request for so long it ends and is settled, and a request begins that anew; a
        second one of its name is refused meanwhile.
        """

        async def story(witness: Witness) -> None:
            async with serving(witness.client, asked(idle=1)) as served:
                service = served.service
                assert service.task is not None
                with pytest.raises(UsageError, match=r"a service tiny already\. Nothing was spent"):
                    await served.offering.serve(
                        witness.client, asked(), lambda _: None, Control(), None
                    )
                assert len((await witness.client.status()).running) == 1
                began = time.monotonic()
                while time.monotonic() - began < 1.5:
                    await chat(served)
                    await asyncio.sleep(0.3)
                assert not service.is_over
                await asyncio.wait([service.task], timeout=20)
                assert service.over == "no request came for 1 s"
                [receipt] = service.receipts
                assert receipt.status == "done"
                assert receipt.paid < receipt.deposit
                assert served.offering.book.records(receipt.network) == []
                with pytest.raises(openai.APIConnectionError):
                    await chat(served)

        scene(story)

    def test_gets_more_time_within_its_cap(self) -> None:
        """
        It is paid in steps, also while its model loads; where the cap allows no more it ends, and
        says why.
        """

        command = f"sleep 3.5; exec {sys.executable} {SERVER}"
        slow = msgspec.structs.replace(FORM, cmd=command)

        async def story(witness: Witness) -> None:
            # 68 micro-NOS a second: two steps of 4 s are within it, and three are not.
            async with serving(
                witness.client, asked(slow, step=4, max_cost="0.0007 NOS")
            ) as served:
                service = served.service
                assert service.task is not None
                [place] = service.up
                assert service.replicas[0].time is not None
                assert service.replicas[0].time.paid == 8
                await asyncio.wait([service.task], timeout=20)
                assert service.over.startswith("its 8 s were over, and it got no more: job ")
                assert "cap is 0.0007 NOS" in service.over
                [receipt] = service.receipts
                assert receipt.job == place.job.address
                assert 7 * 68 <= receipt.paid <= 700

        scene(story)


class TestStrategies:
    def test_simple_is_paid_once_and_not_replaced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """All of its time is paid at once, and a host that is lost ends it."""
        monkeypatch.setenv("NOSANA_ANSWER", "1s")
        monkeypatch.setattr(renting, "STUCK", 1.0)
        monkeypatch.setattr(replica, "PROBE", 0.3)

        async def story(witness: Witness) -> None:
            async with serving(witness.client, asked(strategy="simple", most=700)) as served:
                service = served.service
                assert service.task is not None
                [place] = service.up
                assert 690 <= place.job.intent.timeout <= 700
                served.process().kill()
                await asyncio.wait([service.task], timeout=30)
                assert service.is_over
                assert isinstance(service.failure, HostFailed)
                assert [each.job for each in service.receipts] == [place.job.address]

        scene(story, within=60)

    def test_a_schedule_wakes_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """
        It sleeps without a host until its time, and again when nobody has asked for long enough;
        its address stays, and says so.
        """
        ticks = [3.0, 3600.0, 3600.0]

        def next_tick(_schedule: str, after: Any) -> Any:
            return after + dt.timedelta(seconds=ticks.pop(0))

        async def story(witness: Witness) -> None:
            terms = asked(schedule="0 9 * * *", max_cost="1 NOS", idle=1)
            monkeypatch.setattr(schedules, "next_tick", next_tick)
            async with serving(witness.client, terms) as served:
                service = served.service
                url = service.url
                assert service.state.startswith("sleeps until ")
                with pytest.raises(openai.InternalServerError, match="sleeps until"):
                    await chat(served)
                await until(lambda: service.up, within=60)
                assert len((await chat(served)).split()) == 8
                await until(lambda: service.wakes is not None, within=60)
                assert "; no request came for 1 s" in service.state
                assert service.url == url
                [receipt] = service.receipts
                assert receipt.status == "done"
                assert (await witness.client.status()).running == ()
            assert service.is_over
            assert ticks == [3600.0]

        scene(story, within=120)


class TestAnotherHost:
    @pytest.mark.parametrize("end", ["killed", "silent"])
    def test_comes_back_at_the_same_address(
        self, monkeypatch: pytest.MonkeyPatch, end: str
    ) -> None:
        """
        Where a server is killed, or falls silent, another host takes its place; what was asked
        meanwhile waits for it, and who asks sees neither another address nor an error.
        """
        monkeypatch.setenv("NOSANA_ANSWER", "1s")
        monkeypatch.setattr(renting, "STUCK", 1.0)
        monkeypatch.setattr(replica, "PROBE", 0.3)
        monkeypatch.setattr(renting, "PATIENT", 0.5)

        async def story(witness: Witness) -> None:
            client = witness.client
            async with serving(client, asked(max_cost="1 NOS")) as served:
                service = served.service
                await two_hosts(witness, served)
                [before] = service.up
                url = service.url
                stopped = served.process()
                stopped.send_signal(signal.SIGKILL if end == "killed" else signal.SIGSTOP)
                try:
                    async with asyncio.timeout(30):
                        answers = await asyncio.gather(chat(served), chat(served))
                finally:
                    with contextlib.suppress(Exception):
                        stopped.kill()
                assert [len(each.split()) for each in answers] == [8, 8]
                [after] = service.up
                assert after.job.address != before.job.address
                assert after.job.node != before.job.node
                assert service.url == url
                [receipt] = service.receipts
                assert receipt.job == before.job.address
                assert service.committed(service.replicas[0]) == receipt.paid

        scene(story, within=60)

    def test_requests_are_spread(self) -> None:
        """Several servers answer at once, each on a host of its own."""

        async def story(witness: Witness) -> None:
            await two_hosts(witness)
            async with serving(witness.client, asked(replicas=2, max_cost="1 NOS")) as served:
                await until(lambda: len(served.service.up) == 2)
                await asyncio.gather(*(chat(served) for _ in range(6)))
                one, two = served.service.up
                assert one.job.node != two.job.node
                assert one.used
                assert two.used
                served.process_of(one).kill()
                await until(lambda: len(served.service.up) == 1)
                assert served.service.state.startswith("1 of 2 up; ")
                assert len((await chat(served)).split()) == 8
                await until(lambda: len(served.service.up) == 2)

        scene(story, within=60)


LEFT = """
import sys
from nosana_jupyter.portal import shared
from tiny_service import asked
run = shared().serve(asked())
for _ in run.ticks():
    pass
print(run.outcome.url, flush=True)
sys.stdin.read()
"""


class TestAnotherKernel:
    def test_takes_it_up_at_the_same_address(self, network: LocalNetwork) -> None:
        """
        What a killed kernel has left goes on in the next, with the same address and key; while the
        first lives the next can use it, and not take it.
        """

        async def story(witness: Witness) -> None:
            client = witness.client
            kernel = subprocess.Popen(  # noqa: ASYNC220 - it is a kernel that is killed
                [sys.executable, "-c", LEFT], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env={**network.environment, "PYTHONPATH": os.pathsep.join(sys.path)}, text=True,
            )  # fmt: skip
            assert kernel.stdout is not None
            url = (await asyncio.to_thread(kernel.stdout.readline)).strip()
            offering = Offering(asyncio.get_running_loop().create_task)
            try:
                [record] = offering.elsewhere(client)
                assert record.url == url
                assert record.kept_elsewhere
                with pytest.raises(UsageError, match="kept by another kernel, and can be used"):
                    await offering.take_up(client, "tiny", lambda _: None, Control())
                secret = offering.book.secret(record)
                assert secret is not None
                key = {"Authorization": f"Bearer {secret.key}"}
                async with httpx.AsyncClient(trust_env=False) as http:
                    assert (await http.get(f"{url}/v1/models", headers=key)).status_code == 200
                kernel.kill()
                await asyncio.to_thread(kernel.wait)
                said: list[Any] = []
                await look_back(client.jobs, said.append)
                [told] = [each.message.text for each in said if isinstance(each, Said)]
                assert "service of an earlier kernel still runs, and costs money: tiny" in told
                with (
                    socket.create_server(("127.0.0.1", record.port)),
                    pytest.raises(UsageError, match="which is taken"),
                ):
                    await offering.take_up(client, "tiny", lambda _: None, Control())
                assert offering.elsewhere(client) == [record]
                service = await offering.take_up(client, "tiny", lambda _: None, Control())
                [place] = service.up
                assert place.job.address == record.servers[0].job
                assert service.url == url
                async with httpx.AsyncClient(trust_env=False) as http:
                    assert (await http.get(f"{url}/v1/models", headers=key)).status_code == 200
                await service.end()
                [receipt] = service.receipts
                assert receipt.job == place.job.address
                assert offering.elsewhere(client) == []
            finally:
                kernel.kill()
                kernel.communicate()
                offering.close()

        scene(story, within=60)
