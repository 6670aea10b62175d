"""Results captured from output, whatever the expressions are."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from host_world import awaited

from nosana_jupyter.host import captures
from nosana_jupyter.host.captures import capture
from nosana_jupyter.wire.definition import Capture

LINES = [
    ("stdout", "loss=0.5\n"),
    ("stdout", "loss=0.25\nand ä more\n"),
    ("stderr", "acc=9"),
    ("nodeerr", "acc=none\n"),
]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, {}),
        ({}, {}),
        ({"a": "nothing"}, {}),
        ({"a": "loss=(.*)"}, {"a": ["0.5", "0.25"]}),
        ({"a": "acc=."}, {"a": "acc=9"}),
        ({"a": Capture(regex="acc=(.*)", sources=["nodeerr"])}, {"a": "none"}),
        ({"a": "ä (m)(o)re"}, {"a": "m"}),
        ({"a": "(x)?more$"}, {"a": ""}),
        ({"a": "(", "b": "[", "c": "a{99999999999}", "d": "and"}, {"d": "and"}),
    ],
)
@awaited
async def test_captures(wanted: Any, expected: dict[str, Any]) -> None:
    """The first group, or all of it; one text or several; broken expressions find nothing."""
    assert await capture(wanted, LINES) == expected


@awaited
async def test_an_expression_that_takes_for_ever_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It costs its own results and those after it, and not the host: its loop goes on."""
    monkeypatch.setattr(captures, "PATIENCE", 0.5)
    wanted = {"first": "^a+", "evil": "(a+)+$", "later": "a"}
    looking = asyncio.create_task(capture(wanted, [("stdout", "a" * 60 + "b")]))
    slowest, last = 0.0, time.monotonic()
    while not looking.done():
        await asyncio.sleep(0.01)
        slowest, last = max(slowest, time.monotonic() - last), time.monotonic()

    assert await looking == {"first": "a" * 60}
    assert slowest < 0.3
