"""What a cell is estimated to need, laid over the markets."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from nosana_jupyter.errors import UsageError
from nosana_jupyter.market.choosing import Requirements, fitting
from nosana_jupyter.market.markets import Market
from nosana_jupyter.market.needing import Need, caution, larger, narrowed
from nosana_jupyter.units import GiB, MicroNos


def market(slug: str, vram: float, price: int, *, hosts: int = 1) -> Market:
    """Return a market of cards with so much memory."""
    return Market(
        address=slug, slug=slug, name=slug, kind="PREMIUM", gpus=(slug,), vram=GiB(vram),
        price=MicroNos(price), fee_percent=Decimal(10), usd_per_hour=Decimal(1), hosts=hosts,
    )  # fmt: skip


SMALL, MIDDLE, LARGE = market("m12", 12, 40), market("m24", 24, 150), market("m80", 80, 800)
EIGHT = market("nvidia-8x-h100", 640, 9000)
ALL = [SMALL, MIDDLE, LARGE, EIGHT]


def need(low: float, high: float, *, spreads: bool = False) -> Need:
    return Need(low=GiB(low), high=GiB(high), text=f"about {low:g}–{high:g} GiB", spreads=spreads)


@pytest.mark.parametrize(
    ("low", "high", "spreads", "slugs"),
    [
        (9, 11, False, ["m12", "m24", "m80", "nvidia-8x-h100"]),
        (9, 13, False, ["m24", "m80", "nvidia-8x-h100"]),
        (25, 60, False, ["m80", "nvidia-8x-h100"]),
        (140, 150, True, ["nvidia-8x-h100"]),
    ],
)
def test_the_high_end_is_asked_for(
    low: float, high: float, spreads: bool, slugs: list[str]
) -> None:
    """
    What holds the high end fits; several cards of a host hold what may be spread over them.
    """
    wanted, warning = narrowed(ALL, Requirements(), need(low, high, spreads=spreads))

    assert [each.slug for each in fitting(ALL, wanted)] == slugs
    assert warning == ""


def test_the_largest_is_taken_where_only_the_low_end_fits() -> None:
    """
    A range whose high end nobody has goes to the most there is, with a word of it.
    """
    wanted, warning = narrowed(ALL, Requirements(), need(60, 100))

    assert fitting(ALL, wanted)[0] is LARGE
    assert "m80 has 80 GiB" in warning


def test_what_fits_nowhere_is_refused_with_the_numbers() -> None:
    """
    A cell that cannot run is refused before anything is spent; one card is what it has to fit.
    """
    with pytest.raises(UsageError, match="about 140–150 GiB, and the most there is has 80") as told:
        narrowed(ALL, Requirements(), need(140, 150))

    assert "--vram 80" in told.value.hint


@pytest.mark.parametrize(
    "wanted", [Requirements(vram=GiB(8)), Requirements(gpu="m12"), Requirements(market="m12")]
)
def test_what_the_user_asks_for_wins(wanted: Requirements) -> None:
    """
    Whoever names a market, a card or an amount gets that, and a word where it is too small.
    """
    assert narrowed(ALL, wanted, need(140, 150)) == (wanted, "")
    assert "m12 has 12 GiB: it may run out" in caution(SMALL, need(20, 22))
    assert caution(SMALL, need(9, 22)) == ""


def test_who_needs_no_card_goes_where_he_went() -> None:
    """
    Without a need nothing changes.
    """
    assert narrowed(ALL, Requirements(), need(0, 0)) == (Requirements(), "")


def test_lists_without_memory_refuse_nobody() -> None:
    """
    Where no market's memory is known, nothing can be chosen by it, and nothing is refused.
    """
    unknown = [replace(SMALL, vram=GiB(0))]

    assert narrowed(unknown, Requirements(), need(9, 11))[0] == Requirements()


def test_the_next_step_of_memory() -> None:
    """
    The next step is the cheapest with more, a free one first; there is none beyond the last.
    """
    busy = market("m32", 32, 100, hosts=0)
    free = market("m32-free", 32, 200)
    found = larger([*ALL, busy, free], Requirements(), MIDDLE)

    assert found is free
    assert larger(ALL, Requirements(), SMALL) is MIDDLE
    assert larger(ALL, Requirements(), LARGE) is None
    assert EIGHT.memory == 80


def test_cards_that_the_packages_have_no_code_for() -> None:
    """
    Packages for an old CUDA do not go to a new card, nor what needs a new one to an old; but where
    only such are left, they are taken.
    """
    old = replace(market("old", 24, 50), gpus=("NVIDIA V100",))
    new = replace(market("new", 24, 60), gpus=("NVIDIA GeForce RTX 5090",))
    mid = replace(market("mid", 24, 70), gpus=("NVIDIA GeForce RTX 4090",))
    asks = replace(need(9, 11), capability=8.0, below=12.0)

    wanted, _ = narrowed([old, new, mid], Requirements(), asks)
    alone, _ = narrowed([old, new], Requirements(), asks)

    assert [each.slug for each in fitting([old, new, mid], wanted)] == ["mid"]
    assert [each.slug for each in fitting([old, new], alone)] == ["old", "new"]
