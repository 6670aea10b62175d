"""One function over many hosts, on a real network."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pool_work import deadly, nested, picky, triple

from nosana_jupyter import Executor
from nosana_jupyter.backlog import PoisonItem
from nosana_jupyter.choosing import Requirements
from nosana_jupyter.errors import CannotTravel, FundsError, JobError, RemoteError
from nosana_jupyter.events import Event, Settled, Waiting
from nosana_jupyter.portal import shared
from nosana_jupyter.units import Seconds

pytestmark = [pytest.mark.network]


@pytest.fixture
def two(network: Any) -> Iterator[Executor]:
    with Executor(hosts=2, progress=False, timeout="5m", idle="30s") as executor:
        yield executor


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

    def test_constants_go_once(self, network: Any) -> None:
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

    def test_nothing(self, two: Executor) -> None:
        """A map over nothing rents nothing and ends."""
        assert list(two.map(triple, [])) == []
        assert two.hosts == 0

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

    def test_after_shutdown(self, network: Any) -> None:
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

    def test_idle_hosts_are_let_go(self, network: Any) -> None:
        """A host without work is settled, and another comes when there is work again."""
        with Executor(hosts=1, progress=False, idle=1) as executor:
            assert executor.submit(triple, 2).result(60) == 6
            deadline = time.monotonic() + 30
            while executor.hosts and time.monotonic() < deadline:
                time.sleep(0.05)
            assert executor.hosts == 0
            assert executor.submit(triple, 3).result(60) == 9

    def test_a_cap_that_admits_nobody(self, network: Any) -> None:
        """Without money for one host every item says so, and nothing is spent."""
        with Executor(hosts=2, progress=False, max_cost="0.000001 NOS") as executor:
            error = executor.submit(triple, 2).exception(60)

            assert isinstance(error, FundsError)
            assert executor.cost == 0

    def test_a_cap_that_admits_one(self, network: Any) -> None:
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

    def test_cancel_what_waits(self, network: Any) -> None:
        """What has not begun can be taken back."""
        with Executor(hosts=1, progress=False) as executor:
            first = executor.submit(time.sleep, 1)
            later = [executor.submit(triple, each) for each in range(100)]
            executor.shutdown(cancel_futures=True)

        assert first.done()
        assert all(each.cancelled() or each.result() is not None for each in later)
        assert any(each.cancelled() for each in later)
