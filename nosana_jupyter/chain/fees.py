"""
Priority fees: what to bid, from what others bid of late.

The rule is the official client's, so that our transactions wait no longer than theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import Any, Literal

Strategy = Literal["low", "medium", "high"]

PERCENTILES: dict[Strategy, int] = {"low": 25, "medium": 50, "high": 75}

WATCHED = (
    "So11111111111111111111111111111111111111112",
    "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
)
"""Accounts that many write to, SOL and USDC: bids on them say how busy the chain is."""


SIGNATURE = 5_000
"""Lamports of one signature."""

UNITS = 200_000
"""Compute units of one instruction, unless a transaction bounds them lower."""


def most(*, signatures: int, bid: int) -> int:
    """Return the most that a transaction of one instruction can cost, in lamports."""
    return signatures * SIGNATURE + -(-bid * UNITS // 1_000_000)


def fixed(priority: str) -> int | None:
    """Return the bid that a setting fixes, or nothing where it follows what others bid."""
    return int(priority) if priority.isdigit() else None


def wishes(priority: str) -> dict[str, Any]:
    """Return how eager a setting is, as arguments of `choose_fee`."""
    if priority.endswith("%"):
        return {"percentile": float(priority.removesuffix("%"))}
    return {"strategy": priority}


def choose_fee(
    recent: Sequence[int],
    *,
    strategy: Strategy = "medium",
    percentile: float | None = None,
    minimum: int = 0,
    maximum: int | None = None,
) -> int:
    """
    Return the bid, in micro-lamports per compute unit.

    Args:
        recent: Bids of recent blocks, in any order. Without any, the minimum is bid.
        strategy: How eager.
        percentile: How eager, from 0 to 100, in place of `strategy`.
        minimum: Least bid.
        maximum: Most bid; wins over the minimum.
    """
    fee = 0
    if recent:
        wanted = PERCENTILES[strategy] if percentile is None else min(max(percentile, 0), 100)
        # A hundredth less than the count, so that a whole share belongs to the bid below it.
        place = floor(Fraction(wanted) / 100 * (len(recent) - Fraction(1, 100)))
        fee = sorted(recent)[min(len(recent) - 1, place)]
    fee = max(fee, minimum)
    return fee if maximum is None else min(fee, maximum)
