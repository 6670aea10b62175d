"""
How long 1,000 small items take over four workers, beside ipyparallel, Dask and Ray.

Each system keeps four workers warm on this machine and is asked in turn with the others, so that
what else the machine does falls on all of them alike. Each is used as its own documentation maps a
function over many items: a load-balanced view's `map`, `Client.map`, `ray.get` of one task each.
Ours goes the whole way: four hosts of the local network, a tunnel, sealed lines, four runners.
Times are medians.

    python bench/pool.py [--rounds 7] [--items 1000]       (pip install -e '.[bench]')
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WORKERS = 4

AIMS = {"ipyparallel": 1.0, "dask": 1.0}
"""At most this many times the peer's time."""

Call = Callable[[range], list[int]]


def small(number: int) -> int:
    return number * number


@contextmanager
def ipyparallel() -> Iterator[Call]:
    import ipyparallel

    with ipyparallel.Cluster(n=WORKERS, log_level=40) as clients:
        clients.wait_for_engines(WORKERS)
        view = clients.load_balanced_view()
        yield lambda items: list(view.map_sync(small, items))


@contextmanager
def ray() -> Iterator[Call]:
    import ray

    ray.init(num_cpus=WORKERS, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    made = ray.remote(small)
    yield lambda items: list(ray.get([made.remote(each) for each in items]))
    ray.shutdown()


@contextmanager
def dask() -> Iterator[Call]:
    from distributed import Client

    with Client(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as client:
        yield lambda items: list(client.gather(client.map(small, items, pure=False)))


@contextmanager
def nosana() -> Iterator[Call]:
    from nosana_jupyter import Executor

    with Executor(WORKERS, progress=False, timeout="30m", idle="30m") as executor:
        # Each host begins with work of its own.
        deadline = time.monotonic() + 120
        while executor.hosts < WORKERS and time.monotonic() < deadline:
            list(executor.map(time.sleep, [0.2] * WORKERS))
        assert executor.hosts == WORKERS
        yield lambda items: list(executor.map(small, items))


SYSTEMS = {"nosana_jupyter": nosana, "ipyparallel": ipyparallel, "ray": ray, "dask": dask}


def child(name: str) -> None:
    """Be one of the systems: for each number on standard input, map over so many items."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with SYSTEMS[name]() as call:
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            items = range(int(line))
            began = time.perf_counter()
            result = call(items)
            seconds = time.perf_counter() - began
            assert result == [each * each for each in items]
            print(seconds, file=answers, flush=True)


def measure(names: list[str], items: int, rounds: int) -> dict[str, float]:
    """Return the median of each system, in seconds."""
    started: dict[str, subprocess.Popen[str]] = {}
    try:
        for name in names:
            # One after the other: to start is work for the whole machine.
            process = subprocess.Popen(
                [sys.executable, __file__, "--child", name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            started[name] = process
            assert process.stdout
            if process.stdout.readline().strip() != "ready":
                print(f"{name} does not start here")
                del started[name]
        times: dict[str, list[float]] = {name: [] for name in started}
        for turn in range(rounds + 1):
            for name, process in started.items():
                assert process.stdin
                assert process.stdout
                print(items, file=process.stdin, flush=True)
                seconds = float(process.stdout.readline())
                if turn:  # In the first one connections are made.
                    times[name].append(seconds)
    finally:
        for process in started.values():
            if process.stdin:
                process.stdin.close()
            process.wait(60)
    return {name: statistics.median(each) for name, each in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return 0
    there = {"dask": "distributed"}
    names = [each for each in SYSTEMS if importlib.util.find_spec(there.get(each, each))]
    with tempfile.TemporaryDirectory() as home:
        os.environ["NOSANA_JUPYTER_HOME"] = home
        local = [sys.executable, "-m", "nosana_jupyter.local"]
        hosts = ["--hosts", str(WORKERS), "--executor", "process"]
        subprocess.run([*local, "start", *hosts], check=True, capture_output=True)
        try:
            found = measure(names, options.items, options.rounds)
        finally:
            subprocess.run([*local, "stop"], check=True, capture_output=True)
    print(f"{options.items:,} small items, {WORKERS} workers")
    ours = found["nosana_jupyter"]
    for name, each in found.items():
        text = f"  {name:16} {each * 1e3:8.1f} ms"
        if name in AIMS:
            aim = AIMS[name]
            text += f"   ours / it {ours / each:5.2f}, aim {aim}: "
            text += "met" if ours <= aim * each else "MISSED"
        elif name != "nosana_jupyter":
            text += f"   ours / it {ours / each:5.2f}"
        print(text)
    if missing := sorted(SYSTEMS.keys() - set(names)):
        print(f"\nnot installed here: {', '.join(missing)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
