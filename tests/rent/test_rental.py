"""A job for as long as a block of code: settled after it, whatever happens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nosana_jupyter import ipfs
from nosana_jupyter.client import Client
from nosana_jupyter.errors import HostFailed, JobError
from nosana_jupyter.events import Event, Posted, Settled, Waiting
from nosana_jupyter.line.control import Control
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.money.jobs import Job
from nosana_jupyter.money.journal import Receipt
from nosana_jupyter.rent.rental import rent
from nosana_jupyter.rent.waiting import wait_for_host
from nosana_jupyter.rent.watch import watch_chain
from nosana_jupyter.wire import definition

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network")]

UNREACHABLE = "http://127.0.0.1:9"


class Block:
    """A rented job, and what is done inside."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.control = Control()
        self.events: list[Event] = []
        self.job: Job | None = None

    async def run(self, inside: Any) -> None:
        quote = await self.client.quote(Requirements(gpu="3070"), 60)
        cid = await ipfs.pin(self.client.network, definition.STUB)
        async with rent(
            self.client.jobs, quote, cid,
            title="test", emit=self.events.append, control=self.control,
        ) as job:  # fmt: skip
            self.job = job
            await inside(job)

    @property
    def receipt(self) -> Receipt:
        [settled] = [each for each in self.events if isinstance(each, Settled)]
        return settled.receipt


def scene(work: Any) -> None:
    """Run a story; afterwards nothing of the wallet is open."""

    async def whole() -> None:
        client = await Client.open()
        try:
            async with asyncio.timeout(40):
                before = (await client.status()).nos
                block = Block(client)
                await work(block)
                status = await client.status()
                assert status.running == ()
                if block.job is not None and block.job.receipt is not None:
                    assert before - status.nos == block.job.receipt.cost
        finally:
            await client.close()

    asyncio.run(whole())


def test_an_error_inside_is_told_with_the_money() -> None:
    """What is raised inside comes out as it is, with where the money is; the job is ended."""

    async def story(block: Block) -> None:
        async def fail(job: Job) -> None:
            await wait_for_host(block.client.jobs, job, at_most=20, tell=lambda _: None)
            raise HostFailed("it broke")

        with pytest.raises(HostFailed, match="it broke") as caught:
            await block.run(fail)
        assert "wallet" in caught.value.money
        assert block.receipt.status == "failed"
        assert [type(each) for each in block.events] == [Posted, Waiting, Settled]

    scene(story)


def test_one_error_of_a_group_is_that_error() -> None:
    """Of tasks that fail together the first is raised, and not a group of them."""

    async def story(block: Block) -> None:
        async def fail(_: Job) -> None:
            async def one() -> None:
                raise HostFailed("first")

            async with asyncio.TaskGroup() as outer, asyncio.TaskGroup() as inner:
                inner.create_task(one())
                outer.create_task(asyncio.sleep(10))

        with pytest.raises(HostFailed, match="first") as caught:
            await block.run(fail)
        assert caught.value.money

    scene(story)


def test_bugs_pay_no_rent_either() -> None:
    """Whatever is raised, also what nobody has thought of: the job is settled."""

    async def story(block: Block) -> None:
        async def fail(_: Job) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await block.run(fail)
        assert block.receipt.status in ("failed", "refunded")

    scene(story)


@pytest.mark.parametrize("times", [1, 3])
def test_a_cancellation_waits_for_the_money(times: int) -> None:
    """Whoever is cancelled, once or again and again, settles first."""

    async def story(block: Block) -> None:
        async def stay(_: Job) -> None:
            await asyncio.sleep(60)

        block.control.interrupted = True
        task = asyncio.ensure_future(block.run(stay))
        while not block.events:
            await asyncio.sleep(0.01)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert block.receipt.status in ("interrupted", "refunded")

    scene(story)


def test_a_cancellation_while_it_is_posted() -> None:
    """A job whose posting is under way is known, and taken back, before anybody leaves."""

    async def story(block: Block) -> None:
        entered = False

        async def never(_: Job) -> None:
            nonlocal entered
            entered = True

        task = asyncio.ensure_future(block.run(never))
        while not (await block.client.status()).running:
            await asyncio.sleep(0)
        assert not block.events, "it was posted before anybody could look"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not entered
        assert [type(each) for each in block.events] == [Posted, Waiting, Settled]

    scene(story)


@pytest.mark.parametrize("fails", [False, True])
def test_a_chain_that_is_gone_says_where_the_money_is(
    fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that cannot be closed is left to `sweep`, and that is said; no cell is lost for it."""

    async def story(block: Block) -> None:
        from nosana_jupyter.chain import transport

        monkeypatch.setattr(transport, "RETRIES", (0.01,))
        good = block.client.rpc._line

        async def lose(_: Job) -> None:
            block.client.jobs.rpc._line = transport.Transport(UNREACHABLE)
            if fails:
                raise HostFailed("it broke")

        try:
            if fails:
                with pytest.raises(HostFailed) as caught:
                    await block.run(lose)
                money = caught.value.money
            else:
                await block.run(lose)
                money = str(block.events[-2])
        finally:
            block.client.jobs.rpc._line = good
        assert "in the market's vault" in money
        assert "%nosana sweep" in money
        last = block.events[-1]
        assert isinstance(last, Settled)
        assert last.receipt.is_open
        assert (last.receipt.status, last.receipt.paid) == ("unsettled", 0)

        assert block.job is not None
        receipt = await block.client.stop(block.job.address)
        assert receipt.paid + receipt.refunded == receipt.deposit
        block.job.receipt = receipt

    scene(story)


def test_a_job_that_is_ended_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks after the chain sees that a job is over although its cell is not."""
    monkeypatch.setattr("nosana_jupyter.rent.watch.EVERY", 0.1)

    async def story(block: Block) -> None:
        async def stopped(job: Job) -> None:
            await wait_for_host(block.client.jobs, job, at_most=20, tell=lambda _: None)
            watch = asyncio.create_task(watch_chain(block.client.jobs, job))
            await asyncio.sleep(0.3)
            assert not watch.done()
            await block.client.stop(job.address)
            await asyncio.wait_for(watch, 10)

        with pytest.raises(JobError, match="was stopped before its cell had ended") as caught:
            await block.run(stopped)
        assert "wallet" in caught.value.money

    scene(story)
