"""
What `%nosana quote` shows: what a cell needs of a card, what that costs here, and elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..market.elsewhere import elsewhere
from ..market.markets import Quote
from ..sanitize import line
from ..units import MICRO
from .tables import Table

if TYPE_CHECKING:
    from ..events import Cell
    from ..units import Seconds


@dataclass(frozen=True)
class Stacked:
    """Tables below each other."""

    tables: Sequence[Table]

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self.tables))

    def _repr_html_(self) -> str:
        return "<br>".join(each._repr_html_() for each in self.tables)


def reasons(found: Quote) -> Table:
    """Show why a cell needs so much memory of a card."""
    rows = [(line(what), line(why)) for what, why in found.reasons]
    note = "\n".join(line(each) for each in found.caution)
    return Table(head=("what", "why"), rows=rows, title="What takes GPU memory", note=note)


def compared(found: Quote) -> Table:
    """Show what others ask for the same card, with the day of each price."""
    market = found.market
    card = market.gpus[0] if market.gpus else market.slug
    others = elsewhere(card)
    fee = 1 + market.fee_percent / 100
    here = market.usd_per_hour * fee
    if found.rate is not None:
        here = found.rate.usd * market.price * 3600 / MICRO * fee
    today = datetime.now(tz=UTC).date().isoformat()
    rows = [("Nosana", f"${here:.3f}", "with the network's fee, by the second", today, market.slug)]
    rows += [
        (each.provider, f"${each.hour / MICRO:.3f}", each.terms, each.date, each.source)
        for each in others
    ]
    note = "Prices of others change: each is that of its day."
    if not others:
        note = f"Nobody's price for {market.gpu} is known here."
    return Table(
        head=("where", "an hour", "what", "day", "source"), rows=rows,
        title=f"{market.gpu}, one card", note=note,
    )  # fmt: skip


def cell_of(shell: Any, number: str | None, timeout: Seconds) -> Cell | None:
    """
    Return the cell that is to be estimated: one by its number, or the newest with `%%nosana`.

    Raises:
        UsageError: There is none of that number.
    """
    from ..events import Cell

    manager = getattr(shell, "history_manager", None)
    history: Sequence[str] = manager.input_hist_raw if manager is not None else ()
    if number is None:
        found = next((each for each in reversed(history) if _goes(each)), "")
    elif number.isdigit() and 0 < int(number) < len(history):
        found = history[int(number)]
    else:
        raise UsageError(
            f"there is no cell In[{number}]",
            hint="Give the number that stands before a cell that was run: --cell 7",
        )
    if not found.strip():
        return None
    source = found.lstrip().partition("\n")[2] if _goes(found) else found
    return Cell(source=source, namespace=shell.user_ns, timeout=timeout)


def _goes(source: str) -> bool:
    """Say whether a cell goes to a host."""
    return source.lstrip().startswith("%%nosana")
