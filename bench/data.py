"""
How long an array takes to a host and back, sealed, beside ipyparallel, Ray and Dask.

Each system keeps one worker warm on this machine and is asked in turn with the others, so that what
else the machine does falls on all of them alike. Ours goes the whole way: a session on the local
network, its tunnel, a sealed line, a runner. Times are medians.

    new        an array that nobody has seen goes there, and what is made of it comes back
    again      the same array, unchanged, goes there; a number comes back

    python bench/data.py       (pip install -e '.[bench]')
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import children
import sides

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
    from nosana_jupyter.client import Client
    from nosana_jupyter.events import Cell
    from nosana_jupyter.market.choosing import Requirements
    from nosana_jupyter.rent.session import Order
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
PEERS = {"ipyparallel": "ipyparallel", "ray": "ray", "dask": "distributed"}
"""And the module that each needs."""

WHAT = {"new": "{} MB array there and back, sealed", "again": "the same array again, unchanged"}


def child(name: str, megabytes: int) -> None:
    """Be one of the systems."""
    import numpy as np

    array = np.random.default_rng(0).random(megabytes * 1_000_000 // 8)

    def measured(call: Call, word: str) -> float:
        nonlocal array
        if word == "new":
            array += 1
        function = plus if word == "new" else ends
        began = time.perf_counter()
        result = call(function, array)
        seconds = time.perf_counter() - began
        assert np.array_equal(result, function(array))
        return seconds

    children.serve(SYSTEMS[name], measured)


def measure(tiny: bool, peers: bool) -> sides.Report:
    megabytes, rounds = (4, 1) if tiny else (100, 7)
    found, missing = sides.there(PEERS if peers else {})
    argv = {name: [__file__, "--child", name, str(megabytes)] for name in (children.OURS, *found)}
    times: dict[str, dict[str, list[float]]] = {}
    with sides.network(), children.started(argv) as (systems, silent):
        for word in AIMS:
            asked = {name: partial(each.ask, word) for name, each in systems.items()}
            # The first two find out what memory there is.
            times[word] = sides.alternate(asked, rounds=rounds, warm=0 if tiny else 2)
    return sides.Report(
        rows=[
            sides.compare(
                WHAT[word].format(megabytes), name, each[children.OURS], each[name],
                aim=AIMS[word].get(name),
            )
            for word, each in times.items()
            for name in each
            if name != children.OURS or len(each) == 1
        ],
        missing=missing + silent,
    )  # fmt: skip


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(sys.argv[-2], int(sys.argv[-1]))
    else:
        sys.exit(sides.main(measure, __doc__))
