"""
`kill -9` of hosts and of runners while they work off a thousand items.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from local_networks import LocalNetwork
from pool_work import slowly

from nosana_jupyter import Executor, portal
from nosana_jupyter.chain import addresses
from nosana_jupyter.chain.accounts import JobState
from nosana_jupyter.client import Client
from nosana_jupyter.errors import NosanaError
from nosana_jupyter.locks import holder
from nosana_jupyter.money.sweep import sweep

pytestmark = pytest.mark.network

HOSTS = 8
ITEMS = 1000
KILLS = 10


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalNetwork]:
    """A network with eight hosts."""
    network = LocalNetwork(tmp_path / "home", hosts=HOSTS)
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(network.home))
    network.start()
    yield network
    if portal._shared is not None:
        portal._shared.close()
        portal._shared = None
    network.stop()


def runners(home: Path) -> list[int]:
    """Return the processes that run cells of this home's hosts."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words = process.info["cmdline"] or []
        if any(word.startswith(f"{home}/host") for word in words) and words[0].endswith("sh"):
            with contextlib.suppress(psutil.Error):
                found += [each.pid for each in process.children(recursive=True)]
    return found


def kill_some(home: Path, over: threading.Event, killed: Counter[str]) -> None:
    """Kill hosts and runners in turn, which ones is left to chance."""
    chance = random.Random(0)
    for number in range(KILLS):
        if over.wait(0.3):
            return
        places = [holder(each) for each in home.glob("host*/lock")]
        hosts = [pid for pid in places if pid is not None]
        what, among = ("host", hosts) if number % 2 else ("runner", runners(home))
        if among:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(among), signal.SIGKILL)
                killed[what] += 1


async def settled() -> dict[str, int]:
    """Sweep until nothing is open; return where all NOS is then, in micro-NOS."""
    client = await Client.open()
    deadline = time.monotonic() + 40
    while True:
        with contextlib.suppress(NosanaError):
            await sweep(client.jobs, unsent_after=0)
        on_chain = await client.rpc.jobs_of(client.jobs.payer.account)
        still = [job for job, each in on_chain.items() if each.state != JobState.DONE]
        if not still and not client.journal.open_jobs("local", client.jobs.payer.account):
            break
        assert time.monotonic() < deadline, still
        await asyncio.sleep(0.2)
    programs = client.network.programs
    vaults = [addresses.vault(programs, each.address) for each in await client.markets()]
    held = await client.rpc.accounts(vaults)
    receipts = await client.receipts(10_000)
    found = {
        "wallet": (await client.status()).nos,
        # A token account says its amount after mint and owner.
        "vaults": sum(int.from_bytes(data[64:72], "little") for data in held if data),
        "paid": sum(each.paid + each.network_fee for each in receipts),
        "jobs": len(receipts),
        "failed": sum(each.status != "done" for each in receipts),
    }
    await client.close()
    return found


async def nodes(network: LocalNetwork) -> int:
    """Return what all hosts own, in micro-NOS."""
    client = await Client.open()
    hosts: Any = network.status()["hosts"]
    owned = [await client.rpc.token_balance(each["address"]) for each in hosts]
    await client.close()
    return sum(owned)


@pytest.mark.timeout(240)
def test_a_thousand_items_while_hosts_are_killed(many: LocalNetwork) -> None:
    """
    Every item has its result, once; every micro-NOS is in a wallet afterwards, and the receipts
    say in which.
    """
    before = asyncio.run(settled())
    over = threading.Event()
    killed: Counter[str] = Counter()
    killer = threading.Thread(target=kill_some, args=(many.home, over, killed))
    with Executor(HOSTS, progress=False, timeout="5m") as executor:
        results = executor.map(slowly, range(ITEMS), ordered=False)
        came = [next(results)]
        killer.start()
        try:
            came += results
        finally:
            over.set()
            killer.join()
        cost = executor.cost

    assert sorted(came) == [each * each for each in range(ITEMS)]
    assert len(results.partial()) == ITEMS
    after = asyncio.run(settled())
    assert killed["host"] > 0
    assert killed["runner"] > 0
    assert after["vaults"] == before["vaults"] == 0
    assert before["wallet"] - after["wallet"] == after["paid"] == asyncio.run(nodes(many))
    assert 0 < cost <= after["paid"]
    assert after["jobs"] > 0
