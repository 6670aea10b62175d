"""What takes an executor takes ours: joblib, scikit-learn, asyncio; and what ends without one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import joblib
import pytest
from local_networks import LocalNetwork
from pool_work import triple
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier

from nosana_jupyter import Executor
from nosana_jupyter.joblib import on
from nosana_jupyter.portal import shared

pytestmark = [pytest.mark.network]


@pytest.fixture
def two(network: Any) -> Iterator[Executor]:
    with Executor(hosts=2, progress=False, timeout="5m", idle="30s") as executor:
        yield executor


def test_joblib(two: Executor) -> None:
    """`Parallel` and a search of scikit-learn's run on hosts, with the results they have here."""
    with on(two):
        assert joblib.Parallel()(joblib.delayed(triple)(each) for each in range(50)) == [
            3 * each for each in range(50)
        ]
        x, y = load_iris(return_X_y=True)
        grid = {"n_neighbors": [1, 3, 5]}
        there = GridSearchCV(KNeighborsClassifier(), grid, cv=3).fit(x, y)
    here = GridSearchCV(KNeighborsClassifier(), grid, cv=3).fit(x, y)

    assert there.best_params_ == here.best_params_
    assert list(there.cv_results_["mean_test_score"]) == list(here.cv_results_["mean_test_score"])
    assert two.hosts > 0


def test_asyncio(two: Executor) -> None:
    """A loop takes it as its executor."""

    async def scene() -> list[int]:
        loop = asyncio.get_running_loop()
        return list(
            await asyncio.gather(*(loop.run_in_executor(two, triple, each) for each in range(5)))
        )

    assert asyncio.run(scene()) == [3 * each for each in range(5)]


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
        env=network.environment, capture_output=True, text=True, timeout=60, check=False,
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
        env=network.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    told = ["True True", "1 [0, 1, 2]"][: 3 - presses]
    assert done.stdout.splitlines() == told, done.stderr
    assert not [each for each in shared().status().running if "of 1 hosts" in each.intent.cell]
