"""Environments of the cache: shared while in use, bounded, and never half there."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from nosana_jupyter.runner import keep


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what another holds."""
    monkeypatch.setattr(keep, "_held", {})


def make(cache: Path, name: str, *, age: float = 0) -> Path:
    place = cache / f"env-{name}"
    place.mkdir(parents=True)
    (place / "module.py").write_bytes(b"x" * 8192)
    keep.note(place)
    os.utime(place.with_suffix(".lock"), (time.time() - age,) * 2)
    return place


def test_the_old_goes_and_what_is_in_use_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By age first, then the oldest of too much; never under a job that runs."""
    old, used = make(tmp_path, "old", age=2 * keep.AGE), make(tmp_path, "used", age=2 * keep.AGE)
    first, last = make(tmp_path, "first", age=100), make(tmp_path, "last")
    with keep.claimed(used, lambda: False) as held:
        assert held
    os.utime(used.with_suffix(".lock"), (time.time() - 2 * keep.AGE,) * 2)
    keep.tidy(tmp_path)
    assert [each.is_dir() for each in (old, used, first, last)] == [False, True, True, True]

    monkeypatch.setattr(keep, "LARGEST", 8192)
    keep.tidy(tmp_path)
    assert [each.is_dir() for each in (used, first, last)] == [True, False, True]


def test_one_makes_it_and_all_use_it(tmp_path: Path) -> None:
    """Of many that want a place, one makes it; the others wait and share it."""
    place, made, done = tmp_path / "env-a", [], []

    def want() -> None:
        with keep.claimed(place, lambda: False) as held:
            assert held
            if not place.is_dir():
                made.append(1)
                place.mkdir()
        done.append(1)

    threads = [threading.Thread(target=want) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert (len(made), len(done)) == (1, 6)


def test_whoever_waits_can_be_stopped(tmp_path: Path) -> None:
    """A place that another is making is given up for, when the user interrupts."""
    place = tmp_path / "env-a"
    with keep.claimed(place, lambda: False), keep.claimed(place, lambda: True) as held:
        assert not held
