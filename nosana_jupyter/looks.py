"""
What is asked of a client in one call: to look something up, or to close or prolong a job.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from .choosing import Requirements
    from .client import Client
    from .events import Cell, Plan, Status, Swept
    from .journal import Entry, Receipt
    from .markets import Market, Quote
    from .payer import Extended
    from .units import Seconds

T = TypeVar("T")


class Looks(Protocol):
    """What somebody can ask who reaches a client."""

    def call(self, ask: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        """Run one call of the client and wait for what it returns."""

    def plan(self, cell: Cell) -> Plan:
        """Say what a cell needs and may cost. Spends nothing."""
        return self.call(lambda client: client.plan(cell))

    def quote(
        self, wanted: Requirements, timeout: Seconds, *, max_cost: str | None = None
    ) -> Quote:
        """Return the quote for a run. Spends nothing."""
        return self.call(lambda client: client.quote(wanted, timeout, max_cost=max_cost))

    def markets(self) -> list[Market]:
        """Return the markets of the network, cheapest first."""
        return self.call(lambda client: client.markets())

    def status(self) -> Status:
        """Say where the user is: network, wallet, balances, open jobs."""
        return self.call(lambda client: client.status())

    def jobs(self, limit: int = 20) -> list[Entry]:
        """Return the newest jobs, newest first."""
        return self.call(lambda client: client.entries(limit))

    def receipts(self, limit: int = 20) -> list[Receipt]:
        """Return the newest receipts, newest first."""
        return self.call(lambda client: client.receipts(limit))

    def stop(self, job: str) -> Receipt:
        """End a job by its address or the beginning of it."""
        return self.call(lambda client: client.stop(job))

    def extend(self, job: str, seconds: Seconds) -> Extended:
        """Give a job more time, by its address or the beginning of it."""
        return self.call(lambda client: client.extend(job, seconds))

    def sweep(self) -> Swept:
        """Settle everything this wallet left behind, and fetch the rent of what is long over."""
        return self.call(lambda client: client.sweep())
