"""
`kill -9` of anything while credits pay: afterwards nothing is set aside, and the books agree.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_networks import LocalNetwork

from nosana_jupyter.client import Client
from nosana_jupyter.errors import NosanaError
from nosana_jupyter.money.credits import Credits
from nosana_jupyter.money.prepaid import Balance
from nosana_jupyter.money.sweep import sweep

pytestmark = pytest.mark.network

CASES = [
    *(
        ("kernel", step)
        for step in ("quoted", "intended", "posted", "running", "connected", "said", "ended")
    ),
    *(("network", step) for step in ("intended", "posted", "running", "said", "ended")),
]


@pytest.fixture(scope="module")
def chaos_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """A network that is killed again and again: what one case leaves, the next one meets."""
    network = LocalNetwork(tmp_path_factory.mktemp("chaos"))
    network.environment["NOSANA_PAY"] = "credits"
    network.start()
    yield network
    network.stop()


async def balance(client: Client) -> Balance:
    assert isinstance(client.jobs.payer, Credits)
    return await client.jobs.payer.service.balance()


async def settle_all(client: Client) -> None:
    """Sweep until nothing that this machine posted is open."""
    deadline = time.monotonic() + 30
    while client.journal.open_jobs(client.network.name, client.jobs.payer.account):
        with contextlib.suppress(NosanaError):
            await sweep(client.jobs, unsent_after=0)
        assert time.monotonic() < deadline, "something stays open"
        await asyncio.sleep(0.1)


def run_cell(network: LocalNetwork, step: str, victim: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("chaos_cell.py")), step, victim],
        env=network.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize(("victim", "step"), CASES)
def test_no_credits_are_lost(
    chaos_network: LocalNetwork, monkeypatch: pytest.MonkeyPatch, victim: str, step: str
) -> None:
    """
    Whatever dies, and whenever: a restart and `sweep` free what was set aside, and no more is used
    than the receipts say.
    """
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(chaos_network.home))
    monkeypatch.setenv("NOSANA_PAY", "credits")
    chaos_network.start()

    async def scene() -> None:
        client = await Client.open()
        before = await balance(client)
        known = {each.job for each in await client.receipts(1000)}
        await client.close()

        with run_cell(chaos_network, step, victim) as cell:
            assert cell.stdout is not None
            first = await asyncio.to_thread(cell.stdout.readline)
            if victim == "network":
                await asyncio.to_thread(chaos_network.start)
            out, err = await asyncio.to_thread(cell.communicate, timeout=120)
        told = f"{first}{out}{err}"
        assert first == f"at {step}\n", told
        assert "Traceback" not in told

        client = await Client.open()
        await settle_all(client)
        after = await balance(client)
        entries = await client.entries(1000)
        new = [each.receipt for each in entries if each.receipt and each.receipt.job not in known]
        await client.close()
        assert {each.state for each in entries} <= {"settled", "unsent"}
        assert after.reserved == 0, told
        used = after.settled - before.settled
        # We round each receipt up from the hour that was set aside, the service from the second.
        assert abs(used - sum(each.used for each in new)) <= len(new), (new, told)

    asyncio.run(scene())
