"""Hosts of an executor: when they come, what they cost, and how they go."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from local_networks import LocalNetwork
from pool_work import triple

from nosana_jupyter import Executor
from nosana_jupyter.errors import FundsError
from nosana_jupyter.events import Event, Settled, Waiting
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.portal import shared
from nosana_jupyter.units import Seconds

pytestmark = [pytest.mark.network]


def test_constants_go_once(network: Any) -> None:
    """What is the same for all items goes to a host with the first of them only."""
    table = np.random.default_rng(1).random(7_000_000)
    said: list[str] = []

    def look(number: int, *, table: Any) -> float:
        return float(table[number])

    def hear(event: Event) -> None:
        if isinstance(event, Waiting) and event.text.startswith("sending data"):
            said.append(event.text)

    with Executor(hosts=1, progress=False, on_event=hear) as executor:
        results = executor.map(look, range(40), constants={"table": table})
        assert list(results) == list(table[:40])
        assert said
        said.clear()
        assert executor.submit(look, 5, table=table).result(60) == table[5]
    assert not said


def test_nothing(network: Any) -> None:
    """A map over nothing rents nothing and ends."""
    with Executor(hosts=2, progress=False) as executor:
        assert list(executor.map(triple, [])) == []
        assert executor.hosts == 0


def test_after_shutdown(network: Any) -> None:
    """Nothing is taken any more, as with every executor; its jobs are settled."""
    receipts: list[Event] = []
    executor = Executor(hosts=1, progress=False, on_event=receipts.append)
    assert executor.submit(triple, 2).result(60) == 6
    executor.shutdown()

    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(triple, 1)
    assert len([each for each in receipts if isinstance(each, Settled)]) == 1
    running = shared().status().running
    assert not [each for each in running if each.intent.cell == "one of 1 hosts"]


def test_idle_hosts_are_let_go(network: Any) -> None:
    """A host without work is settled, and another comes when there is work again."""
    with Executor(hosts=1, progress=False, idle=1) as executor:
        assert executor.submit(triple, 2).result(60) == 6
        deadline = time.monotonic() + 30
        while executor.hosts and time.monotonic() < deadline:
            time.sleep(0.05)
        assert executor.hosts == 0
        assert executor.submit(triple, 3).result(60) == 9


def test_a_cap_that_admits_nobody(network: Any) -> None:
    """Without money for one host every item says so, and nothing is spent."""
    with Executor(hosts=2, progress=False, max_cost="0.000001 NOS") as executor:
        error = executor.submit(triple, 2).exception(60)

        assert isinstance(error, FundsError)
        assert executor.cost == 0


def test_a_cap_that_admits_one(network: Any) -> None:
    """Where the cap holds for one deposit only, one host does all."""
    most = shared().quote(Requirements(), Seconds(300)).most
    cap = f"{1.5 * most / 1e6:.6f} NOS"
    most_hosts = 0
    with Executor(hosts=2, progress=False, max_cost=cap, timeout=300) as executor:
        for future in [executor.submit(time.sleep, 0.3) for _ in range(6)]:
            future.result(60)
            most_hosts = max(most_hosts, executor.hosts)

    assert most_hosts == 1
    assert executor.cost <= most


def test_cancel_what_waits(network: Any) -> None:
    """What has not begun can be taken back."""
    with Executor(hosts=1, progress=False) as executor:
        first = executor.submit(time.sleep, 1)
        later = [executor.submit(triple, each) for each in range(100)]
        executor.shutdown(cancel_futures=True)

    assert first.done()
    assert all(each.cancelled() or each.result() is not None for each in later)
    assert any(each.cancelled() for each in later)


def test_an_exception_in_the_block(network: LocalNetwork) -> None:
    """What is raised inside the block comes out of it, after what was submitted is done."""
    given = []

    def scene() -> None:
        with Executor(hosts=1, progress=False, timeout="5m") as executor:
            given.append(executor.submit(triple, 2))
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        scene()
    assert given[0].result(0) == 6


FORGETFUL = """
import sys, time
from nosana_jupyter import Executor
executor = Executor(hosts=1, progress=False, timeout="5m")
print(executor.submit(pow, 2, 3).result(60), flush=True)
if sys.argv[1] == "busy":
    futures = executor.map(time.sleep, [60] * 3).futures
    while not futures[0].running():
        time.sleep(0.02)
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_a_script_that_forgets_it(network: LocalNetwork, state: str) -> None:
    """A process that ends without `shutdown` settles the jobs of its executors, and soon."""
    done = subprocess.run(
        [sys.executable, "-c", FORGETFUL, state],
        env=network.environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "8\n"), done.stderr
    assert not [each for each in shared().status().running if "of 1 hosts" in each.intent.cell]


def test_one_that_nobody_has(network: LocalNetwork) -> None:
    """An executor that is let go without `shutdown` lets its hosts go once all is done."""
    executor = Executor(hosts=1, progress=False, timeout="5m")
    future = executor.submit(triple, 2)
    del executor

    assert future.result(60) == 6
    deadline = time.monotonic() + 30
    while running := [e for e in shared().status().running if "of 1 hosts" in e.intent.cell]:
        assert time.monotonic() < deadline, running
        time.sleep(0.05)


PRESSED = """
import concurrent.futures, os, signal, sys, threading, time
from nosana_jupyter import Executor

def slow(number):
    import time
    time.sleep(0.02 if number < 40 else 60)
    return number

def press():
    while not results.partial() or not executor.hosts:
        time.sleep(0.02)
    time.sleep(1)
    for _ in range(int(sys.argv[1])):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

with Executor(hosts=1, progress=False, timeout="5m") as executor:
    results = executor.map(slow, range(80))
    threading.Thread(target=press, daemon=True).start()
    try:
        list(results)
    except KeyboardInterrupt:
        concurrent.futures.wait(results.futures, 20)
        print(all(each.done() for each in results.futures), 0 in results.partial(), flush=True)
    if sys.argv[1] == "1":
        print(executor.hosts, list(executor.map(slow, range(3))), flush=True)
"""


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c(network: LocalNetwork, presses: int) -> None:
    """
    One Ctrl-C ends the items and keeps hosts and results; two end the hosts as well.
    """
    done = subprocess.run(
        [sys.executable, "-c", PRESSED, str(presses)],
        env=network.environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    told = ["True True", "1 [0, 1, 2]"][: 3 - presses]
    assert done.stdout.splitlines() == told, done.stderr
    assert not [each for each in shared().status().running if "of 1 hosts" in each.intent.cell]
