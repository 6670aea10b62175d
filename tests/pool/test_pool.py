"""One function over many hosts, on a real network."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import Any

import numpy as np
import pytest
from pool_work import deadly, nested, picky, triple

from nosana_jupyter import Executor
from nosana_jupyter.errors import CannotTravel, JobError, RemoteError
from nosana_jupyter.pool.backlog import PoisonItem

pytestmark = [pytest.mark.network]


class TestMap:
    def test_in_order(self, two: Executor) -> None:
        """A thousand small items come back in their order, with what the function reads."""
        assert list(two.map(triple, range(1000))) == [3 * each for each in range(1000)]

    def test_as_they_come(self, two: Executor) -> None:
        """Without an order all results come, each once."""
        found = list(two.map(triple, range(50), ordered=False))

        assert sorted(found) == [3 * each for each in range(50)]

    def test_several_iterables_and_constants(self, two: Executor) -> None:
        """Arguments come from several iterables, and constants are the same for all."""
        table = np.arange(300_000)

        def look(first: int, second: int, *, table: Any) -> int:
            return int(table[first] + table[second])

        assert list(two.map(look, [1, 2], [10, 20], constants={"table": table})) == [11, 22]

    def test_what_an_item_raises(self, two: Executor) -> None:
        """The item is named, the host's traceback is there, and other results are kept."""
        results = two.map(picky, range(10))
        with pytest.raises(ValueError, match="seven") as raised:
            list(results)

        assert isinstance(raised.value, RemoteError)
        assert "This was item 7 (picky(7))." in raised.value.__notes__
        assert any("in picky" in each for each in raised.value.__notes__)
        concurrent.futures.wait(results.futures)
        assert results.partial() == {each: each for each in range(10) if each != 7}
        assert list(results.errors()) == [7]

    def test_an_item_that_kills_its_host(self, two: Executor) -> None:
        """Poison is named after it was tried alone; the other items are done elsewhere."""
        results = two.map(deadly, range(12), ordered=False)
        with pytest.raises(PoisonItem, match=r"item 5 \(deadly\(5\)\) ended 3 hosts"):
            list(results)
        concurrent.futures.wait(results.futures)

        assert results.partial() == {each: each for each in range(12) if each != 5}


class TestExecutor:
    def test_futures(self, two: Executor) -> None:
        """It is an executor like others: `submit`, `as_completed`, exceptions."""
        given = {two.submit(pow, 2, each): 2**each for each in range(6)}
        for future in concurrent.futures.as_completed(given, timeout=60):
            assert future.result() == given[future]

        assert isinstance(two.submit(picky, 7).exception(60), ValueError)

    def test_what_cannot_travel(self, two: Executor) -> None:
        """An argument that cannot travel fails its own item only, and is named."""
        results = [two.submit(str, threading.Lock()), two.submit(str, 1)]

        assert isinstance(results[0].exception(60), CannotTravel)
        assert results[1].result(60) == "1"

    def test_what_cannot_come_back(self, two: Executor) -> None:
        """A result that is no plain data is an error that says so, and no pickle."""
        error = two.submit(threading.Thread).exception(60)

        assert isinstance(error, JobError)
        assert "returned what cannot come back" in str(error)

    def test_not_on_a_host(self, two: Executor) -> None:
        """A module that imports the executor travels; to use it there is refused by name."""
        error = two.submit(nested, 1).exception(60)

        assert isinstance(error, RuntimeError)
        assert str(error) == "Executor of nosana_jupyter is not there on a host"
