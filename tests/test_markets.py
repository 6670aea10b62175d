"""Which market fits, and what a run may cost there."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import FundsError, UsageError
from nosana_jupyter.markets import Market, Quote, Requirements, choose, find
from nosana_jupyter.units import GiB, MicroNos, Seconds


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


SMALL = market("nvidia-3060", "RTX 3060", 8, 40)
MIDDLE = market("nvidia-4080", "RTX 4080", 16, 150)
LARGE = market("nvidia-4090", "RTX 4090", 24, 350)
ALL = [SMALL, MIDDLE, LARGE]
HOUR = Seconds(3600)


@pytest.mark.parametrize(
    ("wanted", "slug"),
    [
        (Requirements(), "nvidia-3060"),
        (Requirements(vram=GiB(16)), "nvidia-4080"),
        (Requirements(vram=GiB(16.5)), "nvidia-4090"),
        (Requirements(gpu="4090"), "nvidia-4090"),
        (Requirements(gpu="RTX 4090"), "nvidia-4090"),
        (Requirements(market="NVIDIA-4080"), "nvidia-4080"),
    ],
)
def test_the_cheapest_that_fits_is_chosen(wanted: Requirements, slug: str) -> None:
    """
    Of the markets that fit, the cheapest is quoted.
    """
    assert choose(ALL, wanted, HOUR).market.slug == slug


def test_a_free_host_goes_before_a_lower_price() -> None:
    """
    A market nobody serves now is taken only when no other fits.
    """
    idle = market("nvidia-3060", "RTX 3060", 8, 40, hosts=0)

    assert choose([idle, MIDDLE], Requirements(), HOUR).market.slug == "nvidia-4080"
    assert choose([idle], Requirements(), HOUR).market.slug == "nvidia-3060"


def test_nothing_that_fits_says_what_is_closest() -> None:
    """
    A wish nobody can serve names the nearest that somebody can.
    """
    with pytest.raises(UsageError) as caught:
        choose(ALL, Requirements(vram=GiB(96)), HOUR)
    assert "--vram 24" in caught.value.hint

    with pytest.raises(UsageError) as caught:
        choose(ALL, Requirements(gpu="4091"), HOUR)
    assert "4090" in caught.value.hint

    with pytest.raises(UsageError) as caught:
        find(ALL, "nvidia-4081")
    assert "nvidia-4080" in caught.value.hint


def test_the_cap_holds_for_deposit_and_fee() -> None:
    """
    A run that might cost more than the cap is refused, with the timeout that would fit.
    """
    most = MicroNos(int(350 * 3600 * 1.1))
    assert choose([LARGE], Requirements(), HOUR, most=most).most == most

    with pytest.raises(FundsError) as caught:
        choose([LARGE], Requirements(), HOUR, most=MicroNos(most - 1))
    assert "--timeout to 3599s" in caught.value.hint


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
