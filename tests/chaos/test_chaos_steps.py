"""
`kill -9` of a kernel at each step that cannot be taken back, for each way to spend.

Which steps there are is not written down by hand alone: a run that is not killed tells them, and
one that has no name here fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from chaos_steps import STAKED
from local_networks import LocalNetwork
from test_chaos import Money, look, settle_all

from nosana_jupyter.client import Client
from nosana_jupyter.errors import NosanaError
from nosana_jupyter.money import stakes
from nosana_jupyter.money.journal import Entry
from nosana_jupyter.money.sweep import sweep

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

HOSTS = 5

POSTED = (
    "quoted", "asked", "Journal.intend", "Purse.post sends", "Purse.post sent", "Journal.name",
    "Journal.mark", "posted", "running",
)  # fmt: skip
"""By what is said, or by the function that writes or sends."""

CASES: dict[str, dict[str, int]] = {
    "cell": {
        **dict.fromkeys(POSTED, 1), "Logbook.open": 1, "Logbook.note": 1, "said": 1,
        "Logbook.end": 1, "Journal.settle": 1, "told": 1,
    },
    # With two jobs in flight.
    "verify": {
        "Journal.intend": 2, "Purse.post sends": 2, "Purse.post sent": 2, "Journal.mark": 3,
        "Logbook.open": 2, "Logbook.note": 2, "Journal.settle": 2,
    },
    "session": {
        "Journal.name": 2, "Purse.extend sends": 1, "Purse.extend sent": 1, "said": 1,
        "Journal.settle": 1,
    },
    "stop": {
        "Journal.mark": 2, "Purse.close sends": 1, "Purse.close sent": 1, "Journal.settle": 1,
    },
    # Its server runs on when its kernel dies, and ends with nothing but its job.
    "service": {
        "ServiceBook.keep": 2, "Purse.post sends": 1, "Purse.post sent": 1, "running": 1, "up": 1,
        "Purse.extend sends": 1, "Purse.extend sent": 1, "Purse.close sends": 1,
        "Purse.close sent": 1, "Journal.settle": 1,
    },
    "stake": {"act sends": 1, "act sent": 1},
}  # fmt: skip
"""At which steps the kernels of each way die, and for which time they get there."""

HARMLESS = {"Logbook.close"}
"""What is written when all is over."""


class Kernels:
    """Kernels that are forked from one process, and what they tell."""

    def __init__(self, network: LocalNetwork) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("chaos_steps.py"))],
            env={**network.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.told: dict[str, list[str]] = {}
        self._ended: dict[str, threading.Event] = {}
        self._hearing = threading.Thread(target=self._hear)
        self._hearing.start()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            name, colon, step = line.rstrip("\n").partition(": ")
            if colon:
                self.told[name].append(step)
            else:
                self._ended[name.rstrip(".")].set()

    def run(self, what: str, name: str, step: str = "-", nth: int = 0) -> list[str]:
        """Run a kernel to its end, or to a step; return the steps that it reached."""
        self.told[name], self._ended[name] = [], threading.Event()
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\t{name}\t{step}\t{nth}\n")
        self._process.stdin.flush()
        assert self._ended[name].wait(90), (name, step, self.told[name])
        return self.told[name]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._hearing.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    network = LocalNetwork(tmp_path_factory.mktemp("steps"), hosts=HOSTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOSANA_JUPYTER_HOME", str(network.home))
        network.start()
        yield network
        network.stop()


@pytest.fixture(scope="module")
def kernels(chaos: LocalNetwork) -> Iterator[Kernels]:
    made = Kernels(chaos)
    yield made
    made.close()


@contextlib.contextmanager
def sweeping() -> Iterator[None]:
    """Sweep all the while, as the kernels of other notebooks do."""
    over = threading.Event()

    async def scene() -> None:
        while not over.is_set():
            client = await Client.open()
            with contextlib.suppress(NosanaError):
                await sweep(client.jobs, unsent_after=0)
            await client.close()
            await asyncio.sleep(0.2)

    sweeper = threading.Thread(target=asyncio.run, args=(scene(),))
    sweeper.start()
    try:
        yield
    finally:
        over.set()
        sweeper.join()


async def money(network: LocalNetwork) -> tuple[Money, int, list[Entry]]:
    """Settle all; return where all NOS is then, what is staked, and the journal."""
    hosts: Any = network.status()["hosts"]
    client = await Client.open()
    try:
        await settle_all(client)
        found = [await look(client, each["address"]) for each in hosts]
        total = Money(found[0].wallet, sum(each.node for each in found), found[0].vaults)
        staked = (await stakes.look(client.rpc, client.jobs.payer.account)).vault
        return total, staked, await client.entries(1000)
    finally:
        await client.close()


def test_every_step_has_a_case(kernels: Kernels) -> None:
    """A step that is new in the product is one in which nobody has died yet."""
    for what in CASES:
        reached = set(kernels.run(what, f"whole_{what}"))
        died = {step for each in CASES.values() for step in each}

        assert reached - died - HARMLESS == set(), what
        assert CASES[what].keys() <= reached, what


def test_a_kernel_may_die_at_any_step(chaos: LocalNetwork, kernels: Kernels) -> None:
    """
    Whichever way it spends, and wherever it dies: it has paid once, and others' sweeps bring every
    NOS into a wallet and make the journal agree with the chain.
    """
    before, staked, known = asyncio.run(money(chaos))
    cases = {
        f"{what}_{number}": (what, step, nth)
        for what, steps in CASES.items()
        for number, (step, nth) in enumerate(steps.items())
    }

    def die(name: str) -> None:
        what, step, nth = cases[name]
        told = kernels.run(what, name, step, nth)
        assert (told[-1], told.count(step)) == (step, nth), f"{name} {cases[name]}: {told}"

    alone = [name for name in cases if not name.startswith(("verify", "stake"))]
    with sweeping():
        with ThreadPoolExecutor(HOSTS - 1) as threads:
            list(threads.map(die, alone))
        with ThreadPoolExecutor(2) as threads:  # Each takes two hosts, and one is let go of.
            list(threads.map(die, [name for name in cases if name.startswith("verify")]))
        for name in cases.keys() - {*alone}:
            if name.startswith("stake"):  # There is one for each wallet.
                die(name)
    after, locked, entries = asyncio.run(money(chaos))
    old = {each.intent.job for each in known}
    new = [each for each in entries if each.intent.job not in old]
    receipts = [each.receipt for each in new if each.receipt]
    posted = Counter(
        each.intent.cell.removeprefix("service ").partition(" ")[0] for each in new if each.receipt
    )

    assert {each.state for each in new} <= {"settled", "unsent"}
    for name, (what, *_) in cases.items():
        assert posted[name] <= (2 if what == "verify" else 1), (name, cases[name])
    assert posted["cell_1"] == 0  # It died when its user was asked.
    assert after.vaults == 0
    assert sum(each.paid for each in receipts) == after.node - before.node
    # Of two that staked, one died with its transaction still here.
    assert locked - staked == STAKED
    assert sum(each.cost for each in receipts) + STAKED == before.wallet - after.wallet
    assert not [each for each in receipts if each.unexplained]
