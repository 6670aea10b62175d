"""
The tiers of cards on the network, and the steps of memory that one climbs when a card is too small.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

STEPS = (8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 80.0, 96.0)
"""Sizes of memory that cards of the network have, in GiB; 10, 20 and 40 are rare ones between."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A class of cards."""

    name: str
    text: str
    """Who it is for, in a few words."""

    cards: tuple[str, ...]
    """What tells them, as in `4090`."""


TIERS = (
    Tier("mid-tier retail", "small models, notebooks, rendering",
         ("3060", "3070", "3080", "4060", "4070", "5070", "laptop")),
    Tier("high-end consumer", "models of up to 14 billion parameters",
         ("3090", "4080", "4090", "5080", "5090")),
    Tier("workstation", "much memory, steady hosts",
         ("A4000", "A4500", "A5000", "A5500", "A6000", "6000")),
    Tier("data center", "training, and models of 30 billion parameters and more",
         ("A40", "A100", "H100", "H200", "B200", "L4", "L40", "L40S", "V100", "T4")),
)  # fmt: skip


MEMORY = (
    ("h200", 141), ("b200", 180), ("h100", 80), ("a100 80gb", 80), ("a100 40gb", 40), ("a100", 40),
    ("pro 6000", 96), ("6000 ada", 48), ("l40s", 48), ("l40", 48), ("a40", 48), ("a6000", 48),
    ("a5500", 24), ("a5000", 24), ("a4500", 20), ("a4000", 16), ("5090", 32), ("5080", 16),
    ("5070 ti", 16), ("5070", 12), ("4090", 24), ("4080", 16), ("4070 ti super", 16),
    ("4070", 12), ("4060", 8), ("3090", 24), ("3080 ti", 12), ("3080", 10), ("3070", 8),
    ("3060 ti", 8), ("3060", 12), ("v100", 16), ("t4", 16), ("l4", 24),
)  # fmt: skip
"""Memory of cards in GiB, by their names; of those sold with several sizes, the least."""


CAPABILITIES = (
    (12.0, ("5070", "5080", "5090", "pro")), (10.0, ("b200", "b300")), (9.0, ("h100", "h200")),
    (8.9, ("4060", "4070", "4080", "4090", "ada", "l4", "l40", "l40s")),
    (8.6, ("3060", "3070", "3080", "3090", "a4000", "a4500", "a5000", "a5500", "a6000", "a40")),
    (8.0, ("a100",)), (7.5, ("t4",)), (7.0, ("v100",)),
)  # fmt: skip
"""Compute capability of cards, by what their names have."""


def capability_of(gpus: Sequence[str], slug: str = "") -> tuple[float, float]:
    """Return the least and the most compute capability of some cards; 0 if one is not known."""
    found = [_capability(name) for name in gpus or [slug]]
    return (min(found), max(found)) if found and all(found) else (0.0, 0.0)


def _capability(name: str) -> float:
    words = set(re.split(r"[\s\-]+", name.lower()))
    return next((number for number, cards in CAPABILITIES if words & set(cards)), 0.0)


def memory_of(gpus: Sequence[str], slug: str = "") -> float:
    """Return the memory of the smallest of some cards; 0 if one of them is not known."""
    found = [_memory(name) for name in gpus or [slug]]
    return min(found, default=0.0)


def _memory(name: str) -> float:
    words = re.split(r"[\s\-]+", name.lower())
    for card, gib in MEMORY:
        if set(card.split()) <= set(words) and ("laptop" not in words):
            return float(gib)
    return 0.0


def step(gib: float) -> int:
    """Return the number of the step of memory that holds an amount; beyond all, several cards."""
    return bisect_left(STEPS, gib)


def tier_of(gpus: Sequence[str], slug: str = "") -> Tier | None:
    """
    Return the tier of a market, by the names of its cards or else by its slug.

    A market with cards of several tiers is of the lowest: that is what one may get.
    """
    found = [_tier(name) for name in gpus or [slug]]
    known = [number for number in found if number is not None]
    return TIERS[min(known)] if known else None


def _tier(name: str) -> int | None:
    words = set(re.split(r"[\s\-]+", name.upper()))
    for number, tier in enumerate(TIERS):
        if words & {card.upper() for card in tier.cards}:
            return number
    return None
