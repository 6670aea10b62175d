"""
What one cell of a session cost. The session's job has the receipt; this is a share of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from ..units import MicroNos, duration, nos, usd

if TYPE_CHECKING:
    from ..market.markets import Quote


@dataclass(frozen=True, kw_only=True, slots=True)
class CellBill:
    """What a cell of a session cost."""

    seconds: float
    """Time for which it had the session, in seconds."""

    cost: MicroNos
    """What that costs, whoever pays, in micro-NOS."""

    spent: str
    """The same in words, as it is paid."""

    startup: str
    """What it cost until the runner was there, in words."""

    cells: int
    """Cells that share the start-up so far, this one among them."""

    @property
    def text(self) -> str:
        """All of it in words."""
        shared = f"shared by {self.cells} cells" if self.cells > 1 else "for this first cell"
        return (
            f"{self.spent} for {spell(self.seconds)} of the session; start-up {self.startup} "
            f"{shared}"
        )


def share(quote: Quote, seconds: float, *, startup: float, cells: int) -> CellBill:
    """
    Return what a cell cost.

    Args:
        quote: Price of the session.
        seconds: Time for which the cell had it.
        startup: Seconds until the runner was there, that are paid.
        cells: Cells so far.
    """
    return CellBill(
        seconds=seconds,
        cost=MicroNos(math.ceil(quote.price * seconds)),
        spent=worth(quote, seconds),
        startup=worth(quote, startup),
        cells=cells,
    )


def worth(quote: Quote, seconds: float) -> str:
    """Spell what some seconds cost, as they are paid."""
    if quote.pay == "credits":
        return usd(math.ceil(Fraction(quote.usd) * Fraction(seconds) / quote.timeout))
    return nos(math.ceil(quote.price * seconds))


def spell(seconds: float) -> str:
    """Spell a short time: `0.01 s`, `3.1 s`, `2m 5s`."""
    if seconds >= 100:
        return duration(round(seconds))
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
