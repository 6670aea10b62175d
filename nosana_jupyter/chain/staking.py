"""
What a stake weighs: NOS that is locked up for longer counts for more.
"""

from __future__ import annotations

from .accounts import Stake

SHORTEST = 14 * 86_400
LONGEST = 365 * 86_400
PRECISION = 10**15

GROWTH = LONGEST // 3
"""Seconds of duration that add one to the multiplier."""


def weight(amount: int, duration: int) -> int:
    """Return the xNOS of an amount locked for a duration."""
    return (duration * PRECISION // GROWTH + PRECISION) * amount // PRECISION


def multiplier(duration: int) -> str:
    """Say how many times an amount counts that is locked for a duration: `1.12`."""
    return f"{1 + duration / GROWTH:.2f}".rstrip("0").rstrip(".")


def freed(amount: int, elapsed: int, duration: int) -> int | None:
    """
    Return how much of a stake is free so long after it was unstaked, what was withdrawn included.

    The program stays within 64 bits this way, and loses a few units by it. Nothing: it gives up.
    """
    largest = max(amount, elapsed)
    precision = (2**64 - 1) // largest - 1 if largest else 0
    return elapsed * precision // duration * amount // precision if precision else None


def amount_for(xnos: int, duration: int) -> int:
    """Return the least amount that weighs so much when it is locked for a duration."""
    multiplier = duration * PRECISION // GROWTH + PRECISION
    return -(-xnos * PRECISION // multiplier)


def weighs(stake: Stake | None) -> int:
    """Return what a stake weighs, in micro-xNOS; none, or one that is taken out, is nothing."""
    return stake.xnos if stake is not None else 0
