"""What to bid for a place in a block."""

from __future__ import annotations

from typing import Any

import pytest
from chain_vectors import load
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.chain.fees import choose_fee, fixed, wishes

CASES = load("priority_fees")["cases"]
DYNAMIC = [case for case in CASES if case["config"]["type"] == "dynamic"]
FIXED = [case for case in CASES if case["config"]["type"] == "fixed"]
NAMES = {"min": "minimum", "max": "maximum", "percentile": "percentile", "strategy": "strategy"}
BIDS = st.lists(st.integers(0, 10**9), max_size=200)


@pytest.mark.parametrize("case", DYNAMIC, ids=lambda case: case["fees_name"])
def test_the_bid_is_the_kits(case: dict[str, Any]) -> None:
    """
    From the same recent fees and the same wishes follows the bid of the official client.
    """
    wishes = {NAMES[name]: value for name, value in case["config"].items() if name in NAMES}

    assert str(choose_fee(case["fees"] or [], **wishes)) == case["result"]


@pytest.mark.parametrize("case", FIXED, ids=lambda case: case["fees_name"])
def test_a_fixed_bid_needs_no_choice(case: dict[str, Any]) -> None:
    """
    A fixed fee is the value itself, whatever others bid; as a minimum and maximum it is the same.
    """
    value = case["config"]["microLamports"]

    assert case["result"] == str(value)
    assert choose_fee(case["fees"] or [], minimum=value, maximum=value) == value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["fees_name"])
def test_a_setting_wishes_as_the_kits_does(case: dict[str, Any]) -> None:
    """
    Whatever the official client can be told of a fee can be written as one setting with bounds.
    """
    config = case["config"]
    if config["type"] == "fixed":
        assert fixed(str(config["microLamports"])) == int(case["result"])
        return
    percentile = min(max(config.get("percentile", -1), 0), 100)
    text = f"{percentile}%" if "percentile" in config else config.get("strategy", "medium")
    bid = choose_fee(
        case["fees"] or [], **wishes(text), minimum=config.get("min", 0), maximum=config.get("max")
    )

    assert fixed(text) is None
    assert str(bid) == case["result"]


@given(BIDS, st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 10**9))
def test_a_bid_is_one_of_the_recent_or_the_minimum(
    recent: list[int], percentile: float, minimum: int
) -> None:
    """
    Nobody bids more than the highest of late, unless the minimum asks for it.
    """
    assert choose_fee(recent, percentile=percentile, minimum=minimum) in {*recent, minimum}


@given(BIDS, st.integers(0, 10**9), st.floats(0, 100))
def test_a_bid_is_never_over_the_maximum(recent: list[int], most: int, percentile: float) -> None:
    """
    The maximum is a promise to the wallet: it holds over the minimum too.
    """
    assert choose_fee(recent, percentile=percentile, minimum=2 * most, maximum=most) <= most


@given(BIDS, st.floats(0, 100), st.floats(0, 100))
def test_the_eager_bid_no_less(recent: list[int], one: float, other: float) -> None:
    """
    A higher percentile never bids less.
    """
    low, high = sorted([one, other])

    assert choose_fee(recent, percentile=low) <= choose_fee(recent, percentile=high)
