"""What nobody fetched is kept for a day, and not for ever."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from nosana_jupyter.host import unfetched as module
from nosana_jupyter.host.record import Record
from nosana_jupyter.host.unfetched import Unfetched


def record(job: str) -> Record:
    return Record(job=job, project="P", timeout=60, public="Qm")


def test_it_is_kept_for_a_day(tmp_path: Path) -> None:
    """A result is there for a day, for its owner on this machine only, and then not."""
    kept = Unfetched(tmp_path)
    kept.keep(record("J" * 44))
    (path,) = (tmp_path / "unfetched").iterdir()

    assert path.stat().st_mode & 0o077 == 0
    found = Unfetched(tmp_path).get("J" * 44)
    assert found is not None
    assert (found.project, found.told["status"]) == ("P", "init")
    assert kept.get("K" * 44) is None
    os.utime(path, times=(time.time(), time.time() - module.KEPT - 1))
    assert kept.get("J" * 44) is None
    kept.keep(record("K" * 44))
    assert [each.stem for each in path.parent.iterdir()] == ["K" * 44]


def test_there_are_not_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the limit the oldest go first."""
    monkeypatch.setattr(module, "MOST", 3)
    kept = Unfetched(tmp_path)
    for number in range(6):
        kept.keep(record(f"{number}" * 44))
        path = tmp_path / "unfetched" / ("{0}" * 44).format(number)
        os.utime(path.with_suffix(".json"), times=(0, time.time() - 100 + number))

    assert sorted(each.stem[0] for each in (tmp_path / "unfetched").iterdir()) == ["3", "4", "5"]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """A file that was damaged is as none."""
    kept = Unfetched(tmp_path)
    kept.keep(record("J" * 44))
    (path,) = (tmp_path / "unfetched").iterdir()
    path.write_bytes(b"{")

    assert kept.get("J" * 44) is None
