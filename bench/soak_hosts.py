"""
Hosts of a soak: they do on chain what hosts do, and nothing else.

Each takes a job, and by chance finishes it, finishes it late, gives it up, gives it to another, or
vanishes. One look at all runs serves all of them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import base58
import httpx
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from nosana_jupyter.chain import instructions, locking
from nosana_jupyter.chain.accounts import JobState, Run
from nosana_jupyter.chain.rpc import FoundRun, Rpc, found_run
from nosana_jupyter.chain.staking import SHORTEST
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import NetworkError, ProgramError
from nosana_jupyter.local.founding import HOST_STAKE
from nosana_jupyter.network import Network

log = logging.getLogger("soak")

WAYS = {"finish": 64, "finish late": 4, "quit": 12, "hand on": 8, "vanish": 8, "leave": 4}
"""What a host does with a job, and how often beside the others. Who leaves finishes, and rests."""

LOOK = 0.2
"""Seconds between two looks at all runs."""

PURSE = 100 * 10**9
"""Lamports that each begins with."""


class Hosts:
    """
    Some hosts, and what they earn.

    Args:
        network: Where, on a line that does not fail.
        places: Market of each.
        chance: Decides.
    """

    def __init__(self, network: Network, places: Sequence[str], *, chance: random.Random) -> None:
        self.network = network
        self.wallets = [Wallet(Keypair()) for _ in places]
        self.did: Counter[str] = Counter()
        self._places = places
        self._chance = chance
        self._runs: dict[Pubkey, FoundRun] = {}
        """By address of the host."""

        self._dead: set[Pubkey] = set()
        """Runs of jobs that were taken back while a host claimed them: nobody can close them."""

        self._looked = asyncio.Condition()
        self._quitted: asyncio.Queue[tuple[Pubkey, Pubkey]] = asyncio.Queue()
        """Jobs that were given up for another host, with their markets."""

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Rpc]:
        """Let them work; yield their line to the chain."""
        async with Rpc(self.network) as rpc:
            self._rpc = rpc
            await self._begin()
            tasks = [
                asyncio.create_task(self._look()),
                *(
                    asyncio.create_task(self._work(wallet, Pubkey.from_string(market)))
                    for wallet, market in zip(self.wallets, self._places, strict=True)
                ),
            ]
            try:
                yield rpc
            finally:
                for task in tasks:
                    task.cancel()
                for found in await asyncio.gather(*tasks, return_exceptions=True):
                    if isinstance(found, Exception):
                        raise found

    async def _begin(self) -> None:
        async with line() as http:
            for wallet in self.wallets:
                asked = {"address": wallet.address, "nos": HOST_STAKE, "sol": PURSE}
                (await http.post(self.network.faucet, json=asked)).raise_for_status()
        for wallet in self.wallets:
            staked = locking.stake(
                self.network.programs, owner=wallet.pubkey, amount=HOST_STAKE, duration=SHORTEST
            )
            await self._rpc.send([staked], wallet)

    async def _look(self) -> None:
        async with line() as http:
            while True:
                found = await all_runs(self.network, http)
                runs = [run for run in found if run.address not in self._dead]
                async with self._looked:
                    self._runs = {run.node: run for run in runs}
                    self._looked.notify_all()
                await asyncio.sleep(LOOK)

    async def _run_of(self, wallet: Wallet, *, at_most: float | None = None) -> FoundRun | None:
        """Wait for a run of a host; nothing, if none comes in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most), self._looked:
                await self._looked.wait_for(lambda: wallet.pubkey in self._runs)
                return self._runs[wallet.pubkey]
        return None

    async def _gone(self, wallet: Wallet) -> None:
        async with self._looked:
            await self._looked.wait_for(
                lambda: (run := self._runs.get(wallet.pubkey)) is None or run.address in self._dead
            )

    async def _work(self, wallet: Wallet, market: Pubkey) -> None:
        """Wait for jobs, and do something with each."""
        while True:
            run = await self._taken(wallet, market)
            (way,) = self._chance.choices([*WAYS], [*WAYS.values()])
            self.did[way] += 1
            if way == "finish late":
                await asyncio.sleep(6)  # The client's patience is over by then.
            elif way != "vanish":
                await asyncio.sleep(self._chance.uniform(0.2, 1.2))
            if way in ("quit", "hand on"):
                await self._quit(wallet, run, market, again=way == "hand on")
            elif way != "vanish":
                await self._finish(wallet, run)
            elif await self._rpc.job(run.job) is None:
                self._dead.add(run.address)
            await self._gone(wallet)
            if way == "vanish" and self._chance.random() < 0.5:
                await self._complete(wallet, run)
            if way == "leave":
                await asyncio.sleep(self._chance.uniform(0, 1))

    async def _taken(self, wallet: Wallet, market: Pubkey) -> FoundRun:
        """Wait in the queue, or claim what another has given up; return the run there is then."""
        programs, run = self.network.programs, Keypair()
        with suppress(asyncio.QueueEmpty):
            job, where = self._quitted.get_nowait()
            wanted = instructions.claim(
                programs, job=job, run=run.pubkey(), market=where, node=wallet.pubkey
            )
            if await self._send(wallet, wanted, run):
                found = await self._run_of(wallet, at_most=1)
                if found is not None:
                    return found
        while True:
            wanted = instructions.work(
                programs, run=run.pubkey(), market=market, node=wallet.pubkey
            )
            await self._send(wallet, wanted, run)
            found = await self._run_of(wallet, at_most=5)
            if found is not None:
                return found
            run = Keypair()

    async def _quit(self, wallet: Wallet, run: FoundRun, market: Pubkey, *, again: bool) -> None:
        wanted = instructions.quit_job(
            self.network.programs, job=run.job, run=run.address, node=wallet.pubkey,
            run_payer=run.payer,
        )  # fmt: skip
        if not await self._send(wallet, wanted):
            if await self._rpc.job(run.job) is None:
                self._dead.add(run.address)
        elif again:
            self._quitted.put_nowait((run.job, market))

    async def _finish(self, wallet: Wallet, run: FoundRun) -> None:
        job = await self._rpc.job(run.job)
        if job is None:
            self._dead.add(run.address)
            return
        wanted = instructions.finish(
            self.network.programs, job=run.job, run=run.address, market=job.market,
            node=wallet.pubkey, job_payer=job.payer, run_payer=run.payer,
            ipfs_result=os.urandom(32),
        )  # fmt: skip
        await self._send(wallet, wanted)

    async def _complete(self, wallet: Wallet, run: FoundRun) -> None:
        job = await self._rpc.job(run.job)
        if job is not None and job.state == JobState.DONE:
            wanted = instructions.complete(
                self.network.programs, job=run.job, node=wallet.pubkey, ipfs_result=os.urandom(32)
            )
            await self._send(wallet, wanted)

    async def _send(self, wallet: Wallet, wanted: Instruction, *keys: Keypair) -> bool:
        """Send; say whether it was done. Its poster may have been first."""
        try:
            await self._rpc.send([wanted], wallet, keys)
        except ProgramError as error:
            log.info("%s", error)
            return False
        except NetworkError as error:
            log.warning("%s", error)
            return False
        return True


async def all_runs(network: Network, http: httpx.AsyncClient) -> list[FoundRun]:
    """Return the runs of all hosts, at one question: each host would ask for its own."""
    begins = base58.b58encode(Run.DISCRIMINATOR).decode()
    options = {"encoding": "base64", "filters": [{"memcmp": {"offset": 0, "bytes": begins}}]}
    rows = await ask(http, network, "getProgramAccounts", [network.programs.jobs, options])
    return [
        found_run(Pubkey.from_string(row["pubkey"]), base64.b64decode(row["account"]["data"][0]))
        for row in rows
    ]


def line() -> httpx.AsyncClient:
    """Return a line to services of this machine; to read certificates takes longer than to ask."""
    return httpx.AsyncClient(trust_env=False, verify=False, timeout=60)


async def ask(http: httpx.AsyncClient, network: Network, method: str, params: list[Any]) -> Any:
    """Ask a node of the network, without a look at what else may go wrong."""
    asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = (await http.post(network.rpc, json=asked)).json()
    if "error" in answer:
        raise RuntimeError(json.dumps(answer["error"]))
    return answer["result"]
