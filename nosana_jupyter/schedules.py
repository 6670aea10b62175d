"""
Schedules of five fields, as cron has them: when the next time is, and the same in UTC.

They mean the clock of this machine, or that of UTC where they end in this word.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cronsim import CronSim

OF_UTC = "UTC"
"""Last word of a schedule that does not mean the clock of this machine."""

AHEAD, STEP = 2 * 366 * 86_400, 1800
"""Seconds for which the clock's changes are looked up, and at which clocks change."""

DAY = 24 * 60
"""In minutes."""

SAFE = range(1, 29)
"""Days of a month that every month has."""


def next_tick(schedule: str, after: datetime) -> datetime:
    """
    Return the next time of a schedule after another, in the zone of this machine.

    Raises:
        ValueError: It is no schedule, or its time never comes.
    """
    from cronsim import CronSim, CronSimError

    fields, zone = _fields(schedule)
    try:
        # Without a zone: what the clock shows, whatever it was put to meanwhile.
        ticks: Iterator[datetime] = CronSim(
            " ".join(fields), after.astimezone(zone).replace(tzinfo=None)
        )
        return next(tick for tick in (_moment(each, zone) for each in ticks) if tick > after)
    except (CronSimError, StopIteration) as error:
        text = str(error) or "its time never comes"
        raise ValueError(f"{schedule!r} is no schedule: {text[:1].lower()}{text[1:]}") from None


def now() -> datetime:
    """Return the time, in the zone of this machine."""
    return datetime.now().astimezone()


def told(when: datetime) -> str:
    """Say a time by the clock of this machine, and by that of UTC."""
    here, there = when.astimezone(), when.astimezone(UTC)
    if not here.utcoffset():
        return f"{there:%a %d %b, %H:%M} UTC"
    other = f"{there:%H:%M}" if here.date() == there.date() else f"{there:%a %d %b, %H:%M}"
    return f"{here:%a %d %b, %H:%M} ({other} UTC)"


def in_utc(schedule: str) -> str:
    """
    Return the schedule that means the same times in UTC, and says so.

    Raises:
        ValueError: There is none: the clock changes meanwhile, or they are no such times.
    """
    fields, zone = _fields(schedule)
    if zone is not None:
        return schedule
    offsets = _offsets(schedule)
    found = {_shifted(fields, offset) for offset in offsets}
    if len(found) > 1:
        names = " and ".join(spelled(offset) for offset in sorted(offsets))
        raise ValueError(f"the clock of this machine is {names} by turns")
    return f"{found.pop()} {OF_UTC}"


def at_present(schedule: str) -> str:
    """Return a schedule in UTC as the clock is now; empty if there is none."""
    fields, _ = _fields(schedule)
    try:
        return f"{_shifted(fields, _offset(now()))} {OF_UTC}"
    except ValueError:
        return ""


def fields(schedule: str) -> str:
    """Return the five fields of a schedule, without its zone."""
    return " ".join(_fields(schedule)[0])


def spelled(offset: int) -> str:
    """Spell minutes that a clock is ahead of UTC, as in `UTC+5:30`."""
    hours, minutes = divmod(abs(offset), 60)
    rest = f":{minutes:02}" if minutes else ""
    return f"UTC{'-' if offset < 0 else '+'}{hours}{rest}" if offset else "UTC"


def _fields(schedule: str) -> tuple[list[str], tzinfo | None]:
    """Return the fields of a schedule, and its zone if it is not that of this machine."""
    words = schedule.split()
    zone = UTC if words[-1:] == [OF_UTC] else None
    fields = words[:-1] if zone else words
    if len(fields) != 5:
        raise ValueError(f"{schedule!r} has not the five fields of a schedule")
    return fields, zone


def _moment(clock: datetime, zone: tzinfo | None) -> datetime:
    """Return the moment at which a clock first shows a time."""
    return clock.replace(tzinfo=zone).astimezone()


def _offset(when: datetime) -> int:
    """Return how many minutes the clock of this machine is ahead of UTC."""
    ahead = when.astimezone().utcoffset() or timedelta()
    return int(ahead.total_seconds()) // 60


def _offsets(schedule: str) -> set[int]:
    """Return how far the clock is ahead at the times of a schedule, in minutes."""
    begins = int(time.time()) // STEP * STEP
    ends = begins + AHEAD
    changes = [(begins, _offset(now()))]
    for second in range(begins, ends, STEP):
        if (offset := time.localtime(second).tm_gmtoff // 60) != changes[-1][1]:
            changes.append((second, offset))
    found = set()
    for (since, offset), until in zip(
        changes, [each for each, _ in changes[1:]] + [ends], strict=True
    ):
        first = next_tick(schedule, datetime.fromtimestamp(since - 1).astimezone())
        if first.timestamp() < until:
            found.add(offset)
    return found or {_offset(next_tick(schedule, now()))}


def _shifted(fields: list[str], offset: int) -> str:
    """
    Return five fields for a clock that shows `offset` minutes less.

    Raises:
        ValueError: There are none.
    """
    from cronsim import CronSim

    minute, _, day, month, weekday = fields
    if not offset:
        return " ".join(fields)
    read = CronSim(" ".join(fields), datetime.now(UTC))
    times = {60 * h + m - offset for h in read.hours for m in read.minutes}
    hours = {each % DAY // 60 for each in times}
    minutes = {each % 60 for each in times}
    if len({each % DAY for each in times}) < len(hours) * len(minutes):
        raise ValueError("its times are not those of one schedule in UTC")
    by = {each // DAY for each in times}
    if (day, month, weekday) != ("*", "*", "*") and by != {0}:
        if len(by) > 1:
            raise ValueError("some of its times, and not all, are on another day in UTC")
        day, weekday = _on_other_days(read, day, month, weekday, by.pop())
    return " ".join(
        [
            minute if minutes == read.minutes else _spelled(minutes, range(60)),
            _spelled(hours, range(24)), day, month, weekday,
        ]
    )  # fmt: skip


def _on_other_days(read: CronSim, day: str, month: str, weekday: str, by: int) -> tuple[str, str]:
    """Return days of the month and of the week, so many later."""
    if day == "*" and month != "*":
        raise ValueError("in UTC its days begin in another month")
    if day != "*" and weekday != "*" and read.day_and:
        raise ValueError("its days are not those of one schedule in UTC")
    if day != "*":
        if not all(each in SAFE and each + by in SAFE for each in read.days):
            raise ValueError("in UTC some of its days are of another month")
        day = _spelled({each + by for each in read.days}, range(1, 32))
    if weekday != "*":
        found = {(each + by) % 7 for each in read.weekdays if isinstance(each, int)}
        if not all(isinstance(each, int) for each in read.weekdays):
            raise ValueError("in UTC its weekdays are of another week")
        weekday = _spelled(found, range(7))
    return day, weekday


def _spelled(values: set[int], whole: range) -> str:
    """Spell the values of a field, as in `1-5,7`."""
    if values == set(whole):
        return "*"
    runs: list[list[int]] = []
    for each in sorted(values):
        if runs and each == runs[-1][1] + 1:
            runs[-1][1] = each
        else:
            runs.append([each, each])
    return ",".join(f"{a}-{b}" if a != b else f"{a}" for a, b in runs)
