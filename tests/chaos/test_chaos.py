"""
`kill -9` of anything, at any step of a cell's path: afterwards all money is in a wallet.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from chaos_cell import runners
from local_networks import LocalNetwork

from nosana_jupyter.chain import addresses
from nosana_jupyter.chain.accounts import JobState
from nosana_jupyter.client import Client
from nosana_jupyter.errors import NosanaError
from nosana_jupyter.money.sweep import sweep

pytestmark = pytest.mark.network

BEFORE = ("quoted", "intended", "sent", "posted")
DURING = ("running", "delivering", "starting", "connected", "said")
AFTER = ("ended", "settled")

CASES = [
    # Kernels die at more steps than these: see test_chaos_steps.
    *(("kernel", step) for step in ("sent", "delivering", "starting")),
    *(("host", step) for step in (*BEFORE, *DURING, *AFTER)),
    *(("network", step) for step in (*BEFORE, *DURING, *AFTER)),
    *(("runner", step) for step in ("starting", "connected", "said", "ended")),
]


@dataclass
class Money:
    """Where all NOS of a network is, in micro-NOS."""

    wallet: int
    node: int
    vaults: int


@pytest.fixture(scope="module")
def chaos_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """A network that is killed again and again: what one case leaves, the next one meets."""
    network = LocalNetwork(tmp_path_factory.mktemp("chaos"))
    network.start()
    yield network
    network.stop()


async def look(client: Client, node: str) -> Money:
    programs = client.network.programs
    vaults = [addresses.vault(programs, each.address) for each in await client.markets()]
    held = await client.rpc.accounts(vaults)
    return Money(
        wallet=(await client.status()).nos,
        node=await client.rpc.token_balance(node),
        # A token account says its amount after mint and owner.
        vaults=sum(int.from_bytes(data[64:72], "little") for data in held if data),
    )


async def settle_all(client: Client) -> None:
    """Sweep until nothing of this wallet is open, here or on chain."""
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(NosanaError):
            await sweep(client.jobs, unsent_after=0)
        on_chain = await client.rpc.jobs_of(client.jobs.payer.account)
        open_there = [job for job, each in on_chain.items() if each.state != JobState.DONE]
        open_here = client.journal.open_jobs(client.network.name, client.jobs.payer.account)
        if not open_there and not open_here:
            return
        assert time.monotonic() < deadline, (open_there, open_here)
        await asyncio.sleep(0.1)


def run_cell(network: LocalNetwork, step: str, victim: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("chaos_cell.py")), step, victim],
        env=network.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize(("victim", "step"), CASES)
def test_no_money_is_lost(
    chaos_network: LocalNetwork, monkeypatch: pytest.MonkeyPatch, victim: str, step: str
) -> None:
    """
    Whatever dies, and whenever: a restart and `sweep` bring every NOS into a wallet.

    The journal then agrees with the chain, nothing of the job still runs, and the next cell works.
    """
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(chaos_network.home))
    chaos_network.start()
    node = str(chaos_network.status()["host"]["address"])  # type: ignore[index]

    async def scene() -> None:
        client = await Client.open()
        before = await look(client, node)
        known = {each.job for each in await client.receipts(1000)}
        await client.close()

        cell = run_cell(chaos_network, step, victim)
        assert cell.stdout is not None
        first = await asyncio.to_thread(cell.stdout.readline)
        if victim == "network":
            await asyncio.to_thread(chaos_network.start)
        out, err = await asyncio.to_thread(cell.communicate, timeout=90)
        told = f"{first}{out}{err}"
        assert first == f"at {step}\n", told
        if victim == "kernel":
            assert cell.returncode == -9
        else:
            assert out.startswith("values: {'x': 42}") or "money:" in out, told
            assert "Traceback" not in told
        if victim == "runner" and "values:" not in out:
            assert "HostFailed: the process of the cell was killed (SIGKILL" in out, told

        client = await Client.open()
        await settle_all(client)
        after = await look(client, node)
        entries = await client.entries(1000)
        new = [each.receipt for each in entries if each.receipt and each.receipt.job not in known]
        assert {each.state for each in entries} <= {"settled", "unsent"}
        assert after.vaults == 0, told
        assert sum(each.paid for each in new) == after.node - before.node, (new, told)
        assert sum(each.cost for each in new) == before.wallet - after.wallet, (new, told)
        assert before.wallet + before.node == after.wallet + after.node
        await client.close()

    asyncio.run(scene())
    deadline = time.monotonic() + 20
    while runners(str(chaos_network.home)):
        assert time.monotonic() < deadline, "the job's processes still run"
        time.sleep(0.1)
    if step not in (BEFORE[-1], DURING[-1], AFTER[-1]):
        return  # The next case is a cell as well.
    again = run_cell(chaos_network, "never", "nobody")
    out, err = again.communicate(timeout=90)
    assert out == "values: {'x': 42}\n", out + err
