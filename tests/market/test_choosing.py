"""Which market fits, and what is proposed where none does."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import FundsError, UsageError
from nosana_jupyter.market.choosing import Cap, Requirements, choose, find
from nosana_jupyter.market.markets import Market
from nosana_jupyter.market.rates import Rate
from nosana_jupyter.units import GiB, MicroNos, Seconds, parse_nos, parse_seconds


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
RATE = Rate(
    usd=Decimal("0.3"), least=Decimal("0.3"), most=Decimal("0.3"), at=math.inf, sources=("a", "b")
)
"""Asked right now."""


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


@pytest.mark.parametrize(
    ("avoid", "slug"),
    [
        ({"HOST"}, "nvidia-4080"),
        ({"NVIDIA-3060"}, "nvidia-3060"),
        ({"HOST", "NVIDIA-4080"}, "nvidia-4090"),
        ({"HOST", "NVIDIA-4080", "NVIDIA-4090"}, "nvidia-3060"),
        ({""}, "nvidia-3060"),
    ],
)
def test_what_is_avoided_comes_last(avoid: set[str], slug: str) -> None:
    """A host that failed is not asked again where another market fits; else it is."""
    known = [replace(SMALL, first="HOST"), MIDDLE, LARGE]
    assert choose(known, Requirements(), HOUR, avoid=avoid).market.slug == slug


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


def cap(amount: int) -> Cap:
    """Return a cap that an option sets."""
    return Cap(amount=MicroNos(amount), text="1", source="--max-cost")


def test_the_cap_holds_for_deposit_and_fee() -> None:
    """
    A run that might cost more than the cap is refused, with the timeout that would fit.
    """
    most = MicroNos(int(350 * 3600 * 1.1))
    assert choose([LARGE], Requirements(), HOUR, cap=cap(most)).most == most

    with pytest.raises(FundsError) as caught:
        choose([LARGE], Requirements(), HOUR, cap=cap(most - 1), rate=RATE)
    assert str(caught.value) == (
        "60 min on nvidia-4090 (RTX 4090) may cost 1.386000 NOS ($0.4158), and the cap is 1 "
        "(--max-cost). Nothing was spent"
    )
    assert caught.value.hint == (
        "Lower --timeout to 59 min 59 s, or raise the cap: --max-cost '1.386000 NOS'."
    )


@given(st.integers(1, 10**9), st.integers(1, 10**5), st.integers(60, 10**6))
def test_what_a_cap_proposes_is_not_refused(amount: int, price: int, timeout: int) -> None:
    """
    The timeout and the amount that an error over the cap proposes are read, and fit.
    """
    only = market("m", "RTX 1", 8, price)
    try:
        choose([only], Requirements(), Seconds(timeout), cap=cap(amount))
    except FundsError as error:
        if shorter := re.search("--timeout to ([^,]+),", error.hint):
            choose([only], Requirements(), parse_seconds(shorter[1]), cap=cap(amount))
        higher = re.search("--max-cost '(.+)'", error.hint)
        assert higher is not None
        choose([only], Requirements(), Seconds(timeout), cap=cap(parse_nos(higher[1])))


def test_hints_name_what_fits() -> None:
    """
    Slugs and cards that are nearly what was written, whatever the case; what is proposed fits.
    """
    h100 = market("nvidia-8x-h100", "", 640, 17_000)
    h100 = replace(h100, gpus=("NVIDIA H100 80GB HBM3",))
    cards = [*ALL, h100, market("nvidia-4090-community", "RTX 4090", 24, 200)]
    hints = {
        Requirements(gpu="h100x"): "Did you mean H100?",
        Requirements(gpu="RTX 409"): "Did you mean 4090?",
        Requirements(gpu="4090x", vram=GiB(20)): "Did you mean 4090?",
        Requirements(gpu="3060", vram=GiB(20)): "The most there is has 8 GiB: --vram 8.",
        Requirements(gpu="zzz", vram=GiB(20)): "Without --gpu, 3 markets fit: see %nosana markets.",
        Requirements(gpu="zzz", vram=GiB(9000)): "See %nosana markets.",
        Requirements(market="nvidia-4090-community", gpu="3060"):
            "It has RTX 4090: leave out --gpu, or leave out --market: nvidia-3060 fits.",
        Requirements(market="nvidia-3060", vram=GiB(16)):
            "The most there is has 8 GiB: --vram 8, or leave out --market: nvidia-4080 fits.",
    }  # fmt: skip
    for wanted, hint in hints.items():
        with pytest.raises(UsageError) as caught:
            choose(cards, wanted, HOUR)
        assert caught.value.hint == hint

    for written, near in {"4080": "nvidia-4080", "NVIDIA-4080x": "nvidia-4080"}.items():
        with pytest.raises(UsageError) as caught:
            find(cards, written)
        assert caught.value.hint.startswith(f"Did you mean {near}")
    with pytest.raises(UsageError) as caught:
        find(cards, "4090")
    assert caught.value.hint == "Did you mean nvidia-4090, nvidia-4090-community?"
