"""
The memory that a cell is estimated to need, laid over the markets there are.

What the user asks for always wins: then an estimate only warns. Where nothing is asked for, a
market is one that holds the high end; where none does, the one with most memory if the low end fits
there, and else the cell is refused before anything is spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..units import GiB
from .choosing import Requirements, fitting
from .tiers import step

if TYPE_CHECKING:
    from .markets import Market


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What a cell is estimated to need of a card."""

    low: GiB
    high: GiB
    text: str
    """In words: `about 9–11 GiB: weights 7.5, KV cache 1.0`."""

    lines: tuple[tuple[str, str], ...] = ()
    """Its reasons as labels and texts, largest first."""

    certain: bool = True
    spreads: bool = False
    """Whether it may lie on several cards of one host."""

    notes: tuple[str, ...] = ()
    """What may surprise, one sentence each."""

    cuda: str = ""
    """Least CUDA that the host's driver has to know, as in `12.4`. Empty: unknown."""

    capability: float = 0.0
    """Least compute capability of the card. 0: any."""

    below: float = 0.0
    """Compute capability from which on the cell's packages have no code. 0: none."""


def narrowed(
    markets: Sequence[Market], wanted: Requirements, need: Need
) -> tuple[Requirements, str]:
    """
    Return what is asked of a market, and what is to be said of it, if anything.

    Args:
        markets: All there are.
        wanted: What the user asks for, settings and all.
        need: What the cell is estimated to need.

    Raises:
        UsageError: Not even its low end fits anywhere; with the numbers.
    """
    if not need.high or wanted.vram or wanted.gpu or wanted.market:
        return wanted, ""
    able = replace(wanted, capability=need.capability, below=need.below)
    # What is known of cards may be old: it chooses among markets, and never leaves none.
    if any(each.vram for each in fitting(markets, able)):
        wanted = able
    open_to = fitting(markets, wanted)
    usable = [each for each in open_to if each.vram and (each.cards == 1 or need.spreads)]
    if not usable:
        return wanted, ""
    enough = GiB(need.high)
    if any(_memory(each, need) >= enough for each in usable):
        single = not need.spreads or any(
            each.cards == 1 and each.memory >= enough for each in usable
        )
        return replace(wanted, vram=enough, single=single), ""
    best = max(usable, key=lambda each: _memory(each, need))
    most = _memory(best, need)
    if need.low > most:
        raise UsageError(
            f"the cell needs {need.text}, and the most there is has {most:g} GiB ({best.slug}). "
            "Nothing was spent",
            hint="Load it in fewer bits (load_in_4bit), or take a shorter context or a smaller "
            f"batch. If the estimate is wrong, say what to ask for: --vram {most:g}",
        )
    warning = (
        f"The cell needs {need.text}. No market holds the high end: {best.slug} has {most:g} GiB, "
        "the most there is, and it may run out."
    )
    return replace(wanted, vram=most, single=best.cards == 1), warning


def caution(market: Market, need: Need) -> str:
    """Say that a market which the user asked for may be too small; nothing if it is not."""
    has = _memory(market, need)
    if not market.vram or has >= need.low:
        return ""
    return (
        f"The cell needs {need.text}, and {market.slug} has {has:g} GiB: it may run out of memory."
    )


def larger(markets: Sequence[Market], wanted: Requirements, here: Market) -> Market | None:
    """Return the cheapest market with a step of memory more than one has, of those open to it."""
    others = fitting(markets, Requirements(kind=wanted.kind))
    above = [each for each in others if each.cards == 1 and step(each.memory) > step(here.memory)]
    if not above:
        return None
    least = min(step(each.memory) for each in above)
    found = [each for each in above if step(each.memory) == least]
    return min(found, key=lambda each: (each.hosts == 0, each.price, each.slug))


def _memory(market: Market, need: Need) -> GiB:
    """Return what of a market's memory a cell can use."""
    return GiB(market.memory * market.cards) if need.spreads else market.memory
