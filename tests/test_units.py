"""How quantities are read and spelled."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import UsageError
from nosana_jupyter.units import (
    dollars,
    duration,
    nos,
    parse_gib,
    parse_nos,
    parse_seconds,
    size,
    sol,
    usd,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("2 hours", 7200),
        ("30 min 50 s", 1850),
        ("1 h 5 minutes", 3900),
    ],
)
def test_durations_read(text: str, seconds: int) -> None:
    """
    A duration is written as people write it.
    """
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "-5", "soon", "5x", "1.5", "5 m x", "h", "-5m", "999999h"]
)
def test_bad_durations_are_refused(text: str) -> None:
    """
    What is no duration in whole seconds is an error with a way out.
    """
    with pytest.raises(UsageError) as caught:
        parse_seconds(text)

    assert "30m" in caught.value.hint


@given(st.integers(min_value=1, max_value=7_000))
def test_spelled_durations_read_back(seconds: int) -> None:
    """
    A duration that a hint names is one that can be given.
    """
    assert parse_seconds(duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "gib"), [("16", 16), ("16GB", 16), ("24 GiB", 24), ("512MB", 0.5), ("1tb", 1024)]
)
def test_memory_reads(text: str, gib: float) -> None:
    """
    Memory without a unit is GiB, and a card sold as 16 GB holds 16 GiB.
    """
    assert parse_gib(text) == gib


@pytest.mark.parametrize("text", ["", "0", "16 foo", "-1", "x"])
def test_bad_memory_is_refused(text: str) -> None:
    """
    What is no amount of memory is an error.
    """
    with pytest.raises(UsageError):
        parse_gib(text)


@pytest.mark.parametrize(
    ("text", "micro"),
    [("0.2", 200_000), ("0.2 NOS", 200_000), ("1nos", 1_000_000), (".5", 500_000)],
)
def test_money_reads(text: str, micro: int) -> None:
    """
    Money without a unit is NOS, and is held in millionths.
    """
    assert parse_nos(text) == micro


def test_dollars_need_a_price() -> None:
    """
    An amount in dollars rounds down at the price, and is an error where none is known.
    """
    assert parse_nos("$0.10", usd_per_nos=Decimal("0.3")) == 333_333
    with pytest.raises(UsageError, match="dollars"):
        parse_nos("$0.10")


def test_money_finer_than_the_chain_is_refused() -> None:
    """
    A millionth of NOS is the smallest amount there is.
    """
    with pytest.raises(UsageError, match="finer"):
        parse_nos("0.0000001")


@given(st.integers(min_value=0, max_value=10**14))
def test_spelled_money_reads_back(amount: int) -> None:
    """
    No unit is lost between spelling and reading.
    """
    assert parse_nos(nos(amount)) == amount


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    """
    Whatever a user writes, the parsers return a quantity or a `UsageError`.
    """
    for parse in (parse_seconds, parse_gib, parse_nos):
        with contextlib.suppress(UsageError):
            assert parse(text) >= 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.25, "3.2 s"), (90, "90 s"), (1800, "30 min"), (1850, "30 min 50 s"), (7500, "2 h 5 min")],
)
def test_durations_are_spelled_short(seconds: float, text: str) -> None:
    """
    A duration is spelled with its two largest units.
    """
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0.00"), (1, "$0.000001"), (320_000, "$0.32"), (87_350, "$0.08735"),
        (50_000_000, "$50.00"), (-1_500_000, "-$1.50"),
    ],
)  # fmt: skip
def test_dollars_are_spelled_with_all_their_digits(amount: int, text: str) -> None:
    """
    Two decimals at least, and as many as it takes: nothing is rounded away.
    """
    assert usd(amount) == text


@given(st.integers(-(10**15), 10**15))
def test_dollars_are_whole_micro_dollars(amount: int) -> None:
    """
    What a service counts in dollars is the same amount here, and spelled as such.
    """
    assert dollars(Decimal(amount) / 1_000_000) == amount
    assert Decimal(usd(amount).replace("$", "")) * 1_000_000 == amount


def test_other_spellings() -> None:
    """
    Lamports show nine decimals, sizes powers of a thousand.
    """
    assert sol(2_561_280) == "0.002561280 SOL"
    assert size(999) == "999 B"
    assert size(1_500_000) == "1.5 MB"
