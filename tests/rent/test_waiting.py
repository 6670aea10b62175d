"""Waiting for a host: what is said of it, and that it can be left at any moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from local_networks import LocalNetwork
from solders.pubkey import Pubkey

from nosana_jupyter import ipfs
from nosana_jupyter.chain import transport
from nosana_jupyter.client import Client
from nosana_jupyter.errors import JobError, NoHost
from nosana_jupyter.market.choosing import Requirements, choose
from nosana_jupyter.market.markets import Market
from nosana_jupyter.money.jobs import Job
from nosana_jupyter.rent import waiting
from nosana_jupyter.rent.waiting import wait_for_host
from nosana_jupyter.units import GiB, MicroNos, Seconds
from nosana_jupyter.wire import definition

ADDRESSES = [str(Pubkey([n] * 32)) for n in range(1, 6)]


@pytest.mark.parametrize(
    ("ahead", "said"),
    [(0, "next in line"), (1, "1 job ahead"), (2, "2 jobs ahead"), (4, "4 jobs ahead")],
)
def test_the_place_in_the_queue(ahead: int, said: str) -> None:
    """A user hears how many are before them, in words."""
    job: Any = SimpleNamespace(
        address=ADDRESSES[ahead], intent=SimpleNamespace(slug="nvidia-4090"), quote=None
    )
    assert waiting._in_words(job, ADDRESSES, own=0) == (
        f"waiting for a host of nvidia-4090: none is free, {said}"
    )


@pytest.mark.parametrize(("own", "said"), [(1, "1 runs a job of"), (3, "3 run jobs of")])
def test_hosts_that_the_user_keeps(own: int, said: str) -> None:
    """A user hears where jobs of their own are what they wait for."""
    job: Any = SimpleNamespace(
        address=ADDRESSES[0], intent=SimpleNamespace(slug="nvidia-4090"), quote=None
    )
    assert waiting._in_words(job, ADDRESSES, own=own) == (
        "waiting for a host of nvidia-4090: none is free, next in line; "
        f"{said} yours, see %nosana jobs"
    )


def test_what_to_ask_for_instead() -> None:
    """Where no host is free, a user hears which one wish to drop, and how many are then."""
    cards = {"nvidia-4090": (24, 0, 9), "nvidia-3090": (24, 4, 5), "nvidia-3060": (12, 2, 2)}
    markets = [
        Market(
            address=slug, slug=slug, name=slug, kind="PREMIUM", gpus=(slug,), vram=GiB(vram),
            price=MicroNos(price), fee_percent=Decimal(10), usd_per_hour=Decimal(1), hosts=hosts,
        )
        for slug, (vram, hosts, price) in cards.items()
    ]  # fmt: skip

    def said(**wanted: Any) -> str:
        quote = choose(markets, Requirements(**wanted), Seconds(60))
        job: Any = SimpleNamespace(
            address=ADDRESSES[0], intent=SimpleNamespace(slug=quote.market.slug), quote=quote
        )
        return waiting._in_words(job, ADDRESSES[:1], own=0)

    none = "waiting for a host of nvidia-4090: none is free, next in line"
    assert said(gpu="4090") == (
        f"{none}; without --gpu 4090, 6 hosts are free, the cheapest on nvidia-3060"
    )
    assert said(gpu="4090", vram=GiB(24)) == (
        f"{none}; without --gpu 4090, 4 hosts are free, the cheapest on nvidia-3090"
    )
    assert said(market="nvidia-4090").startswith(f"{none}; without --market nvidia-4090, 6 hosts")
    assert "without" not in said(gpu="3090")
    markets[1:] = []
    assert said(gpu="4090") == none


def test_what_is_not_in_the_queue() -> None:
    """A job that has left the queue is being taken; a market that nobody sees is waited for."""
    job: Any = SimpleNamespace(address=ADDRESSES[0], intent=SimpleNamespace(slug="m"))
    assert waiting._in_words(job, [], own=0) == "waiting for a host of m: one is taking the job"
    assert waiting._in_words(job, None, own=0) == "waiting for a host of m"


@pytest.fixture
def empty(home: Path) -> Iterator[None]:
    """A network without any host."""
    network = LocalNetwork(home)
    network.command("start", "--no-host")
    yield
    network.stop()


@pytest.mark.network
@pytest.mark.usefixtures("empty")
def test_a_chain_that_does_not_answer_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue goes on without us: who waits in it is told, and goes on waiting."""
    monkeypatch.setattr(transport, "RETRIES", (0.01,))
    told: list[str] = []

    async def story() -> None:
        client = await Client.open()
        quote = await client.quote(Requirements(gpu="3070"), 60)
        cid = await ipfs.pin(client.network, definition.STUB)
        job = await client.jobs.post(quote, cid)
        waiting = asyncio.ensure_future(
            wait_for_host(client.jobs, job, at_most=4, tell=told.append)
        )
        while not told:
            await asyncio.sleep(0.01)
        good = client.rpc._line
        client.rpc._line = transport.Transport("http://127.0.0.1:9")
        while len(told) < 2:
            await asyncio.sleep(0.01)
        await client.rpc._line.close()
        client.rpc._line = good
        with pytest.raises(NoHost):
            await waiting
        await client.stop(job.address)
        await client.close()

    asyncio.run(asyncio.wait_for(story(), 30))
    assert told == [
        told[0],
        "waiting for a host of nvidia-3070: the chain of local does not answer",
        told[0],
    ]
    assert told[0].endswith("none is free, next in line")


@pytest.mark.network
@pytest.mark.usefixtures("empty")
def test_leaving_while_nobody_comes() -> None:
    """A wait is left at once, whatever happens in the market; a job that is gone is told."""

    async def wait(client: Client, job: Job) -> str:
        return await wait_for_host(client.jobs, job, at_most=60, tell=lambda _: None)

    async def story() -> None:
        client = await Client.open()
        before = (await client.status()).nos
        quote = await client.quote(Requirements(gpu="3070"), 60)
        cid = await ipfs.pin(client.network, definition.STUB)
        job = await client.jobs.post(quote, cid)

        waits = [asyncio.ensure_future(wait(client, job)) for _ in range(10)]
        other = await client.jobs.post(quote, cid)  # The market changes as they are cancelled.
        for each in waits:
            each.cancel()
        began = time.monotonic()
        done = await asyncio.gather(*waits, return_exceptions=True)
        assert {type(each) for each in done} == {asyncio.CancelledError}
        assert time.monotonic() - began < 3

        gone = asyncio.ensure_future(wait(client, job))
        await asyncio.sleep(0.1)
        for each in (job, other):
            await client.stop(each.address)
        with pytest.raises(JobError, match="ended before a host began it"):
            await asyncio.wait_for(gone, 10)
        receipts = await client.receipts(2)
        assert (await client.status()).nos == before - sum(each.cost for each in receipts)
        await client.close()

    asyncio.run(story())
