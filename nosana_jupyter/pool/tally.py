"""
What was checked of a map's results, and what came of it, in words that claim no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..market.findings import Finding
from ..trust.agreement import Agreement

REASONS = 3
"""Most reasons that a label gives."""


@dataclass(kw_only=True, slots=True)
class Tally:
    """What was checked of the results of one map."""

    total: int = 0
    """Items whose results the user gets."""

    checked: int = 0
    """Those of them that were compared with what another host, or this machine, found."""

    right: int = 0
    """Canaries that were found right."""

    canaries: int = 0
    """Canaries of which it is known what became of them."""

    again: int = 0
    """Items that were computed again, as their host was caught."""

    caught: list[Finding] = field(default_factory=list)
    worst: Agreement = Agreement.BIT_EQUAL
    """The worst that those that agree do."""

    reasons: dict[str, None] = field(default_factory=dict)
    """Why something is not verified, in the order in which that came up."""

    def note(self, why: str) -> None:
        """Add a reason."""
        self.reasons[why] = None

    @property
    def label(self) -> str:
        """All of it, as in `spot-checked 5 of 100, bit-equal`."""
        reasons = "; ".join(list(self.reasons)[:REASONS])
        told = []
        if self.checked:
            known = Agreement(min(self.worst, Agreement.WITHIN)).label
            told.append(f"spot-checked {self.checked:,} of {self.total:,}, {known}")
        if self.canaries:
            told.append(f"{self.right:,} of {self.canaries:,} canaries right")
        if self.caught:
            nodes = len({each.node for each in self.caught})
            who = "1 host" if nodes == 1 else f"{nodes} hosts"
            told.append(f"{who} caught, {self.again:,} computed again")
        if not (self.checked or self.right):
            told.append(f"unverified: {reasons or 'nothing was picked to be checked'}")
        elif reasons:
            told.append(f"not all of what was picked: {reasons}")
        return "; ".join(told)
