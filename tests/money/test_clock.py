"""A clock that somebody sets while a cell runs."""

from __future__ import annotations

import asyncio
import time

import pytest

from nosana_jupyter import settings
from nosana_jupyter.client import Client
from nosana_jupyter.errors import ClockError
from nosana_jupyter.events import Cell, Event, Said
from nosana_jupyter.money.journal import Journal
from nosana_jupyter.rent.prolonging import Prolonging
from nosana_jupyter.units import Seconds

HOUR, DAY = 3600, 86_400


@pytest.mark.network
@pytest.mark.parametrize("jump", [HOUR, -HOUR, DAY, -DAY])
def test_a_cell_does_not_mind(network: object, monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    """
    It ends as it would have, is paid for its seconds, settled, and counted in a day's budget.
    """
    clock, moved = time.time, 0
    monkeypatch.setattr(time, "time", lambda: clock() + moved)
    monkeypatch.setenv("NOSANA_BUDGET_DAY", "1000 NOS")

    def hear(event: Event) -> None:
        nonlocal moved
        if isinstance(event, Said):
            moved = jump

    async def scene() -> None:
        client = await Client.open()
        try:
            paid, _ = client.journal.paid("local", clock() - 3 * DAY)
            began = time.monotonic()
            cell = Cell(
                source="print('now', flush=True)\nimport time\ntime.sleep(0.2)\nx = 1",
                namespace={}, timeout=Seconds(60), gpu="3070",
            )  # fmt: skip
            outcome = await client.run(cell, hear)
            took = time.monotonic() - began
            receipt = outcome.receipt
            assert receipt is not None
            assert moved == jump
            assert (outcome.status, receipt.status) == ("ok", "done")
            assert outcome.values["x"] == 1
            assert receipt.seconds <= took + 2
            assert (receipt.unexplained, receipt.unexplained_sol) == (0, 0)
            now, _ = client.journal.paid("local", clock() - 3 * DAY)
            assert now - paid == receipt.paid + receipt.network_fee
            assert (await client.status()).running == ()
            assert receipt.node not in client.hosts.avoided()
        finally:
            await client.close()

    asyncio.run(scene())


@pytest.mark.network
def test_a_clock_that_is_wrong_from_the_start(
    network: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A host takes nothing that is signed an hour from now: one is paid for saying so, none is blamed,
    and the user is told what is wrong.
    """
    clock = time.time

    async def scene() -> None:
        client = await Client.open()
        try:
            cell = Cell(source="x = 1", namespace={}, timeout=Seconds(60), gpu="3070")
            with monkeypatch.context() as patch:
                patch.setattr(time, "time", lambda: clock() + HOUR)
                with pytest.raises(ClockError, match="ahead of the chain's") as error:
                    await client.run(cell, lambda _: None)
            assert "are back in the wallet" in error.value.money
            assert len(client.journal.open_jobs("local", client.jobs.payer.account)) == 0
            assert error.value.receipt is not None
            assert error.value.receipt.node not in client.hosts.avoided()
        finally:
            await client.close()

    asyncio.run(scene())


@pytest.mark.parametrize("jump", [HOUR, -HOUR, DAY, -DAY])
def test_a_session_goes_by_a_clock_that_nobody_sets(
    monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    """
    A clock that is set neither makes it ask for time that it has, nor forget to.
    """
    kept = Prolonging(None, None, name="", step=Seconds(600), most=Seconds(3600), max_cost=None)  # type: ignore[arg-type]  # Nothing is asked of them.
    kept.began = time.time()
    before = kept.left
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + jump)

    assert before - 5 < kept.left <= before


def test_what_was_settled_under_a_wrong_clock_counts(home: object) -> None:
    """
    A receipt of tomorrow counts today: a clock that is set back makes no budget larger.
    """
    from test_limits import intent, receipt

    from nosana_jupyter.money import limits

    journal = Journal()
    journal.intend(intent("Job"))
    journal.settle(receipt("Job", 7))
    journal._db.execute("update jobs set updated = updated + 86400")
    journal._db.commit()
    (day,) = limits.those_set(settings.Settings(budget_day="1 NOS"), time.time())
    assert limits.used(day, journal, "local").nos == 7
    journal.close()
