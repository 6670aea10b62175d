"""What the strategies of a deployment do, second by second."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from nosana_jupyter.local.deployment_book import service_name
from nosana_jupyter.local.strategies import (
    COMPLETED,
    EXTEND,
    INFINITE,
    QUEUED,
    RUNNING,
    SCHEDULED,
    SIMPLE,
    Finish,
    Plan,
    Post,
    Prolong,
    Seen,
    decide,
    next_tick,
    resting,
)  # fmt: skip

PLAN = Plan(strategy=SIMPLE, replicas=2, timeout=600, started=1000.0)


def job(name: str, state: str = RUNNING, *, began: float = 1000.0, ended: float = 0) -> Seen:
    return Seen(job=name, state=state, listed=1000.0, began=began, ended=ended, timeout=600)


def test_simple_lists_once() -> None:
    """So many jobs are listed, none in place of those that ended, and then it is over."""
    assert decide(PLAN, [], 1000.0) == [Post(2)]
    jobs = [job("a"), job("b", COMPLETED, ended=1600)]
    assert decide(PLAN, jobs, 1599.0) == []
    assert decide(replace(PLAN, replicas=3), jobs, 1599.0) == [Post(1)]
    [over] = decide(PLAN, [job("a", COMPLETED), job("b", COMPLETED)], 1700.0)
    assert isinstance(over, Finish)


def test_extend_gives_more_time_before_the_end() -> None:
    """Each job that runs gets more, early enough and not sooner; one that waits does not."""
    plan = replace(PLAN, strategy=EXTEND)
    jobs = [job("a"), job("b", QUEUED, began=0)]
    assert decide(plan, jobs, 1479.0) == []
    assert decide(plan, jobs, 1480.0) == [Prolong("a")]


def test_infinite_rotates() -> None:
    """Another is listed so long before the end of each, and in place of what has ended."""
    plan = replace(PLAN, strategy=INFINITE, replicas=1, rotation=120)
    assert decide(plan, [job("a")], 1479.0) == []
    assert decide(plan, [job("a")], 1480.0) == [Post(1)]
    assert decide(plan, [job("a"), job("b", QUEUED, began=0)], 1480.0) == []
    assert decide(plan, [job("a", COMPLETED, ended=1400)], 1400.0) == [Post(1)]


def test_what_comes_to_nothing_rests() -> None:
    """After three brief jobs there is a pause, which doubles; after eight it is over."""
    plan = replace(PLAN, strategy=INFINITE, replicas=1, rotation=120)
    brief = [job(str(n), COMPLETED, began=1000 + n, ended=1010 + n) for n in range(8)]
    assert decide(plan, brief[:2], 1020.0) == [Post(1)]
    assert resting(brief[:3]) == 1012 + 60
    assert resting(brief[:4]) == 1013 + 120
    assert decide(plan, brief[:3], 1071.0) == []
    assert decide(plan, brief[:3], 1072.0) == [Post(1)]
    [over] = decide(plan, brief, 9000.0)
    assert isinstance(over, Finish)
    assert decide(plan, [*brief, job("long", COMPLETED, ended=1400)], 9000.0) == [Post(1)]


def test_a_schedule_lists_at_each_tick() -> None:
    """Once for each tick, and never for what was before it started."""
    began = datetime(2026, 11, 22, 8, 59, 50, tzinfo=UTC).timestamp()
    plan = replace(PLAN, strategy=SCHEDULED, schedule="0 9 * * *", started=began, ticked=began)
    assert decide(plan, [], began + 9) == []
    assert decide(plan, [], began + 10) == [Post(2, began + 10)]
    assert decide(replace(plan, ticked=began + 10), [], began + 11) == []
    assert decide(replace(plan, ticked=began + 10), [], began + 10 + 86400) == [
        Post(2, began + 10 + 86400)
    ]


@pytest.mark.parametrize(
    "schedule", ["", "* * * *", "0 0 9 * * *", "0 25 * * *", "0 0 31 2 *", "x"]
)
def test_what_is_no_schedule(schedule: str) -> None:
    """Five fields, and a time that comes."""
    with pytest.raises(ValueError, match="schedule"):
        next_tick(schedule, 0.0)


def test_the_name_of_a_deployments_service() -> None:
    """As the real manager and hosts make it."""
    vault = "97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf"
    name = "5UNozn2e9L9KNAnQZUvT58gaCAEXtJWgqKMbHYvwNEsU"
    assert service_name("myop", "dep123", vault) == name
