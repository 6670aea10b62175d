"""Which cells are made ready on the loop, and what becomes of them there."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from nosana_jupyter.cell.held import Held
from nosana_jupyter.events import Cell
from nosana_jupyter.notebook.handles import RemoteHandle
from nosana_jupyter.settings import Settings
from nosana_jupyter.travel import light, prepare


def cell(source: str, **namespace: Any) -> Cell:
    return Cell(source=source, namespace=namespace, timeout=60)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1", True),
        ("y = n + rate", True),
        ("print(model)", True),
        ("print(frame)", False),
        ("exec('print(frame)')", False),
        ("import math", False),
        ("%pip install rich", False),
        ("f(1)", False),
        ("x = 1\n" * 1000, False),
    ],
)
def test_light_is_what_reads_and_needs_nearly_nothing(source: str, expected: bool) -> None:
    """A cell is light as long as none of its words is a value that takes time to pack."""
    there = RemoteHandle.__new__(RemoteHandle)
    vars(there).update(made_by="")
    values = {"n": 1, "rate": 0.5, "model": there, "frame": np.zeros(9), "f": lambda x: x}

    assert light.is_light(cell(source, **values)) is expected


def test_both_ways_make_the_same_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made on the loop is what another thread would have made; also while one is at it."""
    source, held = cell("y = x + 1", x=1), Held("job")
    made = [asyncio.run(light.make_ready(source, Settings(), held))]
    with prepare._TURN:
        assert prepare.at_once(source, Settings(), held) is None
    monkeypatch.setattr(light, "is_light", lambda _: False)
    made.append(asyncio.run(light.make_ready(source, Settings(), held)))

    one, other = ((each.load.header, each.load.returns, each.sent, each.notes) for each in made)
    assert one == other
