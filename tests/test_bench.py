"""The measures of `bench/` work: each in a tiny form, without peers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import sides
import table


@pytest.mark.kernel
@pytest.mark.network
def test_each_measure_works() -> None:
    """One kernel and one network serve all of them; each finds something and shows it."""
    done = subprocess.run(
        [sys.executable, table.__file__, "--tiny"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    head, _, *rows = done.stdout.splitlines()
    assert len(rows) >= len(table.MEASURES)
    for row in rows:
        assert row.count("|") == head.count("|"), row
        assert " 0 ms" not in row, row


def test_a_ratio_is_that_of_medians() -> None:
    """One slow turn of a side does not change what is told of it."""
    row = sides.compare("x", "y", [1.0, 1.0, 9.0, 1.0], [2.0, 2.0, 2.0, 2.0], aim=0.7)
    assert row.ratio == 0.5
    assert row.spread is not None
    assert row.spread[0] == 0.5 < row.spread[1]
    assert row.met == "≤ 0.7: met"
    assert sides.compare("x", "y", [3.0], [2.0], aim=1).met == "≤ 1: MISSED"
