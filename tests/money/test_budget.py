"""What all cells may cost together, in one process and in several."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nosana_jupyter import settings
from nosana_jupyter.errors import FundsError
from nosana_jupyter.money.budget import Budget
from nosana_jupyter.money.journal import DETACHED, Intent, Journal, owner_of
from nosana_jupyter.money.receipt import Receipt
from nosana_jupyter.units import Lamports, MicroNos

NOS = 1_000_000


@pytest.fixture
def journal(home: Path) -> Iterator[Journal]:
    """The journal of a user with a budget of 1 NOS."""
    settings.save("budget", "1 NOS")
    opened = Journal()
    yield opened
    opened.close()


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another kernel that runs."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.communicate()


def intent(job: str, owner: str, *, network: str = "local", price: int = 1_000) -> Intent:
    return Intent(
        job=job, network=network, wallet="Wal", market="Mar", slug="m", gpu="g",
        price=MicroNos(price), timeout=600, fee=MicroNos(0), run="", owner=owner,
    )  # fmt: skip


def receipt(job: str, paid: int) -> Receipt:
    return Receipt(
        job=job, network="local", market="m", market_address="Mar", gpu="g", wallet="Wal",
        node="Nod", ran_by="g", status="done", seconds=1, price=MicroNos(1), deposit=MicroNos(paid),
        paid=MicroNos(paid), refunded=MicroNos(0), network_fee=MicroNos(0), sol_fee=Lamports(0),
        sol_rent=Lamports(0), signatures={},
    )  # fmt: skip


def take(budget: Budget, journal: Journal, job: str, amount: int) -> None:
    with budget.taken(job, amount, journal, network="local"):
        pass


def test_kernels_share_a_budget(journal: Journal, other: subprocess.Popen[bytes]) -> None:
    """
    What another has open or has spent counts while it runs, and then only what is open.
    """
    budget, owner = Budget(), owner_of(other.pid)
    journal.intend(intent("Open", owner))
    journal.intend(intent("Spent", owner))
    journal.settle(receipt("Spent", 300_000))
    journal.intend(intent("Elsewhere", owner, network="mainnet"))
    with pytest.raises(FundsError) as caught:
        take(budget, journal, "Mine", 200_000)
    assert str(caught.value) == (
        "this may cost 0.200000 NOS, and of the budget of 1 NOS for all cells 0.100000 NOS is "
        "left, as 0.900000 NOS are with other kernels and open jobs. Nothing was spent on it"
    )
    take(budget, journal, "Mine", 100_000)
    other.communicate()
    take(budget, journal, "Next", 300_000)
    with pytest.raises(FundsError):
        take(budget, journal, "Last", 1)


def test_what_goes_on_by_itself_counts(journal: Journal) -> None:
    """
    A detached job holds its deposit until it is settled; one that is given more time, both.
    """
    budget = Budget()
    journal.intend(intent("Detached", DETACHED))
    take(budget, journal, "Detached", 300_000)
    assert budget.used == 900_000
    with pytest.raises(FundsError):
        take(budget, journal, "More", 200_000)
    budget.settle("Detached", 10)
    take(budget, journal, "More", 200_000)


def test_a_budget_of_the_environment_is_of_one_process(
    journal: Journal, other: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    As the command line gives it to the notebook that it runs, whatever else runs.
    """
    monkeypatch.setenv(settings.variable("budget"), "1 NOS")
    journal.intend(intent("Open", owner_of(other.pid), price=10_000))
    budget = Budget()
    take(budget, journal, "Mine", NOS)
    with pytest.raises(FundsError, match=r"0\.000000 NOS is left\. Nothing"):
        take(budget, journal, "More", 1)


def test_without_a_budget_nothing_is_asked(journal: Journal) -> None:
    """
    What is held is known all the same, should one be set later.
    """
    settings.save("budget", "")
    budget = Budget()
    take(budget, journal, "Dear", 10 * NOS)
    assert budget.used == 10 * NOS
    budget.give_back("Dear", NOS)
    assert budget.used == 9 * NOS
