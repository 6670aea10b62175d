"""What a run may cost in a market, by the second and in words."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.market.markets import Market, Quote
from nosana_jupyter.market.rates import Rate
from nosana_jupyter.units import GiB, Lamports, MicroNos, Seconds


def market(slug: str, gpu: str, vram: float, price: int, hosts: int = 1, fee: str = "10") -> Market:
    """Return a market with a name, a card and a price."""
    return Market(
        address=slug.upper(),
        slug=slug,
        name=slug,
        kind="PREMIUM",
        gpus=(f"NVIDIA GeForce {gpu}",),
        vram=GiB(vram),
        price=MicroNos(price),
        fee_percent=Decimal(fee),
        usd_per_hour=Decimal("0.1"),
        hosts=hosts,
    )


LARGE = market("nvidia-4090", "RTX 4090", 24, 350)
HOUR = Seconds(3600)


def test_several_cards_are_counted() -> None:
    """
    A market of hosts with several cards says how many.
    """
    assert market("nvidia-8x-a5000", "RTX A5000", 192, 1).gpu == "8 × RTX A5000"
    assert market("nvidia-4090", "RTX 4090", 24, 1).gpu == "RTX 4090"
    assert market("4xh", "RTX 4090", 24, 1).cards == 1


RATE = Rate(
    usd=Decimal("0.3"), least=Decimal("0.3"), most=Decimal("0.3"), at=math.inf, sources=("a", "b")
)
"""Asked right now."""
QUOTE = Quote(market=LARGE, timeout=HOUR)


@pytest.mark.parametrize(
    ("seconds", "paid"),
    [(0, 0), (1, 350), (3599, 1_259_650), (3600, 1_260_000), (9999, 1_260_000)],
)
def test_bill_splits_the_deposit(seconds: int, paid: int) -> None:
    """
    The host earns by the second, never more than the deposit; the rest comes back.
    """
    earned, refund = QUOTE.bill(seconds)

    assert earned == paid
    assert earned + refund == QUOTE.deposit


@given(st.integers(-10, 10**7), st.integers(1, 10**6), st.integers(1, 10**6))
def test_nothing_is_lost_in_a_bill(seconds: int, price: int, timeout: int) -> None:
    """
    Whatever the price and the time, the two parts make the deposit.
    """
    quote = Quote(market=market("m", "RTX 1", 8, price), timeout=Seconds(timeout))

    paid, refund = quote.bill(seconds)

    assert paid + refund == quote.deposit
    assert paid >= 0
    assert refund >= 0


PRICED = replace(QUOTE, rate=RATE, rent=Lamports(4_287_360), sol_fee=Lamports(20_000))


def test_a_quote_tells_what_returns_and_what_does_not() -> None:
    """
    Deposit, fee, rent and fees are told apart, in the order of what matters.
    """
    assert PRICED.lines() == [
        ("price", "0.000350 NOS a second, 1.260000 NOS an hour"),
        ("deposit", "1.260000 NOS for 60 min; the unused part returns"),
        ("network fee", "0.126000 NOS (10 %); it does not return"),
        ("at most", "1.386000 NOS, $0.4158"),
        ("rate", "$0.3 a NOS, as 2 sources agree, asked now"),
        ("expected", "0.147000 NOS for a run of 60 s; each second counts"),
        (
            "SOL",
            "0.004287360 SOL of rent, which returns; up to 0.000020000 SOL of fees, which do not",
        ),
    ]


def test_a_cell_that_ran_before_is_expected_to_take_as_long() -> None:
    """
    What such cells took of late goes before a guess, and never beyond the timeout.
    """
    often = replace(PRICED, usual=Seconds(100))
    long = replace(PRICED, usual=Seconds(9999))

    assert dict(often.lines())["expected"] == "0.161000 NOS, as it took 100 s of late"
    assert dict(long.lines())["expected"].startswith("1.386000 NOS, as it took 2 h")


def test_credits_are_quoted_in_dollars() -> None:
    """
    The dearer of what the list and the chain say is the bound; a raised timeout is said.
    """
    quote = replace(PRICED, pay="credits", asked=Seconds(600))

    assert quote.usd == 415_800
    assert replace(quote, rate=None).usd == 110_000
    assert dict(quote.lines()) == {
        "price": "$0.4158 an hour, network fee included",
        "set aside": "$0.4158 of credits for 60 min; what is not used is free again",
        "at most": "$0.4158 of credits",
        "expected": "$0.00693 for a run of 60 s; each second counts",
    }
    (note,) = quote.notes
    assert "the cell may run that long, not 10 min" in note
    assert PRICED.notes == ()


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(1, 10**5))
def test_what_is_spent_so_far_stays_within_the_bound(
    seconds: int, timeout: int, price: int
) -> None:
    """
    Neither NOS nor credits pass what was set aside, however long it takes.
    """
    quote = Quote(market=market("m", "RTX 1", 8, price), timeout=Seconds(timeout), pay="credits")

    assert float(quote.so_far(seconds).lstrip("$")) * 10**6 <= quote.usd + 1e-6 * quote.usd
    assert quote.bill(seconds)[0] <= quote.most
