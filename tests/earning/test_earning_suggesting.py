"""Markets for a card: the right ones, why, and what they may pay."""

from __future__ import annotations

from decimal import Decimal

import pytest

from nosana_jupyter.earning.suggesting import earnings, suggest
from nosana_jupyter.host.driver import Gpu
from nosana_jupyter.local.catalogue import CATALOGUE
from nosana_jupyter.market.markets import Market
from nosana_jupyter.units import GiB, MicroNos

MARKETS = [
    Market(
        address=each.address, slug=each.slug, name=each.name, kind=each.kind, gpus=each.gpus,
        vram=GiB(each.vram), price=MicroNos(each.price), fee_percent=Decimal(0),
        usd_per_hour=each.usd_per_hour, stake=each.stake, hosts=2,
    )
    for each in CATALOGUE
]  # fmt: skip


def cards(name: str, count: int = 1) -> list[Gpu]:
    """Return some cards of a name."""
    return [Gpu(index=number, name=name) for number in range(count)]


@pytest.mark.parametrize(
    ("name", "count", "expected"),
    [
        ("NVIDIA GeForce RTX 4090", 1, ["nvidia-4090", "nvidia-4090-community"]),
        ("NVIDIA GeForce RTX 3060 Ti", 1, ["nvidia-3060", "nvidia-3060-community"]),
        ("NVIDIA RTX A4000", 1, ["nvidia-a4000"]),
        ("NVIDIA A40", 1, ["nvidia-a40"]),
        ("NVIDIA RTX 6000 Ada Generation", 1, ["nvidia-6000-ada"]),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", 1, ["nvidia-pro-6000"]),
        ("NVIDIA A100-SXM4-80GB", 1, ["nvidia-a100-80gb"]),
        ("NVIDIA H100 80GB HBM3", 1, ["nvidia-h100"]),
        ("NVIDIA H100 80GB HBM3", 8, ["nvidia-8x-h100", "nvidia-h100"]),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", 1, []),
        ("NVIDIA GeForce RTX 4080 SUPER", 1, []),
        ("NVIDIA GeForce GTX 1080", 1, []),
    ],
)
def test_a_card_has_its_markets(name: str, count: int, expected: list[str]) -> None:
    """By its whole name, the best paid first; what only resembles it is another card."""
    found = suggest(MARKETS, cards(name, count), play=False)

    assert [each.market.slug for each in found] == expected
    assert all(each.fits and each.reasons for each in found)


def test_play_money_takes_any_machine() -> None:
    """Without a card, one market where it asks least; with real money, none."""
    assert suggest(MARKETS, [], play=False) == []
    (found,) = suggest(MARKETS, [], play=True)
    assert not found.fits
    assert found.market.stake == min(each.stake for each in MARKETS)
    assert suggest([], [], play=True) == []


def test_what_it_pays_is_a_range() -> None:
    """An hour, and a day at several shares; power is taken off where its price is told."""
    market = next(each for each in MARKETS if each.slug == "nvidia-4090")
    rows = dict(earnings(market, Decimal("0.2959"), watts=450, kwh=Decimal("0.30")))

    assert rows["an hour at work"].endswith("($0.29)")
    assert rows["a day at 100 %"].endswith("($6.98), less $3.24 for power")
    assert rows["a day at 25 %"].endswith("($1.74), less $0.81 for power")
    assert "$" not in dict(earnings(market, None))["a day at 50 %"]
