"""
What a deployment does next: a table of its strategies, without any input or output.

It is looked at again and again; what was asked for once is seen as done in the next look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from .. import schedules

SIMPLE, EXTEND, SCHEDULED, INFINITE = "SIMPLE", "SIMPLE-EXTEND", "SCHEDULED", "INFINITE"
STRATEGIES = (SIMPLE, EXTEND, SCHEDULED, INFINITE)

QUEUED, RUNNING, COMPLETED, STOPPED = "QUEUED", "RUNNING", "COMPLETED", "STOPPED"
OPEN = frozenset({QUEUED, RUNNING})

EARLY = 120
"""Seconds before its end at which a job gets more time, or a quarter of its timeout."""

BRIEF, MOST_BRIEF = 300, 8
"""A job that ends sooner has come to nothing; so many of them in a row end a deployment."""

PAUSE, LONGEST_PAUSE = 60, 3600
"""Seconds for which nothing is listed after three such jobs, doubled by each further one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A job of a deployment."""

    job: str
    state: str
    listed: float
    """Unix time."""

    began: float = 0.0
    """Unix time at which a host took it; 0: none has."""

    ended: float = 0.0
    timeout: int
    """In seconds, with what it was extended by."""

    def left(self, now: float) -> float:
        """Return the seconds until its end; of one that waits, all of them."""
        return self.began + self.timeout - now if self.state == RUNNING else float(self.timeout)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a deployment is to do."""

    strategy: str
    replicas: int
    timeout: int
    """Of each job, in seconds."""

    rotation: int = 0
    """Seconds before the end of a job at which another is listed in its place."""

    schedule: str = ""
    started: float
    """Unix time."""

    ticked: float = 0.0
    """Tick of the schedule that was the last to be acted on."""


@dataclass(frozen=True, slots=True)
class Post:
    """List so many jobs."""

    count: int
    tick: float = 0.0


@dataclass(frozen=True, slots=True)
class Prolong:
    """Give a job another timeout."""

    job: str


@dataclass(frozen=True, slots=True)
class Finish:
    """It is over."""

    reason: str


Action = Post | Prolong | Finish


def decide(plan: Plan, jobs: Sequence[Seen], now: float) -> list[Action]:
    """
    Return what a deployment does now that runs.

    Args:
        plan: What it is to do.
        jobs: Those that it has listed since it was started.
        now: Unix time.
    """
    alive = [each for each in jobs if each.state in OPEN]
    match plan.strategy:
        case "SCHEDULED":
            tick = next_tick(plan.schedule, max(plan.ticked, plan.started))
            return [Post(plan.replicas, tick)] if tick <= now else []
        case "INFINITE":
            staying = [each for each in alive if each.left(now) > plan.rotation]
            lacking = plan.replicas - len(staying)
            brief = brief_in_a_row(jobs)
            if lacking > 0 and brief >= MOST_BRIEF:
                return [Finish(f"{brief} jobs in a row ended within {BRIEF // 60} minutes")]
            return [Post(lacking)] if lacking > 0 and now >= resting(jobs) else []
        case _:
            lacking = plan.replicas - len(jobs)
            done: list[Action] = [Post(lacking)] if lacking > 0 else []
            if plan.strategy == EXTEND:
                early = min(EARLY, plan.timeout // 4)
                done += [
                    Prolong(each.job)
                    for each in alive
                    if each.state == RUNNING and each.left(now) <= early
                ]
            return done if done or alive else [Finish("all of its jobs have ended")]


def brief_in_a_row(jobs: Sequence[Seen]) -> int:
    """Return how many jobs came to nothing since the last that did not."""
    ended = sorted((each for each in jobs if each.state not in OPEN), key=lambda each: each.ended)
    count = 0
    for each in reversed(ended):
        if not each.began or each.ended - each.began >= BRIEF:
            break
        count += 1
    return count


def resting(jobs: Sequence[Seen]) -> float:
    """Return the Unix time until which nothing is listed, after jobs that came to nothing."""
    brief = brief_in_a_row(jobs)
    if brief < 3:
        return 0.0
    last = max(each.ended for each in jobs if each.state not in OPEN)
    return last + min(PAUSE << (brief - 3), LONGEST_PAUSE)


def next_tick(schedule: str, after: float) -> float:
    """
    Return the next time of a schedule, as Unix time; schedules are of UTC.

    Raises:
        ValueError: It is none of five fields, or never comes.
    """
    moment = datetime.fromtimestamp(after, UTC)
    return schedules.next_tick(f"{schedule} {schedules.OF_UTC}", moment).timestamp()
