"""Literals of definitions, filled in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.host.literals import fill

KNOWN = {
    "ops.train.results.loss": "0.5",
    "ops.train.results.all": ["1", "2"],
    "ops.train.host": "127.0.0.1",
    "global.job": "JOB",
    "global.variables.name": "%%global.job%%",
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("%%ops.train.results.loss%%", "0.5"),
        ("a %%global.job%% b %%globals.job%%", "a JOB b JOB"),
        ("%%ops.train.results.all%%", ["1", "2"]),
        ("x%%ops.train.results.all%%", "x1 2"),
        (["a", "%%ops.train.results.all%%", "b"], ["a", "1", "2", "b"]),
        ([["a"], "%%global.job%%"], [["a"], "JOB"]),
        ({"%%global.job%%": {"k": "%%global.job%%"}}, {"%%global.job%%": {"k": "JOB"}}),
        ("100%% sure", "100%% sure"),
        ("%%other.job%%", "%%other.job%%"),
        ("%%global.%%", "%%global.%%"),
        (None, None),
        (5, 5),
        # What was filled in is not looked at again: a result is no literal.
        ("%%global.variables.name%%", "%%global.job%%"),
    ],
)
def test_literals_are_filled_in(value: Any, expected: Any) -> None:
    """Whole texts take the value as it is, parts are written out, lists become one."""
    assert fill(value, KNOWN) == expected


@pytest.mark.parametrize("value", ["%%ops.x.results.y%%", ["a %%global.nothing%%"]])
def test_what_is_not_known_is_an_error(value: Any) -> None:
    """An unknown literal is not passed on as it stands."""
    with pytest.raises(RemoteProtocolError, match="nothing is known"):
        fill(value, KNOWN)


@given(st.recursive(st.text().filter(lambda t: "%%" not in t) | st.integers() | st.none(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_data_without_literals_stays(value: Any) -> None:
    """Nothing else is touched."""
    assert fill(value, {}) == value
