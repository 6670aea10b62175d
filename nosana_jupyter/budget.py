"""
What all cells of this process may cost together: the setting `budget`.

A job holds its deposit and fee from before it is posted, and what it really cost once it is
settled. A job of which nobody knows whether it was posted goes on holding.
"""

from __future__ import annotations

from decimal import Decimal

from . import settings
from .errors import FundsError
from .units import MicroNos, is_dollars, nos, parse_cap


class Budget:
    """What the jobs of a process hold and have cost, in micro-NOS. Used on one loop."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._price: Decimal | None = None

    @property
    def used(self) -> MicroNos:
        return MicroNos(sum(self._held.values()))

    def take(self, job: str, amount: int, price: Decimal | None = None) -> None:
        """
        Hold an amount for a job, in addition to what it holds.

        Args:
            job: Its address.
            amount: Deposit and fee, in micro-NOS.
            price: Dollars per NOS, if known.

        Raises:
            FundsError: The budget has less left. Nothing was spent.
            UsageError: It is in dollars, and nobody knows what NOS is worth.
        """
        self._price = price or self._price
        text = settings.load().budget
        most = None
        if text:
            most = parse_cap(text, usd_per_nos=self._price if is_dollars(text) else None)
        if most is not None and self.used + amount > most:
            raise FundsError(
                f"this may cost {nos(amount)}, and of the budget of {text} for all cells "
                f"{nos(max(0, most - self.used))} is left. Nothing was spent on it",
                hint="Give a shorter timeout, or a larger budget.",
            )
        self._held[job] = self._held.get(job, 0) + amount

    def give_back(self, job: str, amount: int) -> None:
        """Hold an amount no more: it was not spent."""
        self._held[job] = max(0, self._held.get(job, 0) - amount)

    def rename(self, pending: str, job: str) -> None:
        """Note the address of a job that had none before it was posted."""
        self._held[job] = self._held.pop(pending, 0)

    def settle(self, job: str, cost: int) -> None:
        """Note what a job of this process cost."""
        if job in self._held:
            self._held[job] = cost


shared = Budget()
"""That of this process."""
