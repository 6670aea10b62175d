"""
How long an array takes to a host and back, sealed, beside ipyparallel, Ray and Dask.

Each system keeps one worker warm on this machine and is asked in turn with the others, so that what
else the machine does falls on all of them alike. Ours goes the whole way: a session on the local
network, its tunnel, a sealed line, a runner. Times are medians.

    new        an array that nobody has seen goes there, and what is made of it comes back
    again      the same array, unchanged, goes there; a number comes back

    python bench/data.py [--rounds 7] [--megabytes 100]       (pip install -e '.[bench]')
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

AIMS = {
    "new": {"ipyparallel": 0.5, "ray": 1.0, "dask": 1.5},
    "again": {"ipyparallel": 0.1, "ray": 0.1, "dask": 0.1},
}
"""At most this many times the peer's time."""


def plus(array: Any) -> Any:
    return array + 1


def ends(array: Any) -> float:
    return float(array[0] + array[-1])


Call = Callable[[Callable[[Any], Any], Any], Any]


@contextmanager
def ipyparallel() -> Iterator[Call]:
    import ipyparallel

    with ipyparallel.Cluster(n=1, log_level=40) as clients:
        yield clients[0].apply_sync


@contextmanager
def ray() -> Iterator[Call]:
    import ray

    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    made = {each: ray.remote(each) for each in (plus, ends)}
    yield lambda function, array: ray.get(made[function].remote(array))
    ray.shutdown()


@contextmanager
def dask() -> Iterator[Call]:
    from distributed import Client

    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        yield lambda function, array: client.submit(function, array, pure=False).result()


@contextmanager
def nosana() -> Iterator[Call]:
    from nosana_jupyter.choosing import Requirements
    from nosana_jupyter.client import Client
    from nosana_jupyter.events import Cell
    from nosana_jupyter.sessions import Order
    from nosana_jupyter.units import Seconds

    python = ".".join(map(str, sys.version_info[:2]))
    order = Order(
        wanted=Requirements(gpu="3070"), timeout=Seconds(1800),
        image=f"docker.io/library/python:{python}-slim", title="bench/data.py",
    )  # fmt: skip
    lines = {plus: "b = a + 1", ends: "b = float(a[0] + a[-1])"}
    runner = asyncio.Runner()

    async def opened() -> tuple[Any, Any, Any]:
        client = await Client.open()
        block = client.open_session(order, lambda _: None)
        return client, block, await block.__aenter__()

    client, block, session = runner.run(opened())

    def call(function: Callable[[Any], Any], array: Any) -> Any:
        cell = Cell(
            source=lines[function], namespace={"a": array}, returns=("b",), timeout=Seconds(600)
        )
        return runner.run(session.run(cell, lambda _: None)).values["b"]

    try:
        yield call
    finally:
        runner.run(block.__aexit__(None, None, None))
        runner.run(client.close())
        runner.close()


SYSTEMS = {"nosana_jupyter": nosana, "ipyparallel": ipyparallel, "ray": ray, "dask": dask}


def child(name: str, megabytes: int) -> None:
    """Be one of the systems: for each word on standard input, measure that."""
    import numpy as np

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    array = np.random.default_rng(0).random(megabytes * 1_000_000 // 8)
    with SYSTEMS[name]() as call:
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            if line.strip() == "new":
                array += 1
            function = plus if line.strip() == "new" else ends
            began = time.perf_counter()
            result = call(function, array)
            seconds = time.perf_counter() - began
            assert np.array_equal(result, function(array))
            del result
            print(seconds, file=answers, flush=True)


def ask(process: subprocess.Popen[str], word: str) -> float:
    assert process.stdin
    assert process.stdout
    print(word, file=process.stdin, flush=True)
    return float(process.stdout.readline())


def measure(names: list[str], megabytes: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return the median of each system for each measure, in seconds."""
    argv = [sys.executable, __file__, "--megabytes", str(megabytes), "--child"]
    started = {
        name: subprocess.Popen(
            [*argv, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    }  # fmt: skip
    times: dict[str, dict[str, list[float]]] = {word: {n: [] for n in names} for word in AIMS}
    try:
        ready: list[str] = []
        for name, process in started.items():
            assert process.stdout
            if process.stdout.readline().strip() == "ready":
                ready.append(name)
            else:
                print(f"{name} does not start, and is left out")
        for turn in range(rounds + 2):
            for name in ready:
                process = started[name]
                for word, found in times.items():
                    seconds = ask(process, word)
                    if turn > 1:  # The first two find out what memory there is.
                        found[name].append(seconds)
    finally:
        for process in started.values():
            if process.stdin:
                process.stdin.close()
            process.wait(60)
    return {
        word: {name: statistics.median(each) for name, each in found.items() if each}
        for word, found in times.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.megabytes)
        return 0
    there = {"dask": "distributed"}
    names = [each for each in SYSTEMS if importlib.util.find_spec(there.get(each, each))]
    with tempfile.TemporaryDirectory() as home:
        os.environ["NOSANA_JUPYTER_HOME"] = home
        local = [sys.executable, "-m", "nosana_jupyter.local"]
        subprocess.run([*local, "start"], check=True, capture_output=True)
        try:
            found = measure(names, options.megabytes, options.rounds)
        finally:
            subprocess.run([*local, "stop"], check=True, capture_output=True)
    for word, seconds in found.items():
        print(f"\n{options.megabytes} MB, {word}")
        ours = seconds["nosana_jupyter"]
        for name, each in seconds.items():
            text = f"  {name:16} {each * 1e3:8.1f} ms"
            if name in AIMS[word]:
                aim = AIMS[word][name]
                text += f"   ours / it {ours / each:5.2f}, aim {aim}: "
                text += "met" if ours <= aim * each else "MISSED"
            print(text)
    missing = sorted(SYSTEMS.keys() - set(names))
    if missing:
        print(f"\nnot installed here: {', '.join(missing)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
