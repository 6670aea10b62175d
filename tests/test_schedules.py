"""Schedules: their next times by the clock of a machine, and the same times in UTC."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nosana_jupyter import schedules

Clock = Callable[[str], None]

FIELDS = (range(60), range(24), range(1, 32), range(1, 13), range(7))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Puts the clock of this process to a zone, and back."""

    def put(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield put
    monkeypatch.undo()
    time.tzset()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ticks(schedule: str, after: datetime, count: int) -> list[datetime]:
    found = []
    for _ in range(count):
        after = schedules.next_tick(schedule, after)
        found.append(after)
    return found


def test_it_is_what_the_clock_shows(clock: Clock) -> None:
    """Nine o'clock is nine o'clock before and after the clock is put forward; in UTC it is not."""
    clock("Europe/Berlin")
    friday = moment("2027-03-26T12:00")
    assert schedules.next_tick("0 9 * * 1-5", friday) == moment("2027-03-29T07:00")
    assert schedules.next_tick("0 9 * * 1-5", friday - timedelta(1)) == moment("2027-03-26T08:00")
    assert schedules.next_tick("0 9 * * 1-5 UTC", friday) == moment("2027-03-29T09:00")
    # An hour that comes twice has each of its times once, and none that is over.
    twice = ticks("*/30 * * * *", moment("2027-10-31T00:00"), 4)
    assert twice == sorted(set(twice))
    assert schedules.told(moment("2027-03-29T07:00")) == "Mon 29 Mar, 09:00 (07:00 UTC)"
    assert schedules.told(moment("2027-03-28T22:30")) == "Mon 29 Mar, 00:30 (Sun 28 Mar, 22:30 UTC)"
    clock("UTC")
    assert schedules.told(moment("2027-03-29T07:00")) == "Mon 29 Mar, 07:00 UTC"


@pytest.mark.parametrize(
    ("zone", "schedule", "found"),
    [
        ("UTC", "0 9 * * 1-5", "0 9 * * 1-5"),
        ("Asia/Kolkata", "0 9 * * 1-5", "30 3 * * 1-5"),
        ("Asia/Kolkata", "0 1 * * 1", "30 19 * * 0"),
        ("Asia/Tokyo", "0 2 15 * *", "0 17 14 * *"),
        ("Asia/Tokyo", "5 22-23,0-2 * * *", "5 13-17 * * *"),
        ("Pacific/Honolulu", "0 20 * * FRI", "0 6 * * 6"),
        ("Europe/Berlin", "*/15 * * * *", "*/15 * * * *"),
        ("Europe/Berlin", "0 9 15 1 *", "0 8 15 1 *"),
        ("Europe/Berlin", "0 9 * * 1-5 UTC", "0 9 * * 1-5"),
    ],
)
def test_it_is_put_in_utc(zone: str, schedule: str, found: str, clock: Clock) -> None:
    """Where the clock never changes at its times, they are the same times in UTC."""
    clock(zone)
    assert schedules.in_utc(schedule) == f"{found} UTC"


@pytest.mark.parametrize(
    ("zone", "schedule", "why"),
    [
        ("Europe/Berlin", "0 9 * * 1-5", r"UTC\+1 and UTC\+2 by turns"),
        ("America/New_York", "0 */2 * * *", "UTC-5 and UTC-4 by turns"),
        ("Asia/Kolkata", "0,30 9 * * *", "not those of one schedule"),
        ("Asia/Tokyo", "0 1 1 * *", "of another month"),
        ("Asia/Tokyo", "0 7-10 * * 1", "some of its times, and not all"),
        ("Asia/Tokyo", "0 1 * 5 *", "in another month"),
        ("Asia/Tokyo", "0 1 * * 5L", "of another week"),
    ],
)
def test_what_has_no_form_in_utc(zone: str, schedule: str, why: str, clock: Clock) -> None:
    """What cannot be said exactly is refused, with the reason."""
    clock(zone)
    with pytest.raises(ValueError, match=why):
        schedules.in_utc(schedule)


def field(values: range) -> st.SearchStrategy[str]:
    """Spell a field: all, or a few of its values."""
    few = st.sets(st.sampled_from(values), min_size=1, max_size=3)
    return st.just("*") | few.map(lambda found: ",".join(map(str, sorted(found))))


@settings(max_examples=30)
@given(
    fields=st.tuples(*map(field, FIELDS)),
    zone=st.sampled_from(["Asia/Kolkata", "Asia/Tokyo", "Pacific/Honolulu", "America/Sao_Paulo"]),
    day=st.integers(0, 700),
)
def test_what_is_put_in_utc_means_the_same(fields: tuple[str, ...], zone: str, day: int) -> None:
    """Whatever is said of days, weekdays and months: each time is the same moment, or refused."""
    schedule = " ".join(fields)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        try:
            after = schedules.now() + timedelta(day)
            here = ticks(schedule, after, 6)
            assert ticks(schedules.in_utc(schedule), after, 6) == here
        except ValueError:
            return
        finally:
            patch.undo()
            time.tzset()
