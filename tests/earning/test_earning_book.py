"""The books of a host: what each job paid, whenever the host died."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

from rpc_node import PRICE, Town, town
from solders.pubkey import Pubkey

from nosana_jupyter.chain import instructions
from nosana_jupyter.chain.rpc import FoundRun
from nosana_jupyter.earning.book import Book

USD = Decimal("0.5")


def awaited(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test in a loop of its own."""

    @functools.wraps(test)
    def wrapper(*arguments: Any, **named: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **named), 60))

    return wrapper


async def begun(place: Town, book: Book) -> tuple[str, FoundRun]:
    """Let the host take a job, and write it down."""
    job = await place.post()
    await place.work()
    run = await place.rpc.run_of(job)
    account = await place.rpc.job(job)
    assert run is not None
    assert account is not None
    book.took(str(job), account, run)
    return str(job), run


async def finish(place: Town, job: str, run: FoundRun) -> None:
    """Hand in a result."""
    programs, node = place.network.programs, place.host.pubkey
    wanted = instructions.finish(
        programs, job=job, run=run.address, market=place.market, node=node,
        job_payer=place.user.pubkey, run_payer=run.payer, ipfs_result=b"\1" * 32,
    )  # fmt: skip
    await place.rpc.send([wanted], place.host)


async def settle(place: Town, book: Book, *running: str) -> list[str]:
    """Look what was paid."""
    return await book.settle(place.rpc, place.host.address, running, USD)


@awaited
async def test_a_job_is_counted_to_the_unit(tmp_path: Path) -> None:
    """What the chain moved to the host is what stands in the books, in NOS and dollars, once."""
    async with town() as place:
        book = Book(tmp_path)
        before = await place.rpc.token_balance(place.host.address)
        job, run = await begun(place, book)
        assert await settle(place, book, job) == []
        place.ledger.warp(40)
        assert await settle(place, book) == []  # It runs, whatever its host knows of it.
        await finish(place, job, run)
        told = await settle(place, book)
        got = await place.rpc.token_balance(place.host.address) - before
        await settle(place, book)

        ever = book.since(0)
        assert (ever.jobs, ever.nos) == (1, got)
        assert ever.nos == ever.seconds * PRICE >= 40 * PRICE
        assert ever.usd == Decimal(got) / 1_000_000 * USD
        assert [each.sum for each in book.days(9)] == [ever]
        assert told[0].startswith(f"job {job} has paid 0.00")
        book.close()


@awaited
async def test_a_host_that_died_counts_when_it_is_back(tmp_path: Path) -> None:
    """Ended by the poster and given up by the host, both while nobody looked."""
    async with town() as place:
        book = Book(tmp_path)
        ended, run = await begun(place, book)
        place.ledger.warp(10)
        wanted = instructions.end(
            place.network.programs, job=ended, market=place.market, run=run.address,
            node=run.node, job_payer=place.user.pubkey, run_payer=run.payer,
            authority=place.user.pubkey,
        )  # fmt: skip
        await place.rpc.send([wanted], place.user)
        left, run = await begun(place, book)
        given_up = instructions.quit_job(
            place.network.programs, job=left, run=run.address, node=place.host.pubkey,
            run_payer=run.payer,
        )  # fmt: skip
        await place.rpc.send([given_up], place.host)
        book.close()

        again = Book(tmp_path)
        assert again.open() == [ended, left]
        await settle(place, again)
        ever = again.since(0)
        assert (ever.jobs, ever.given_up) == (1, 1)
        assert ever.nos >= 10 * PRICE
        again.close()


@awaited
async def test_what_is_gone_is_said_to_be(tmp_path: Path) -> None:
    """A job that was cleaned up before anybody looked is no job that paid nothing."""
    async with town() as place:
        book = Book(tmp_path)
        _, run = await begun(place, book)
        account = await place.rpc.job(run.job)
        assert account is not None
        nowhere = Pubkey.new_unique()
        book.took(str(nowhere), account, run)
        told = await settle(place, book, str(run.job))

        assert "is in the wallet" in told[0]
        assert (book.since(0).unknown, book.since(0).given_up) == (1, 0)
        book.close()
