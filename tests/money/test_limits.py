"""What may be spent in a day, in a month and for a notebook, by all kernels of a user."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from nosana_jupyter import settings
from nosana_jupyter.errors import OverBudget, UsageError
from nosana_jupyter.market.markets import Market, Quote
from nosana_jupyter.market.rates import Rate
from nosana_jupyter.money import consent, limits
from nosana_jupyter.money.budget import Budget
from nosana_jupyter.money.journal import Intent, Journal, Receipt
from nosana_jupyter.money.limits import Amount, Limit
from nosana_jupyter.units import GiB, Lamports, MicroNos, MicroUsd, Seconds

NOS = 1_000_000
RATE = Rate(
    usd=Decimal("0.3"), least=Decimal("0.25"), most=Decimal("0.4"), at=0.0, sources=("a", "b")
)


@pytest.fixture
def journal(home: Path) -> Iterator[Journal]:
    opened = Journal()
    yield opened
    opened.close()


def intent(
    job: str, *, notebook: str = "", pay: str = "nos", seconds: int = 100, extending: int = 0
) -> Intent:
    """Return what holds 1,100 micro-NOS a second, or 1,000 micro-dollars."""
    return Intent(
        job=job, network="local", wallet="Wal", market="Mar", slug="m", gpu="g",
        price=MicroNos(1_000), timeout=seconds, fee=MicroNos(100 * seconds), run="", pay=pay,
        usd=MicroUsd(1_000 * seconds if pay == "credits" else 0), notebook=notebook,
        extending=extending,
    )  # fmt: skip


def receipt(job: str, paid: int, *, pay: str = "nos") -> Receipt:
    """Return one of a job that cost this, half of it as a fee, in NOS or in dollars."""
    return Receipt(
        job=job, network="local", market="m", market_address="Mar", gpu="g", wallet="Wal",
        status="done", seconds=1, price=MicroNos(1), deposit=MicroNos(paid), pay=pay,
        paid=MicroNos(paid - paid // 2), refunded=MicroNos(0), network_fee=MicroNos(paid // 2),
        sol_fee=Lamports(0), sol_rent=Lamports(0),
        used=MicroUsd(paid if pay == "credits" else 0),
    )  # fmt: skip


def take(journal: Journal, job: Intent, *, network: str = "local", rate: Rate = RATE) -> None:
    """Write an intent down as a posting does."""
    most = job.price * job.timeout + job.fee
    credit = job.usd if job.pay == "credits" else None
    with Budget().taken(job.job, most, journal, network=network, rate=rate, credit=credit):
        journal.intend(job)


MOMENTS = st.datetimes(
    min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1), timezones=st.just(UTC)
)


@given(MOMENTS)
@example(datetime(2024, 2, 29, 23, 59, 59, 999_000, tzinfo=UTC))
@example(datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC))
@example(datetime(2025, 1, 31, 0, 0, tzinfo=UTC))
@hypothesis_settings(max_examples=200)
def test_days_and_months_are_those_of_utc(moment: datetime) -> None:
    """
    A moment is in its own day and month, which begin at midnight and end where the next begin.
    """
    chosen = settings.Settings(budget_day="1", budget_month="2 NOS")
    day, month = limits.those_set(chosen, moment.timestamp())
    for limit in (day, month):
        assert limit.until is not None
        assert limit.since <= moment.timestamp() < limit.until
        for edge in (limit.since, limit.until):
            assert f"{datetime.fromtimestamp(edge, UTC):%H:%M:%S}" == "00:00:00"
        following = limits.those_set(chosen, limit.until)
        assert limit.until in {each.since for each in following}
    assert day.until is not None
    assert day.until - day.since == 86_400
    assert datetime.fromtimestamp(month.since, UTC).day == 1
    assert (datetime.fromtimestamp(month.since, UTC) + timedelta(days=31)).timestamp() >= (
        month.until or 0
    )


JOBS = st.lists(
    st.tuples(
        st.sampled_from(["open", "unsure", "unsent", "settled", "again"]),
        st.sampled_from(["", "one", "two"]),
        st.sampled_from(["nos", "credits"]),
        st.integers(0, 10**12),
        st.integers(-3 * 86_400, 86_400),
    ),
    max_size=12,
)


@given(JOBS, st.integers(-86_400, 86_400))
@hypothesis_settings(max_examples=25)
def test_sums_are_those_of_the_jobs(
    jobs: list[tuple[str, str, str, int, int]], begins: int
) -> None:
    """
    What is open counts whole, what was settled since counts with its cost, and nothing else does.
    """
    now = time.time()
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.sqlite")
        journal._db.execute("pragma synchronous = off")
        expected = dict.fromkeys(("", "one", "two"), Amount())
        for number, (state, notebook, pay, cost, at) in enumerate(jobs):
            job = intent(f"J{number}", notebook=notebook, pay=pay, seconds=cost % 1000 + 1)
            journal.intend(job)
            counts = Amount()
            if state in ("settled", "again"):
                journal.settle(receipt(job.job, cost, pay=pay))
                journal._db.execute(
                    "update jobs set updated = ? where job = ?", (now + at, job.job)
                )
                journal._db.commit()
                if state == "again":  # As after a comparison, or when two settle it at once.
                    journal.settle(receipt(job.job, cost, pay=pay))
                    journal.own(job.job, "detached")
                if at >= begins:
                    counts = Amount(usd=cost) if pay == "credits" else Amount(nos=cost)
            else:
                journal.mark(job.job, {"open": "running"}.get(state, state))
                if state != "unsent":
                    counts = limits.held(journal._entries("where job = ?", (job.job,))[0])
                    assert counts in (Amount(nos=1_100 * job.timeout), Amount(usd=job.usd))
            for name in {"", notebook}:
                expected[name] += counts
        for name, amount in expected.items():
            limit = Limit(name="budget_day", text="1 NOS", since=now + begins, notebook=name)
            assert limits.used(limit, journal, "local") == amount
            assert limits.used(limit, journal, "mainnet") == Amount()
        journal.close()


def test_an_extension_counts_before_it_is_done(journal: Journal) -> None:
    """
    With its fee, from when it is written down.
    """
    journal.intend(intent("Nos", extending=300))
    journal.intend(intent("Usd", pay="credits", extending=300))
    whole = Limit(name="budget_notebook", text="1 NOS")
    assert limits.used(whole, journal, "local") == Amount(nos=330_000, usd=300_000)


def test_dollars_and_nos_are_weighed_so_that_the_sum_is_rather_too_large() -> None:
    """
    A budget in dollars takes NOS for dear; one in NOS takes it for cheap. Nothing needs no rate.
    """
    mixed = Amount(nos=1_000_001, usd=500_000)
    assert mixed.dollars(RATE) == 900_001
    assert mixed.tokens(RATE) == 3_000_001
    assert Amount(usd=5).dollars(None) == 5
    assert Amount(nos=5).tokens(None) == 5
    with pytest.raises(UsageError, match="nobody says what NOS is worth"):
        mixed.dollars(None)


def test_a_refusal_says_which_budget_what_is_left_and_when_it_renews(journal: Journal) -> None:
    """
    And what to change. Yesterday's receipts count no more; what is open does, whoever posted it.
    """
    settings.save("budget_day", "$0.10")
    journal.intend(intent("Old"))
    journal.settle(receipt("Old", 50 * NOS))
    with journal._db as db:
        db.execute("update jobs set updated = updated - 86400")
    take(journal, intent("Open"))
    journal.intend(intent("Spent"))
    journal.settle(receipt("Spent", 50_000))
    with pytest.raises(OverBudget) as caught:
        take(journal, intent("Next"))
    assert str(caught.value) == (
        "this may cost $0.044, and of the budget of $0.10 for today (budget_day) $0.036 is left: "
        "$0.064 is spent or held by open jobs. Nothing was spent on it"
    )
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert caught.value.hint.startswith(f"It renews at {tomorrow:%Y-%m-%d} 00:00 UTC, in ")
    assert caught.value.hint.endswith("Change it: %nosana config budget_day VALUE, or --unset.")
    assert journal.find("Next") is None
    ((label, text),) = limits.told(journal, "local", RATE)
    assert label == "today"
    assert text.startswith("$0.064 of $0.10 used or held, $0.036 left; renews at ")
    take(journal, intent("Less", seconds=81))


def test_a_budget_without_a_unit_is_told_with_one(journal: Journal) -> None:
    """In a refusal and in what `%nosana` shows: a number alone is of NOS, and says so."""
    settings.save("budget_day", "0.00001")
    with pytest.raises(OverBudget, match=r"of the budget of 0\.00001 NOS for today"):
        take(journal, intent("Next"))
    ((_, text),) = limits.told(journal, "local", RATE)
    assert text.startswith("0.000000 NOS of 0.00001 NOS used or held, 0.000010 NOS left")


def test_credits_count_in_dollars(journal: Journal) -> None:
    """
    No rate is needed for them in a budget in dollars.
    """
    settings.save("budget_month", "$0.25")
    take(journal, intent("One", pay="credits"), rate=None)  # type: ignore[arg-type]
    take(journal, intent("Two", pay="credits"), rate=None)  # type: ignore[arg-type]
    with pytest.raises(OverBudget, match=r"of \$0\.25 for this month \(budget_month\) \$0\.05 is"):
        take(journal, intent("Three", pay="credits"), rate=None)  # type: ignore[arg-type]


def test_each_notebook_has_its_own(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It is known by its path, in every kernel; without a server that says it, a process is one.
    """
    settings.save("budget_notebook", "0.2 NOS")
    for name in ("one.ipynb", "two.ipynb", ""):
        monkeypatch.setenv("JPY_SESSION_NAME", name)
        take(journal, intent(f"In{name}", notebook=limits.notebook()))
        with pytest.raises(OverBudget, match="for this notebook"):
            take(journal, intent("More", notebook=limits.notebook()))
    assert limits.notebook().startswith(f"{os.getpid()}@")


def test_a_project_only_lowers_them(home: Path, tmp_path: Path) -> None:
    """
    A file that came with a repository cannot raise what a user allows, nor what is asked about.
    """
    names = ("budget_day", "budget_month", "budget_notebook", "ask_above")
    for name in names:
        settings.save(name, "2 NOS")
    file = tmp_path / "nosana.toml"
    for value, holds in (("3 NOS", "2 NOS"), ("none", "2 NOS"), ("$1", "2 NOS"), ("1", "1")):
        file.write_text("".join(f'{name} = "{value}"\n' for name in names))
        own = dict.fromkeys(settings.names(), "") | dict.fromkeys(names, "2 NOS")
        found = settings.scoped.project(file, own, settings.check)
        assert {found.values.get(name, "2 NOS") for name in names} == {holds}


SPENDER = """
import sys
from test_limits import Journal, OverBudget, intent, take
journal = Journal()
print("ready", flush=True)
input()
won = 0
for number in range(15):
    try:
        take(journal, intent(f"{sys.argv[1]}-{number}"))
        won += 1
    except OverBudget:
        pass
print(won)
"""


def test_kernels_that_spend_at_once_stay_below(journal: Journal) -> None:
    """
    Two processes that ask at the same moment get together what there is, and not one job more.
    """
    settings.save("budget_day", "1.1 NOS")  # Ten jobs.
    places = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    spenders = [
        subprocess.Popen(
            [sys.executable, "-c", SPENDER, name], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": places},
        )
        for name in ("one", "two")
    ]  # fmt: skip
    for each in spenders:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in spenders:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    won = [int(each.communicate(timeout=60)[0]) for each in spenders]
    assert sum(won) == 10
    assert len(journal.unsettled("local")) == 10


def test_a_hundred_thousand_jobs_are_a_sum_over_an_index(journal: Journal) -> None:
    """
    Only rows of the day, the month or the notebook are looked at.
    """
    asked: list[str] = []
    journal._db.set_trace_callback(asked.append)
    journal.paid("local", 0.0)
    journal.paid("local", 0.0, "one")
    journal._db.set_trace_callback(None)
    plans = [str(journal._db.execute(f"explain query plan {each}").fetchall()) for each in asked]
    assert "jobs_by_day (network=? AND state=? AND updated>?)" in plans[0]
    assert "jobs_by_notebook (network=? AND state=? AND notebook=? AND updated>?)" in plans[1]


def test_a_journal_of_an_earlier_version_is_counted(tmp_path: Path) -> None:
    """
    What was settled before there were budgets counts by its receipt.
    """
    path = tmp_path / "journal.sqlite"
    old = Journal(path)
    old.intend(intent("Old"))
    old.settle(receipt("Old", 7))
    for name in ("jobs_by_day", "jobs_by_notebook"):
        old._db.execute(f"drop index {name}")
    for name in ("notebook", "cost", "credit"):
        old._db.execute(f"alter table jobs drop column {name}")
    old.close()
    new = Journal(path)
    assert new.paid("local", 0.0) == (7, 0)
    new.close()


QUOTE = Quote(
    market=Market(
        address="M", slug="m", name="m", kind="OTHER", gpus=(), vram=GiB(8), price=MicroNos(1000),
        fee_percent=Decimal(10), usd_per_hour=Decimal(0),
    ),
    timeout=Seconds(1000),
    rate=RATE,
)  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "pay", "rate", "large"),
    [
        ("", "nos", RATE, False), ("none", "nos", RATE, False),
        ("1.1 NOS", "nos", None, False), ("1.09 NOS", "nos", None, True),
        ("$0.44", "nos", RATE, False), ("$0.43", "nos", RATE, True), ("$100", "nos", None, True),
        ("$0.33", "credits", None, False), ("$0.32", "credits", None, True),
        ("0.9 NOS", "credits", RATE, False), ("0.8 NOS", "credits", RATE, True),
        ("100 NOS", "credits", None, True),
    ],
)  # fmt: skip
def test_what_is_large_is_asked_about(limit: str, pay: str, rate: Rate | None, large: bool) -> None:
    """
    In either unit, with the dearest rate; where nobody can tell, it is asked.
    """
    quote = replace(QUOTE, pay=pay, rate=rate)
    if pay == "credits" and rate is None and "NOS" not in limit:
        quote = replace(quote, market=replace(QUOTE.market, usd_per_hour=Decimal("1.08")))
    assert consent.is_large(quote, limit) is large
