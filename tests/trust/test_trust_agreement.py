"""What counts as the same result."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import UsageError
from nosana_jupyter.trust.agreement import Agreement, Tolerance, compare

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=10,
)


def agreed(first: Any, second: Any, **options: Any) -> Agreement:
    return compare({"x": first}, {"x": second}, **options).agreement


@given(PLAIN)
def test_a_value_agrees_with_itself(value: Any) -> None:
    """Whatever it is, also where it is not a number."""
    assert agreed(value, value) is Agreement.BIT_EQUAL


@given(PLAIN, PLAIN)
def test_agreement_has_no_direction(first: Any, second: Any) -> None:
    """Which host came first does not matter."""
    assert agreed(first, second) is agreed(second, first)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=100), st.data())
def test_a_number_that_is_another_is_found(numbers: list[float], data: Any) -> None:
    """Among any others, wherever it stands."""
    place = data.draw(st.integers(0, len(numbers) - 1))
    changed = np.array(numbers)
    changed[place] += 1 + 1e-3 * np.abs(changed).max()
    found = compare({"x": np.array(numbers)}, {"x": changed})

    assert found.agreement is Agreement.DIFFERENT
    assert found.places[0].startswith(f"x[{place}]: ")


@pytest.mark.parametrize(
    "make",
    [
        lambda numbers: numbers,
        list,
        lambda numbers: {"loss": [float(numbers[0])], "rest": tuple(numbers[1:])},
        lambda numbers: pd.DataFrame({"a": numbers, "b": ["x"] * len(numbers)}),
        lambda numbers: pd.Series(numbers),
        lambda numbers: numbers.astype(np.float32),
        lambda numbers: numbers.reshape(2, -1),
        lambda numbers: numbers + 1j,
        lambda numbers: numbers[0],
    ],
    ids=["array", "list", "dict", "frame", "series", "float32", "matrix", "complex", "scalar"],
)
def test_floating_point_may_differ_a_little(make: Any) -> None:
    """In whatever it stands, and not by much."""
    numbers = np.linspace(1, 2, 10)

    assert agreed(make(numbers), make(numbers * (1 + 1e-8))) is Agreement.WITHIN
    assert agreed(make(numbers), make(numbers * (1 + 1e-3))) is Agreement.DIFFERENT
    exact = Tolerance.parse("exact")
    if make(numbers) is not numbers.astype(np.float32):
        wide = make(numbers * (1 + 1e-6))
        assert agreed(make(numbers), wide, tolerance=exact) is Agreement.DIFFERENT
    loose = Tolerance.parse("0.01")
    assert agreed(make(numbers), make(numbers * (1 + 1e-3)), tolerance=loose) is Agreement.WITHIN


def test_the_tolerance_is_that_of_the_type_and_the_size() -> None:
    """Half precision may differ by more, and a million numbers by more than ten."""
    off = 1 + 5e-4
    few = np.linspace(1, 2, 10)

    assert agreed(few.astype(np.float16), (few * off).astype(np.float16)) is Agreement.WITHIN
    assert agreed(few.astype(np.float32), (few * off).astype(np.float32)) is Agreement.DIFFERENT
    off = 1 + 8e-7
    assert agreed(few, few * off) is Agreement.DIFFERENT
    many = np.linspace(1, 2, 1_000_000)
    assert agreed(many, many * off) is Agreement.WITHIN


def test_what_cancels_out_is_judged_by_its_neighbours() -> None:
    """A residue of 1e-12 among numbers near one is nothing."""
    first = np.array([1.0, 1e-12, -1.0])
    second = np.array([1.0, -3e-12, -1.0])

    assert agreed(first, second) is Agreement.WITHIN


@pytest.mark.parametrize(
    ("first", "second", "place"),
    [
        (1, 2, "x: 1 and 2"),
        (1, 1.0, "x: 1 and 1.0"),
        (True, 1, "x: True and 1"),
        ([1, 2], [1], "x: 2 and 1 items"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "x['a'][1]: 2 and 3"),
        ({"a": 1}, {"b": 1}, "x: other keys, or in another order"),
        (np.arange(3), np.arange(3) + 1, "x: other bytes"),
        (np.zeros(3), np.zeros(4), "x: shapes [3] and [4]"),
        (np.zeros(2), np.zeros(2, np.float32), "x: '<f8' and '<f4'"),
        (math.inf, -math.inf, "x: inf and -inf"),
        (math.nan, 1.0, "x: nan and 1.0"),
        (pd.Series(["a"]), pd.Series(["b"]), "x: b'a' and b'b'"),
        ([], {}, "x: list and dict"),
    ],
    ids=str,
)
def test_all_else_must_be_equal(first: Any, second: Any, place: str) -> None:
    """And it is told where it is not, and how."""
    found = compare({"x": first}, {"x": second})

    assert found.agreement is Agreement.DIFFERENT
    assert found.places == (place,)


def test_order_in_memory_is_no_difference() -> None:
    """An array by columns holds the same numbers as one by rows."""
    rows = np.linspace(0, 1, 6).reshape(2, 3)

    assert agreed(rows, np.asfortranarray(rows)) is Agreement.WITHIN


def test_what_has_no_form_is_unverified() -> None:
    """A value that only its host could read was not compared, and is not said to be."""
    found = compare({"x": object()}, {"x": object()})

    assert found.agreement is Agreement.UNKNOWN
    assert not found.agrees


def test_a_name_that_one_host_lacks() -> None:
    """Is a difference."""
    assert compare({"x": 1}, {}).places == ("x: not there on the second host",)


def test_the_user_decides() -> None:
    """A function given stands above the tolerance, and is not asked where bits are equal."""
    asked: list[tuple[Any, Any]] = []

    def judge(first: Any, second: Any) -> bool:
        asked.append((first, second))
        return bool(abs(first - second) < 2)

    assert agreed(1, 1, judge=judge) is Agreement.BIT_EQUAL
    assert agreed(1, 2, judge=judge) is Agreement.WITHIN
    assert agreed(1, 4, judge=judge) is Agreement.DIFFERENT
    assert asked == [(1, 2), (1, 4)]


@pytest.mark.parametrize("text", ["", "often", "-1", "1", "nan"])
def test_a_tolerance_that_is_none(text: str) -> None:
    """Is refused with what may be said."""
    with pytest.raises(UsageError, match="is no tolerance"):
        Tolerance.parse(text)
