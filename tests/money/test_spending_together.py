"""Two kernels and a sidebar that spend from one wallet at once, on a real network."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time

import pytest
from local_networks import LocalNetwork

from nosana_jupyter import settings
from nosana_jupyter.client import Client
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.money import limits
from nosana_jupyter.money.journal import Journal
from nosana_jupyter.units import Seconds

pytestmark = pytest.mark.network

SPENDER = """
import asyncio, sys
from nosana_jupyter import ipfs
from nosana_jupyter.client import Client
from nosana_jupyter.errors import OverBudget
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.units import Seconds

async def main(what):
    client = await Client.open()
    cid = await ipfs.pin(client.network, client.jobs.payer.stub())
    quote = await client.quote(Requirements(gpu="3070"), Seconds(60))
    # The sidebar gives a job more time that a kernel has posted.
    job = await client.jobs.post(quote, cid) if what == "sidebar" else None
    print("ready", flush=True)
    await asyncio.to_thread(input)
    won = 0
    for _ in range(4):
        try:
            if job:
                await client.extend(job.address, Seconds(60))
            else:
                await client.jobs.post(quote, cid)
            won += 1
        except OverBudget as error:
            assert "Nothing was spent on it" in str(error)
    print(won, flush=True)
    await asyncio.to_thread(input)  # Who ends would be swept.
    await client.close()

asyncio.run(main(sys.argv[1]))
"""


def test_a_budget_admits_what_it_holds(
    network: LocalNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What three processes post and extend at the same moment is within a day's budget, to the last
    job that fits, and each deposit on chain is one that somebody was admitted for.
    """
    price, deposit = asyncio.run(_price())
    before = asyncio.run(_wallet())
    journal = Journal()
    today = settings.Settings(budget_day="1 NOS")
    whole = limits.those_set(today, time.time())[0]
    used = limits.used(whole, journal, "local").nos
    # The sidebar's job, and five of twelve that are asked for.
    monkeypatch.setenv("NOSANA_BUDGET_DAY", f"{(used + 6 * deposit + deposit // 2) / 1e6:f} NOS")
    spenders = [
        subprocess.Popen(
            [sys.executable, "-c", SPENDER, name], text=True, env=os.environ.copy(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for name in ("sidebar", "one", "two")
    ]  # fmt: skip
    try:
        for each in spenders:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        _say(spenders)
        won = [int(each.stdout.readline()) for each in spenders if each.stdout]
        held = limits.used(whole, journal, "local").nos - used
        spent = before - asyncio.run(_wallet())
    finally:
        _say(spenders)
        for each in spenders:
            each.communicate(timeout=60)
        asyncio.run(_sweep())
        journal.close()

    assert sum(won) == 5
    # Fees of the network are in what is held; a job that has ended meanwhile is paid for.
    assert 5 * deposit <= held <= 6 * deposit
    assert 0 < spent <= 6 * deposit
    assert price * 60 <= deposit


def _say(spenders: list[subprocess.Popen[str]]) -> None:
    for each in spenders:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()


async def _price() -> tuple[int, int]:
    """Return the price of a second, and deposit with fee of a minute."""
    client = await Client.open()
    quote = await client.quote(Requirements(gpu="3070"), Seconds(60))
    await client.close()
    return quote.price, quote.most


async def _wallet() -> int:
    client = await Client.open()
    held = (await client.status()).nos
    await client.close()
    return held


async def _sweep() -> None:
    client = await Client.open()
    await client.sweep()
    assert (await client.status()).running == ()
    await client.close()
