"""
How long 1,000 small items take over four workers, beside ipyparallel, Dask and Ray.

Each system keeps four workers warm on this machine and is asked in turn with the others, so that
what else the machine does falls on all of them alike. Each is used as its own documentation maps a
function over many items: a load-balanced view's `map`, `Client.map`, `ray.get` of one task each.
Ours goes the whole way: four hosts of the local network, a tunnel, sealed lines, four runners.
Times are medians.

    python bench/pool.py       (pip install -e '.[bench]')
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import children
import sides

WORKERS = 4

AIMS = {"ipyparallel": 1.0, "dask": 1.0}
"""At most this many times the peer's time."""

Call = Callable[[range], list[int]]


def small(number: int) -> int:
    return number * number


@contextmanager
def ipyparallel(workers: int) -> Iterator[Call]:
    import ipyparallel

    with ipyparallel.Cluster(n=workers, log_level=40) as clients:
        clients.wait_for_engines(workers)
        view = clients.load_balanced_view()
        yield lambda items: list(view.map_sync(small, items))


@contextmanager
def ray(workers: int) -> Iterator[Call]:
    import ray

    ray.init(num_cpus=workers, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    made = ray.remote(small)
    yield lambda items: list(ray.get([made.remote(each) for each in items]))
    ray.shutdown()


@contextmanager
def dask(workers: int) -> Iterator[Call]:
    from distributed import Client

    with Client(n_workers=workers, threads_per_worker=1, dashboard_address=None) as client:
        yield lambda items: list(client.gather(client.map(small, items, pure=False)))


@contextmanager
def nosana(workers: int) -> Iterator[Call]:
    from nosana_jupyter import Executor

    with Executor(workers, progress=False, timeout="30m", idle="30m") as executor:
        # Each host begins with work of its own.
        deadline = time.monotonic() + 120
        while executor.hosts < workers and time.monotonic() < deadline:
            list(executor.map(time.sleep, [0.2] * workers))
        assert executor.hosts == workers
        yield lambda items: list(executor.map(small, items))


SYSTEMS = {"nosana_jupyter": nosana, "ipyparallel": ipyparallel, "ray": ray, "dask": dask}
PEERS = {"ipyparallel": "ipyparallel", "ray": "ray", "dask": "distributed"}
"""And the module that each needs."""


def child(name: str, workers: int) -> None:
    """Be one of the systems: for each number that is said, map over so many items."""

    def measured(call: Call, word: str) -> float:
        items = range(int(word))
        began = time.perf_counter()
        result = call(items)
        seconds = time.perf_counter() - began
        assert result == [each * each for each in items]
        return seconds

    children.serve(partial(SYSTEMS[name], workers), measured)


def measure(tiny: bool, peers: bool) -> sides.Report:
    items, rounds, workers = (20, 1, 1) if tiny else (1_000, 7, WORKERS)
    found, missing = sides.there(PEERS if peers else {})
    argv = {name: [__file__, "--child", name, str(workers)] for name in (children.OURS, *found)}
    with sides.network("--hosts", str(workers)), children.started(argv) as (systems, silent):
        asked = {name: partial(each.ask, str(items)) for name, each in systems.items()}
        # In the first one connections are made.
        times = sides.alternate(asked, rounds=rounds, warm=0 if tiny else 1)
    return sides.Report(
        rows=[
            sides.compare(
                f"{items:,} small map items, {workers} workers", name, times[children.OURS],
                times[name], aim=AIMS.get(name),
            )
            for name in times
            if name != children.OURS or len(times) == 1
        ],
        missing=missing + silent,
    )  # fmt: skip


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(sys.argv[-2], int(sys.argv[-1]))
    else:
        sys.exit(sides.main(measure, __doc__))
