"""What cards cost elsewhere, and the tiers of cards."""

from __future__ import annotations

import datetime as dt

from nosana_jupyter.local.catalogue import CATALOGUE
from nosana_jupyter.market.elsewhere import elsewhere, table
from nosana_jupyter.market.tiers import STEPS, memory_of, step, tier_of


def test_each_price_has_its_day_and_who_said_so() -> None:
    """
    Prices of five providers are there, each with the day on which it was read and its source.
    """
    rows = table()

    assert {row.provider for row in rows} == {"AWS", "Azure", "RunPod", "Vast", "Akash"}
    assert all(dt.date.fromisoformat(row.date).year >= 2026 for row in rows)
    assert all(row.source and 10_000 < row.hour < 20_000_000 for row in rows)
    assert len({(row.provider, row.card) for row in rows}) == len(rows)


def test_a_card_is_found_by_the_names_it_has() -> None:
    """
    A card's full name, a short one, and one with its memory find the same prices, cheapest first.
    """
    full = elsewhere("NVIDIA GeForce RTX 4090")

    assert full == elsewhere("RTX 4090") == elsewhere("4090")
    assert [row.provider for row in full] == ["RunPod", "Akash"]
    assert {row.card for row in elsewhere("NVIDIA A100-SXM4-80GB")} == {"A100 80GB"}
    assert {row.provider for row in elsewhere("H100")} == {
        "AWS", "Azure", "RunPod", "Vast", "Akash",
    }  # fmt: skip


def test_another_card_has_no_price_of_this_one() -> None:
    """
    A price is never shown for a card that is only called alike.
    """
    assert elsewhere("NVIDIA GeForce RTX 4090 Laptop GPU") == []
    assert elsewhere("NVIDIA GeForce RTX 3060 Ti") == []
    assert elsewhere("NVIDIA RTX 6000 Ada Generation") == []
    assert elsewhere("") == []


def test_tiers() -> None:
    """
    A market is of the lowest tier of its cards; a step of memory holds what is asked for.
    """
    mixed = tier_of(["NVIDIA GeForce RTX 3080", "NVIDIA GeForce RTX 4090"])
    workstation = tier_of(["NVIDIA RTX A5000"])
    center = tier_of([], slug="nvidia-8x-h100")

    assert mixed
    assert mixed.name == "mid-tier retail"
    assert workstation
    assert workstation.name == "workstation"
    assert center
    assert center.name == "data center"
    assert tier_of(["Radeon"]) is None
    assert [STEPS[step(each)] for each in (0.1, 8, 8.1, 23, 50)] == [8, 8, 12, 24, 80]
    assert step(200) == len(STEPS)


def test_memory_by_the_names_of_cards() -> None:
    """
    The memory of a market's smallest card is known by name, and unknown if one card is.
    """
    assert memory_of(["NVIDIA GeForce RTX 3060", "NVIDIA GeForce RTX 3060 Ti"]) == 8
    assert memory_of(["NVIDIA A100-SXM4-80GB"]) == 80
    assert memory_of([], "nvidia-4090") == 24
    assert memory_of(["NVIDIA GeForce RTX 4090 Laptop GPU"]) == 0
    assert memory_of(["NVIDIA GeForce RTX 4090", "NVIDIA Unheard"]) == 0
    assert memory_of([]) == 0


def test_memory_of_the_catalogue() -> None:
    """
    The names of the network's cards say what the list of the network says.
    """
    for listing in CATALOGUE:
        known = memory_of(listing.gpus)
        assert known in (listing.vram, listing.vram / 8), listing.slug
