"""
Schedules of five fields, as cron has them: when the next time is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime


def next_tick(schedule: str, after: datetime) -> datetime:
    """
    Return the next time of a schedule after another, in its zone.

    Raises:
        ValueError: It is no schedule, or its time never comes.
    """
    from cronsim import CronSim, CronSimError

    if len(schedule.split()) != 5:
        raise ValueError(f"{schedule!r} has not the five fields of a schedule")
    try:
        ticks: Iterator[datetime] = CronSim(schedule, after)
        return next(ticks)
    except (CronSimError, StopIteration) as error:
        text = str(error) or "its time never comes"
        raise ValueError(f"{schedule!r} is no schedule: {text[:1].lower()}{text[1:]}") from None


def now() -> datetime:
    """Return the time, in the zone of this machine."""
    return datetime.now().astimezone()
