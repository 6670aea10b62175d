"""What many hosts have still to do, cut into batches."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import HostFailed
from nosana_jupyter.pool.audience import Audience
from nosana_jupyter.pool.backlog import HEAVY, MOST, Backlog, Item, PoisonItem

HERE = Audience(print)
DEATH = HostFailed("the host went away", hint="Run it again.")


def items(count: int, argument: object = 1) -> list[Item]:
    return [
        Item(number=each, function=abs, args=(argument,), kwargs={}, audience=HERE)
        for each in range(count)
    ]


def test_the_first_batch_is_one_item() -> None:
    """Nobody knows yet how long an item takes: a slow one must not wait behind others."""
    backlog = Backlog(2, retries=3)
    backlog.add(items(100))

    assert len(backlog.take()) == 1


def test_quick_items_go_together_and_slow_ones_alone() -> None:
    """A batch is as long as the last ones were quick; a slow one counts at once."""
    backlog = Backlog(2, retries=3)
    backlog.add(items(1000))
    backlog.timed(1, 0.001)
    assert len(backlog.take()) == 250  # A quarter second, and a fair share for two hosts.
    backlog.timed(250, 250 * 10.0)
    assert len(backlog.take()) == 1


def test_the_last_batches_are_shared() -> None:
    """No host takes all that is left while others have nothing to do."""
    backlog = Backlog(4, retries=3)
    backlog.add(items(80))
    backlog.timed(1, 0.025)

    assert len(backlog.take()) == 10


def test_tiny_items_are_one_batch_for_each_host() -> None:
    """Where all of it is quicker than a conversation, each host has its share and no more."""
    backlog = Backlog(4, retries=3)
    backlog.add(items(1000))
    backlog.timed(1, 1e-6)

    assert [len(backlog.take()) for _ in range(5)] == [250, 250, 250, 250, 0]


def test_a_slow_first_item_is_soon_forgotten() -> None:
    """What an import takes once does not keep batches small: many quick items count for many."""
    backlog = Backlog(1, retries=3)
    backlog.timed(1, 1.0)
    backlog.timed(1, 1e-6)
    backlog.timed(1, 1e-6)
    for count in (2, 3, 10):
        backlog.timed(count, 1e-6)
    backlog.add(items(1000))

    assert len(backlog.take()) > 100


def test_heavy_arguments_fill_a_batch() -> None:
    """Arguments of one batch are not more than fit: it is full at 64 MiB."""
    backlog = Backlog(1, retries=3)
    for _ in range(4):
        backlog.add(items(1, np.zeros(HEAVY // 2 + 1, dtype="u1")))
    backlog.add(items(20, np.zeros(HEAVY // 2 + 1, dtype="u1")))
    backlog.timed(1, 1e-9)

    assert len(backlog.take()) == 2
    assert len(backlog.take()) == 2
    assert len(backlog.take()) == 20  # What is shared goes once.


def test_what_was_cancelled_is_not_done() -> None:
    """A future that its owner has cancelled is left out of its batch."""
    backlog = Backlog(1, retries=3)
    given = items(3)
    backlog.add(given)
    given[0].future.cancel()
    given[1].future.cancel()

    assert backlog.take() == [given[2]]
    assert backlog.take() == []


def test_poison_is_found_among_many() -> None:
    """Whatever ends its hosts is alone in the end, and named; all others are done."""
    backlog = Backlog(4, retries=3)
    given = items(200)
    backlog.add(given)
    backlog.timed(1, 1e-9)
    deaths = 0
    while backlog:
        batch = backlog.take()
        if any(each.number == 17 for each in batch):
            deaths += 1
            backlog.lost(batch, DEATH)
        else:
            for each in batch:
                each.future.set_result(each.number)

    assert [each.future.result() for each in given if each.number != 17] == [
        number for number in range(200) if number != 17
    ]
    error = given[17].future.exception()
    assert isinstance(error, PoisonItem)
    assert str(error) == ("item 17 (abs(1)) ended 3 hosts that ran it alone: the host went away")
    assert error.hint == "Run it again."
    assert deaths < 12


@given(st.lists(st.floats(0, 100), max_size=40), st.integers(1, 9), st.integers(1, 700))
def test_everything_is_taken_once(seconds: list[float], hosts: int, count: int) -> None:
    """Whatever batches take, no item is left out or taken twice."""
    backlog = Backlog(hosts, retries=3)
    backlog.add(items(count))
    taken: list[int] = []
    paces = iter(seconds)
    while batch := backlog.take():
        assert len(batch) <= MOST
        taken += [each.number for each in batch]
        backlog.timed(len(batch), next(paces, 0.001))

    assert taken == list(range(count))
    assert not backlog


def test_a_name_survives_a_bad_repr() -> None:
    """An argument whose `repr` raises or is long does no harm to the name of its item."""

    class Bad:
        def __repr__(self) -> str:
            raise RuntimeError

    bad = Item(
        number=3, function=print, args=(Bad(), "x" * 100), kwargs={"end": "\n"}, audience=HERE
    )

    assert bad.name.startswith("item 3 (print(<Bad: repr raised RuntimeError>, 'xxx")
    assert len(bad.name) < 150


def test_clear_gives_everything_back() -> None:
    """What waits is returned, also what a lost host was at."""
    backlog = Backlog(1, retries=3)
    given = items(5)
    backlog.add(given)
    backlog.lost(backlog.take(), DEATH)

    assert set(backlog.clear()) == set(given)
    assert not backlog


def test_an_end_is_not_overwritten() -> None:
    """An item whose future has an end keeps it."""
    item = Item(number=0, function=abs, args=(1,), kwargs={}, audience=HERE, future=Future())
    item.future.set_result(1)
    item.fail(DEATH)

    assert item.future.result() == 1
