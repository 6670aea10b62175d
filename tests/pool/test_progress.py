"""What the line of a map says."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from nosana_jupyter.pool.progress import Progress
from nosana_jupyter.units import MicroNos

NOTHING = MicroNos(0)


@dataclass
class Crowd:
    hosts: int = 0
    opening: int = 0
    lost: int = 0
    cost: MicroNos = NOTHING
    progress: bool = True


def test_a_log_has_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody can draw over a line, only the last one is said."""
    crowd = Crowd(hosts=2, cost=MicroNos(1234))
    progress = Progress(crowd)
    progress.tell(0, 0, 5)
    progress.tell(5, 1, 5, last=True)

    assert capsys.readouterr().err.startswith(
        "5 of 5 items, 1 failed, 2 hosts, 0.001234 NOS, took "
    )


def test_what_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Hosts that come, and those that were lost since it began, are told."""
    crowd = Crowd(opening=3, lost=4)
    progress = Progress(crowd)
    progress.tell(0, 0, None, last=True)
    crowd.hosts, crowd.opening, crowd.lost = 2, 1, 5
    progress.tell(7, 0, None, last=True)

    assert capsys.readouterr().err.splitlines() == [
        "0 items, waiting for 3 hosts, 0.000000 NOS",
        "7 items, 2 hosts, waiting for 1 more, 1 lost, 0.000000 NOS",
    ]


def test_how_long_it_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time until hosts came says nothing of how long items take."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = Progress(Crowd(hosts=1))
    now += 500
    progress.tell(1, 0, 100)
    now += 10
    progress.tell(11, 0, 100, last=True)

    assert capsys.readouterr().err == "11 of 100 items, 1 host, 0.000000 NOS, 89 s left\n"


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    """`progress=False` says nothing."""
    Progress(Crowd(progress=False)).tell(1, 0, 1, last=True)

    assert capsys.readouterr().err == ""
