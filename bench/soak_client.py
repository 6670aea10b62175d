"""
One kernel of a soak: posts jobs, does with each what a user may do, and settles it.

    python bench/soak_client.py --seed 7 --at-once 8

It is told what to do by lines, and says what became of it in lines of JSON:

    run N       post N jobs
    stop JOB    end a job that another kernel follows
    sweep       settle what is left, fetch rent
    end         end
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace

from nosana_jupyter import ipfs
from nosana_jupyter.client import Client
from nosana_jupyter.errors import HostFailed, JobError, NetworkError, NoHost, NosanaError
from nosana_jupyter.events import Event
from nosana_jupyter.line.control import Control
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.market.markets import Quote
from nosana_jupyter.money import sweep
from nosana_jupyter.money.jobs import Job
from nosana_jupyter.rent.rental import rent
from nosana_jupyter.rent.waiting import wait_for_host
from nosana_jupyter.units import Seconds
from nosana_jupyter.wire import definition

KINDS = {
    "finished": 40,
    "failed": 12,
    "given up": 12,
    "extended": 12,
    "interrupted": 8,
    "stopped beside": 6,
    "overdue": 4,
    "over budget": 4,
    "over purse": 2,
}
"""What happens to a job, and how often beside the others."""

MARKETS = {"nvidia-3060": 9, "nvidia-3080": 1}
"""Where hosts wait for jobs, and where jobs wait for hosts."""

WAIT = 4.0
"""Most seconds that a job waits for a host."""

BUDGET = "300 NOS"
"""Of a day. A job over it would still be in the purse."""

CAP = "9000 NOS"
"""Of one cell, so that it is never what refuses a job."""

LONG = {"over budget": 400_000_000, "over purse": 5_000_000_000}
"""Deposits of jobs that are never posted, in micro-NOS."""


class Kernel:
    """
    What one kernel does.

    Args:
        client: Its client.
        cid: Content id of the public part of all jobs.
        chance: Decides.
        at_once: Most jobs at a time.
    """

    def __init__(self, client: Client, cid: str, *, chance: random.Random, at_once: int) -> None:
        self.client = client
        self.chance = chance
        self._cid = cid
        self._room = asyncio.Semaphore(at_once)

    async def run(self, count: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                await self._room.acquire()
                group.create_task(self._one())

    async def _one(self) -> None:
        (kind,) = self.chance.choices([*KINDS], [*KINDS.values()])
        try:
            work = asyncio.create_task(self._job(kind))
            if kind == "interrupted":
                await asyncio.wait([work], timeout=self.chance.uniform(0, 0.6))
                work.cancel()
            await work
            ended = "well"
        except asyncio.CancelledError:
            ended = "cancelled"
        except NosanaError as error:
            ended = type(error).__name__
        finally:
            self._room.release()
        say(kind=kind, ended=ended)

    async def _job(self, kind: str) -> None:
        quote = await self._quote(kind)
        control = Control()
        async with rent(
            self.client.jobs, quote, self._cid, title=kind, emit=ignore, control=control
        ) as job:
            if kind == "given up":
                await asyncio.sleep(self.chance.uniform(0, 0.1))
                raise NoHost("nobody waits for one", hint="")
            await wait_for_host(self.client.jobs, job, at_most=WAIT, tell=ignore)
            job.begun = True
            await self._during(kind, job, quote)

    async def _quote(self, kind: str) -> Quote:
        (market,) = self.chance.choices([*MARKETS], [*MARKETS.values()])
        seconds = 2 if kind == "overdue" else self.chance.randint(5, 600)
        quote = await self.client.quote(Requirements(market=market), Seconds(seconds), max_cost=CAP)
        if kind in LONG:
            return replace(quote, timeout=Seconds(LONG[kind] // quote.price))
        return quote

    async def _during(self, kind: str, job: Job, quote: Quote) -> None:
        """Do what a cell does, and its user."""
        if kind == "extended":
            await self.client.extend(job.address, Seconds(self.chance.randint(1, 300)))
        if kind == "stopped beside":
            say(stop=job.address)
            for _ in range(20):
                if not await self.client.jobs.is_open(job):
                    return
                await asyncio.sleep(0.1)
        if kind == "overdue":
            await asyncio.sleep(quote.timeout + 1)
        await asyncio.sleep(self.chance.uniform(0, 0.8))
        if kind == "failed":
            raise HostFailed("its runner says nothing", hint="")

    async def stop(self, job: str) -> None:
        """End a job that another kernel follows."""
        try:
            await self.client.stop(job)
        except NosanaError as error:
            say(stopped=job, ended=type(error).__name__)

    async def sweep(self) -> None:
        """Settle what is left, also what was never sent; fetch rent."""
        for _ in range(20):
            try:
                await sweep.sweep(self.client.jobs, unsent_after=0)
                await sweep.clean(self.client.jobs)
                return
            except (NetworkError, JobError) as error:
                say(swept=str(error))
                await asyncio.sleep(0.1)
            except NosanaError as error:
                # Another kernel was first.
                say(swept=str(error))


def ignore(_: Event | str) -> None:
    """Take what a notebook would show."""


def say(**words: object) -> None:
    print(json.dumps(words), flush=True)


async def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--at-once", type=int, required=True)
    options = parser.parse_args()
    client = await Client.open()
    stub = client.jobs.payer.stub()
    assert stub is definition.STUB
    cid = await ipfs.publish(client.network, stub)
    kernel = Kernel(client, cid, chance=random.Random(options.seed), at_once=options.at_once)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    say(ready=True)
    orders: dict[str, Callable[[str], Awaitable[None]]] = {
        "run": lambda count: kernel.run(int(count)),
        "stop": kernel.stop,
        "sweep": lambda _: kernel.sweep(),
    }
    async with asyncio.TaskGroup() as group:

        async def follow(order: str, rest: str) -> None:
            await orders[order](rest)
            if order != "stop":
                gc.collect()
                say(did=order)

        while line := (await lines.readline()).decode().strip():
            order, _, rest = line.partition(" ")
            if order == "end":
                break
            group.create_task(follow(order, rest))
    await client.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
