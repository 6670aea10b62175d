"""Credits of an account: the same jobs, paid for by a service, with nothing lost on the way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec
import pytest

from nosana_jupyter import ipfs
from nosana_jupyter.chain import authorization
from nosana_jupyter.client import Client
from nosana_jupyter.errors import CreditsError, FundsError, JobError, UsageError
from nosana_jupyter.events import Cell, Event
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.market.markets import Quote
from nosana_jupyter.money import payers
from nosana_jupyter.money.credits import Credits
from nosana_jupyter.money.extending import extend
from nosana_jupyter.money.jobs import Job, Jobs
from nosana_jupyter.money.prepaid import Account
from nosana_jupyter.money.sweep import sweep
from nosana_jupyter.network import MAINNET
from nosana_jupyter.rent.waiting import wait_for_host
from nosana_jupyter.settings import Settings
from nosana_jupyter.units import Seconds, usd

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network")]

T = TypeVar("T")

WRONG = "nos_somebody_elses_key"


@pytest.fixture(autouse=True)
def pays_with_credits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has set."""
    monkeypatch.setenv("NOSANA_PAY", "credits")


def on_network(work: Callable[[Client], Awaitable[T]]) -> T:
    """Run a coroutine with a client of the shared network."""

    async def scene() -> T:
        client = await Client.open()
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(scene())


async def quote(client: Client) -> Quote:
    return await client.quote(Requirements(gpu="4070"), Seconds(60))


async def post(jobs: Jobs, found: Quote) -> Job:
    stub = await ipfs.pin(jobs.network, jobs.payer.stub())
    return await jobs.post(found, stub, cell="here")


async def balance(client: Client) -> tuple[int, int]:
    """Return what is reserved and what is settled, in micro-dollars."""
    assert isinstance(client.jobs.payer, Credits)
    found = await client.jobs.payer.service.balance()
    return found.reserved, found.settled


@asynccontextmanager
async def between(
    client: Client, fault: Callable[[str, int], str]
) -> AsyncIterator[tuple[Jobs, list[str]]]:
    """
    Put a proxy before the service, which may lose what passes.

    Args:
        client: Of the network.
        fault: Takes the path of a request and its number; returns `pass`, `drop` (it never
            arrives), `lose` (its answer does not) or an HTTP status to answer in place of it.
    """
    asked: list[str] = []
    behind = client.network.api
    server = await asyncio.start_server(
        lambda reader, writer: _relay(reader, writer, behind, asked, fault), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    network = msgspec.structs.replace(client.network, api=f"http://127.0.0.1:{port}")
    account = Account(network, Path(network.api_key).read_text().strip())
    try:
        yield Jobs(network, client.rpc, Credits(client.rpc, account), client.journal), asked
    finally:
        await account.close()
        server.close()


def losing(word: str, how: str) -> Callable[[str, int], str]:
    """Return a fault of the requests whose path has a word in it."""
    return lambda path, _: how if word in path else "pass"


async def _relay(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    behind: str,
    asked: list[str],
    fault: Callable[[str, int], str],
) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split("\r\n")[0].split(" ")
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        length = int(next((v for k, v in headers.items() if k.lower() == "content-length"), 0))
        body = await reader.readexactly(length)
        asked.append(f"{method} {path}")
        what = fault(path, len(asked))
        if what == "drop":
            writer.close()
            return
        if what.isdigit():
            answer = b'{"message": "not now"}'
            writer.write(
                f"HTTP/1.1 {what} No\r\nContent-Length: {len(answer)}\r\nRetry-After: 0\r\n"
                "Connection: close\r\n\r\n".encode()
                + answer
            )
        else:
            kept = {k: v for k, v in headers.items() if k.lower() in ("authorization",)}
            kept |= {k: v for k, v in headers.items() if k.lower().startswith("idempotency")}
            async with httpx.AsyncClient(trust_env=False) as http:
                real = await http.request(method, behind + path, content=body, headers=kept)
            if what == "lose":
                writer.close()
                return
            writer.write(
                f"HTTP/1.1 {real.status_code} Said\r\nContent-Length: {len(real.content)}\r\n"
                "Connection: close\r\n\r\n".encode()
                + real.content
            )
        await writer.drain()
        writer.close()


def test_a_cell_is_paid_with_credits() -> None:
    """The whole path of a cell, from the quote to the receipt, with no NOS of ours moved."""

    async def scene(client: Client) -> None:
        before, nos = await balance(client), (await client.status()).nos
        events: list[Event] = []
        cell = Cell(source="y = x + 1", namespace={"x": 41}, timeout=Seconds(60), gpu="4070")
        outcome = await client.run(cell, events.append)
        receipt = outcome.receipt

        assert outcome.values["y"] == 42
        assert (receipt.pay, receipt.status, receipt.cost) == ("credits", "done", 0)
        assert receipt.reserved > receipt.used >= 0
        assert receipt.sol_fee == receipt.sol_rent == 0
        assert await balance(client) == (before[0], before[1] + receipt.used)
        assert (await client.status()).nos == nos
        lines = dict(receipt.lines())
        assert lines["reserved"] == f"{usd(receipt.reserved)} of credits"
        assert lines["free again"] == receipt.returned
        assert receipt.payer in lines["posted by"]
        assert "list" in receipt.signatures

    on_network(scene)


def test_accounts_have_caches_apart() -> None:
    """
    Though all accounts have one project, a host is told whose cache it is by what nobody else can
    say, and no other host; the cell does not see it.
    """

    async def scene(client: Client) -> None:
        source = "told = open('/proc/self/environ').read()\nimport os\nseen = dict(os.environ)"
        cell = Cell(source=source, namespace={}, timeout=Seconds(60), gpu="4070")
        outcome = await client.run(cell, lambda _: None)
        payer = client.jobs.payer
        assert isinstance(payer, Credits)
        mine = payer.cache_key(outcome.receipt.node)
        other = Credits(client.rpc, Account(client.network, "another account's key"))

        assert f"NOSANA_CACHE_KEY={mine}\0" in outcome.values["told"]
        assert "NOSANA_CACHE_KEY" not in outcome.values["seen"]
        assert (
            len({mine, payer.cache_key("another host"), other.cache_key(outcome.receipt.node)}) == 3
        )

    on_network(scene)


def test_credits_quote_dollars_for_an_hour_of_a_premium_market() -> None:
    """The least the service takes is an hour, in vetted markets alone."""

    async def scene(client: Client) -> None:
        found = await quote(client)
        community = await client.quote(Requirements(gpu="3090"), Seconds(7200))

        assert (found.timeout, found.pay) == (3600, "credits")
        assert found.usd == 87_350
        assert found.bound == "$0.08735 of credits"
        assert community.market.kind == "PREMIUM"
        assert community.timeout == 7200

    on_network(scene)


def test_a_job_is_signed_for_by_the_service() -> None:
    """Hosts are asked in the name of the project, which is the service's key; once for all."""

    async def scene(client: Client) -> None:
        job = await post(client.jobs, await quote(client))
        account = await client.rpc.job(job.address)
        assert account is not None
        text = await client.jobs.sign("a message")
        async with between(client, lambda *_: "pass") as (jobs, asked):
            jobs.payer.service._manager = jobs.network.api  # type: ignore[attr-defined]
            texts = [await jobs.sign("another") for _ in range(3)]
            assert asked == ["POST /auth/sign-message/external"]
        await client.stop(job.address)

        assert job.intent.payer == str(account.project)
        for each, message in [(text, "a message"), (texts[2], "another")]:
            assert authorization.check(each, account.project, expected=message)
            assert abs(int(each.split(":")[2]) / 1000 - time.time()) < 10

    on_network(scene)


def test_stopping_frees_what_is_not_used() -> None:
    """A job that nobody took costs nothing; the journal calls it by its address."""

    async def scene(client: Client) -> None:
        before = await balance(client)
        job = await post(client.jobs, await quote(client))
        assert await balance(client) == (before[0] + job.intent.usd, before[1])
        assert [each.intent.job for each in (await client.status()).running] == [job.address]
        receipt = await client.stop(job.address[:10])

        assert await balance(client) == (before[0], before[1] + receipt.used)
        assert (await client.status()).running == ()
        assert await client.stop(job.address) == receipt

    on_network(scene)


def test_a_lost_answer_is_found_by_the_stub() -> None:
    """The job that the service posted without our knowing is found, and not posted again."""

    async def scene(client: Client) -> None:
        before = await balance(client)
        async with between(client, lambda path, _: "lose" if "list" in path else "pass") as (
            jobs,
            asked,
        ):
            job = await post(jobs, await quote(client))
            assert asked.count("POST /api/jobs/list") == 1
        assert job.intent.usd > 0
        assert (await balance(client))[0] == before[0] + job.intent.usd
        receipt = await client.stop(job.address)
        assert receipt.signatures["list"] == job.signatures["list"]

    on_network(scene)


def test_what_is_unsure_is_swept() -> None:
    """
    A posting that was neither answered nor found says where to look, and sweep finds it later.
    """

    async def scene(client: Client) -> None:
        before = await balance(client)
        async with between(client, lambda path, _: "lose" if "list" in path else "pass") as (
            jobs,
            asked,
        ):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Credits, "find", _blind)
                with pytest.raises(CreditsError, match="does not answer") as caught:
                    await post(jobs, await quote(client))
        (entry,) = client.journal.open_jobs(client.network.name, "credits")

        assert "POST /api/jobs/list" in asked
        assert entry.state == "unsure"
        assert entry.intent.cid in caught.value.money
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Credits, "find", _blind)
            with pytest.raises(JobError, match="nobody knows yet whether") as unknown:
                await client.stop(entry.intent.job)
        assert entry.intent.cid in unknown.value.money
        assert "%nosana sweep" in caught.value.money
        (receipt,) = await sweep(client.jobs)
        assert receipt.job != entry.intent.job
        assert receipt.status in ("refunded", "stopped")
        assert (await balance(client))[0] == before[0]
        assert client.journal.open_jobs(client.network.name, "credits") == []

    on_network(scene)


async def _blind(*_: object) -> None:
    return None


def test_what_never_arrived_is_sent_again_or_given_up() -> None:
    """Who never reached the service has nothing set aside, and the journal says so at last."""

    async def scene(client: Client) -> None:
        before = await balance(client)
        async with between(client, lambda path, _: "drop" if "list" in path else "pass") as (
            jobs,
            _,
        ):
            with pytest.raises(CreditsError):
                await post(jobs, await quote(client))
        assert await sweep(client.jobs) == []
        assert len(client.journal.open_jobs(client.network.name, "credits")) == 1
        assert await sweep(client.jobs, unsent_after=0) == []
        assert client.journal.open_jobs(client.network.name, "credits") == []
        assert await balance(client) == before

    on_network(scene)


def test_a_busy_service_is_asked_again() -> None:
    """A request that was refused for being one too many is sent again; nothing is posted twice."""

    async def scene(client: Client) -> None:
        before = await balance(client)
        async with between(client, lambda _, n: "429" if n == 2 else "pass") as (
            jobs,
            asked,
        ):
            job = await post(jobs, await quote(client))
            assert asked.count("POST /api/jobs/list") == 2
        assert (await balance(client))[0] == before[0] + job.intent.usd
        await client.stop(job.address)

    on_network(scene)


@pytest.mark.parametrize(("status", "hint"), [("401", "NOSANA_API_KEY"), ("403", "jobs:write")])
def test_a_refusal_says_what_to_do(status: str, hint: str) -> None:
    """A key that opens nothing, or too little, is named as the reason; nothing is open after it."""

    async def scene(client: Client) -> None:
        async with between(client, lambda path, _: status if "list" in path else "pass") as (
            jobs,
            _,
        ):
            with pytest.raises(CreditsError) as caught:
                await post(jobs, await quote(client))
        assert hint in caught.value.hint
        assert caught.value.money == ""
        assert client.journal.open_jobs(client.network.name, "credits") == []

    on_network(scene)


def test_too_little_credit_is_said_exactly() -> None:
    """What is missing is said to the micro-dollar, and nothing is posted."""

    async def scene(client: Client) -> None:
        found = await client.quote(Requirements(gpu="H100"), Seconds(60), max_cost="none")
        dear = replace(found, timeout=Seconds(100 * 3600))
        with pytest.raises(FundsError, match=r"are missing\. Nothing was spent") as caught:
            await post(client.jobs, dear)
        assert "deploy.nosana.com" in caught.value.hint
        # The service has the last word: it knows of what others have posted since.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Credits, "check", _blind)
            with pytest.raises(FundsError, match="too little credit: Insufficient credits"):
                await post(client.jobs, dear)
        assert client.journal.open_jobs(client.network.name, "credits") == []

    on_network(scene)


def test_a_key_is_shown_nowhere() -> None:
    """Neither the account nor an error of the service repeats the key."""

    async def scene(client: Client) -> None:
        account = Account(client.network, WRONG)
        try:
            with pytest.raises(CreditsError) as caught:
                await account.balance()
        finally:
            await account.close()
        told = [repr(account), str(caught.value), caught.value.hint, repr(vars(caught.value))]
        assert not any(WRONG in text for text in told)
        assert caught.value.status == 401
        assert not hasattr(account, "__dict__")

    on_network(scene)


def test_a_job_is_given_more_time() -> None:
    """More time is set aside as well, and the receipt counts it."""

    async def scene(client: Client) -> None:
        before = await balance(client)
        job = await post(client.jobs, await quote(client))
        done = await extend(client.jobs, job.address, Seconds(3600))
        account = await client.rpc.job(job.address)

        assert account is not None
        assert account.timeout == done.timeout == 7200
        assert (await balance(client))[0] == before[0] + 2 * job.intent.usd
        receipt = await client.stop(job.address)
        assert receipt.reserved == 2 * job.intent.usd
        assert receipt.used <= 1000
        assert (await balance(client))[0] == before[0]
        with pytest.raises(JobError, match=r"cannot be extended\. Nothing was spent"):
            await extend(client.jobs, job.address, Seconds(60))

    on_network(scene)


def test_a_lost_extension_is_not_asked_twice() -> None:
    """Whether more time was given is seen on chain."""

    async def scene(client: Client) -> None:
        job = await post(client.jobs, await quote(client))
        async with between(client, losing("extend", "lose")) as (jobs, asked):
            done = await extend(jobs, job.address, Seconds(600))
            assert asked.count(f"POST /api/jobs/{job.address}/extend") == 1
        account = await client.rpc.job(job.address)
        assert account is not None
        assert account.timeout == done.timeout == 4200
        async with between(client, losing("extend", "drop")) as (jobs, _):
            with pytest.raises(CreditsError) as caught:
                await extend(jobs, job.address, Seconds(600))
        assert "10 min more may have been paid for" in caught.value.money
        await client.stop(job.address)

    on_network(scene)


def test_a_stop_that_was_not_answered_is_asked_again() -> None:
    """Stopping twice is stopping once: the second answer is that it is over."""

    async def scene(client: Client) -> None:
        job = await post(client.jobs, await quote(client))
        await wait_for_host(client.jobs, job, at_most=20, tell=lambda _: None)
        async with between(client, lambda _, n: "lose" if n == 1 else "pass") as (jobs, asked):
            receipt = await jobs.settle(job)
            assert asked.count(f"POST /api/jobs/{job.address}/stop") == 2
        assert receipt.status == "stopped"

    on_network(scene)


def test_other_jobs_of_the_account_are_left_alone() -> None:
    """Sweeping ends what this machine posted: the account may have deployments of its own."""

    async def scene(client: Client) -> None:
        key = Path(client.network.api_key).read_text().strip()
        body = {"ipfsHash": await ipfs.pin(client.network, {"a": "deployment"})}
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(
                f"{client.network.api}/api/jobs/list",
                json=body | {"market": (await quote(client)).market.address},
                headers={"Authorization": f"Bearer {key}"},
            )
        other = json.loads(answer.content)["job"]
        assert await sweep(client.jobs) == []
        assert await client.rpc.job(other) is not None
        receipt = await client.stop(other)  # Who names it may stop it.
        assert receipt.job == other

    on_network(scene)


def test_without_a_key_it_says_how_to_get_one() -> None:
    """On a network that brings no account, the missing key is said before anything is asked."""
    with pytest.raises(UsageError, match="no API key is set") as caught:
        payers.api_key(MAINNET, Settings(pay="credits"))
    assert "NOSANA_API_KEY" in caught.value.hint
    plain = msgspec.structs.replace(MAINNET, api="http://api.example", manager="")
    with pytest.raises(UsageError, match="does not travel to http://api"):
        payers.api_key(plain, Settings(pay="credits", api_key="nos_0123456789"))
