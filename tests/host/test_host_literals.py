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


FOUND = {
    "ops.find.results.list": '[80, {"port": 81}]',
    "ops.find.results.object": '{"A": "1", "B": "2"}',
    "ops.find.results.pairs": '[{"key": "C", "value": "3"}, {"key": "D"}]',
    "ops.find.results.pieces": ['["a"', ',"b"]'],
    "ops.find.results.texts": ["a", "b"],
    "ops.find.results.text": "a",
}


def marked(name: str, kind: str = "__spread__", **more: Any) -> dict[str, Any]:
    """Return a marker for what the other operation found."""
    return {kind: f"%%ops.find.results.{name}%%", **more}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, marked("list"), 2], [1, 80, {"port": 81}, 2]),
        ([marked("texts")], ["a", "b"]),
        ([marked("pieces", chunked=True)], ["a", "b"]),
        ({"env": {"A": "0", **marked("object")}}, {"env": {"A": "1", "B": "2"}}),
        ({"env": marked("pairs", "__pairs__")}, {"env": {"C": "3", "D": ""}}),
        ({"cmd": ["a", "__remove-if-empty__"]}, {"cmd": ["a"]}),
        ({"cmd": ["__remove-if-empty__"], "gpu": True}, {"gpu": True}),
        ({"cmd": []}, {"cmd": []}),
    ],
)
def test_markers_shape_what_holds_them(value: Any, expected: Any) -> None:
    """Lists take items, objects take fields, and what stays empty is left away."""
    assert fill(value, FOUND) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([marked("text")], "is no JSON"),
        ([marked("object")], "is no list"),
        ({"env": marked("list")}, "is no object"),
        ({"env": marked("list", "__pairs__")}, "are no pairs"),
        ([marked("nothing")], "nothing is known"),
    ],
)
def test_markers_take_nothing_else(value: Any, reason: str) -> None:
    """What was found has to have the form that its place wants."""
    with pytest.raises(RemoteProtocolError, match=reason):
        fill(value, FOUND)


@pytest.mark.parametrize("value", ["%%ops.x.results.y%%", ["a %%global.nothing%%"]])
def test_what_is_not_known_is_an_error(value: Any) -> None:
    """An unknown literal is not passed on as it stands."""
    with pytest.raises(RemoteProtocolError, match="nothing is known"):
        fill(value, KNOWN)


PLAIN = st.text().filter(lambda text: "%%" not in text and not text.startswith("__"))


@given(st.recursive(PLAIN | st.integers() | st.none(),
                    lambda inner: st.lists(inner) | st.dictionaries(PLAIN, inner)))  # fmt: skip
def test_data_without_literals_stays(value: Any) -> None:
    """Nothing else is touched."""
    assert fill(value, {}) == value
