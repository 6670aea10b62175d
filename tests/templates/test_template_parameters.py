"""Values of templates go into code as the literals that they are."""

from __future__ import annotations

import ast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import UsageError
from nosana_jupyter.templates.parameters import Parameter, chosen, lines, placed

VALUES = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
KINDS = {bool: "bool", int: "int", float: "float", str: "text"}


@given(value=VALUES, note=st.text())
def test_a_line_sets_what_was_given_and_does_nothing_else(
    value: bool | int | float | str, note: str
) -> None:
    """Whatever value and help hold, the lines are one assignment of that value."""
    each = Parameter(name="x", type=KINDS[type(value)], default=value, help=note)  # type: ignore[arg-type]
    made = lines([each], chosen([each], {}))

    [node] = ast.parse(made).body
    assert isinstance(node, ast.Assign)
    assert ast.literal_eval(node.value) == value


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("int", " 12 ", 12),
        ("int", "1_000", 1000),
        ("float", "1e-3", 0.001),
        ("float", 2, 2.0),
        ("bool", "Yes", True),
        ("bool", "off", False),
        ("text", " as it is ", " as it is "),
    ],
)
def test_text_is_read_by_type(kind: str, given: object, value: object) -> None:
    """What is typed on a line becomes a value of the parameter's type."""
    defaults = {"int": 0, "float": 0.0, "bool": False, "text": ""}
    each = Parameter(name="x", type=kind, default=defaults[kind])  # type: ignore[arg-type]

    assert each.check(given) == value
    assert type(each.check(given)) is type(value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [("int", "1.5"), ("int", True), ("float", "nan"), ("float", "inf"), ("bool", "2"),
     ("text", 3), ("int", "__import__('os')"), ("int", 21), ("int", 1)],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(kind: str, given: object) -> None:
    """The error names the parameter and the value."""
    low, high = (2, 20) if kind == "int" else (None, None)
    default = {"int": 5, "float": 0.0, "bool": False, "text": ""}[kind]
    each = Parameter(name="depth", type=kind, default=default, min=low, max=high)  # type: ignore[arg-type]

    with pytest.raises(UsageError, match="depth cannot be"):
        each.check(given)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"name": "for", "default": 1}, "no name"),
        ({"name": "a b", "default": 1}, "no name"),
        ({"name": "x", "type": "int", "default": "one"}, "cannot be"),
        ({"name": "x", "type": "int", "default": 5, "max": 3}, "cannot be"),
        ({"name": "x", "default": "c", "choices": ["a", "b"]}, "one of"),
        ({"name": "x", "default": "a", "small": 3}, "cannot be"),
    ],
)
def test_a_parameter_that_cannot_be_is_no_parameter(said: dict[str, object], why: str) -> None:
    """Names are names, and defaults and trials are values that could be given."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(said, Parameter)
    assert why in str(caught.value) or "cannot be" in str(caught.value)


def test_others_than_there_are_and_trials() -> None:
    """Unknown names are told; the rest has its default, or what it is tried with."""
    both = [
        Parameter(name="a", type="int", default=1, small=9),
        Parameter(name="b", default="x"),
    ]

    assert chosen(both, {"b": "y"}) == {"a": 1, "b": "y"}
    assert chosen(both, {}, small=True) == {"a": 9, "b": "x"}
    with pytest.raises(UsageError, match="no parameter 'c'"):
        chosen(both, {"c": 1})


def test_options_take_values_once_and_quoted() -> None:
    """A value that looks like a place or an option stays one word."""
    values = {"model": "{other} --yes", "other": "no"}

    assert placed("--pip {model} {absent}", values) == "--pip '{other} --yes' {absent}"
