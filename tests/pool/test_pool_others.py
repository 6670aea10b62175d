"""What takes an executor takes ours: joblib, scikit-learn, Dask, asyncio; and what it is given."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Iterator
from functools import partial

import dask
import dask.array
import dask.bag
import joblib
import pytest
from pool_work import Multiplier, picky, triple
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier

from nosana_jupyter import Executor
from nosana_jupyter.errors import JobError
from nosana_jupyter.joblib import on

pytestmark = [pytest.mark.network]


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


def test_dask(two: Executor) -> None:
    """Delayed objects, bags and arrays are computed on hosts, with the results they have here."""
    parts = [dask.delayed(triple)(each) for each in range(6)]
    assert dask.compute(dask.delayed(sum)(parts), scheduler=two) == (45,)
    with dask.config.set(scheduler=two):
        assert dask.bag.from_sequence(range(50), npartitions=4).map(triple).sum().compute() == 3675
        table = dask.array.arange(10_000, chunks=2_500)
        assert int((table * 2).sum().compute()) == 99_990_000
    assert two.hosts > 0


def test_dask_says_what_fails(two: Executor) -> None:
    """What a task raises comes out here; what it makes that is no plain data is an error."""
    with pytest.raises(ValueError, match="seven"):
        dask.compute(dask.delayed(picky)(7), scheduler=two)
    with pytest.raises(JobError, match=r"cannot come back: .*lock"):
        dask.compute(dask.delayed(threading.Lock)(), scheduler=two)


def test_what_executors_are_given(two: Executor) -> None:
    """Lambdas, closures, bound methods and partials travel as functions do."""
    factor = 5
    calls = [lambda: factor * 2, partial(pow, 2, 5), Multiplier(3).times_four, "a,b".split]
    given = [two.submit(call) if number < 3 else two.submit(call, ",")
             for number, call in enumerate(calls)]  # fmt: skip

    assert [each.result(60) for each in given] == [10, 32, 12, ["a", "b"]]


def test_waiting(two: Executor) -> None:
    """Timeouts of results and of maps are those of Python; the executor goes on after them."""
    slow = two.submit(time.sleep, 2)
    with pytest.raises(TimeoutError):
        slow.result(timeout=0.05)
    with pytest.raises(TimeoutError, match=r"[12] items are not done after 0\.3 s"):
        list(two.map(time.sleep, [0, 30], timeout=0.3))
    done, left = concurrent.futures.wait([slow, two.submit(triple, 1)], timeout=60)
    assert (len(done), len(left)) == (2, 0)


def test_a_source_without_an_end(two: Executor) -> None:
    """Of a generator so many items are taken as are needed, and no more."""
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = two.map(triple, endless(), buffersize=20)
    assert [next(results) for _ in range(50)] == [3 * each for each in range(1, 51)]
    assert taken < 75
    concurrent.futures.wait(results.futures)


def test_a_source_that_raises(two: Executor) -> None:
    """What a generator raises comes out of the map; the items before it are done."""

    def short() -> Iterator[int]:
        yield 1
        yield 2
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        two.map(triple, short())
