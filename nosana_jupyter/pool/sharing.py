"""
What the hosts of a crew cost together, and what each of them may.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from ..errors import FundsError
from ..events import Event, Posted, Quoted, Settled
from ..market.reputation import Reputation
from ..units import MicroNos, nos

SPARE = 4
"""Times what a host takes that it may cost at most while it is on its way: other hosts or markets
may have to be asked. More would be kept from those that are wanted meanwhile."""


class Paces:
    """How long one host takes for an item of each function, by the clock here."""

    def __init__(self) -> None:
        self._took: dict[str, tuple[int, float]] = {}

    def add(self, function: object, count: int, seconds: float) -> None:
        """Learn from a batch."""
        code = getattr(function, "__code__", None)
        if code is not None:
            name = hashlib.sha256(code.co_code + repr(code.co_names).encode()).hexdigest()[:16]
            items, took = self._took.get(name, (0, 0.0))
            self._took[name] = items + count, took + seconds

    def note(self, hosts: Reputation, node: str, market: str) -> None:
        """Let it be remembered."""
        for name, (items, took) in self._took.items():
            hosts.timed(node, market, f"map {name}", took / items)


class Bill:
    """
    What the hosts of a crew have cost so far, in micro-NOS.

    Args:
        cap: Most that they may cost together. None: there is no cap.
    """

    def __init__(self, cap: MicroNos | None) -> None:
        self.cap = cap
        self.spent = 0
        self._accounts: list[Account] = []

    @property
    def held(self) -> int:
        """What leaves less for one more host: deposits, and shares of those on their way."""
        return sum(each.taken for each in self._accounts)

    @property
    def hosts(self) -> int:
        """Hosts that have a share or a deposit."""
        return sum(each.taken > 0 for each in self._accounts)

    def open(self, hosts: int, most: int) -> Account:
        """
        Give one more host what it may cost.

        Args:
            hosts: How many want of what is left, this one among them.
            most: About what one takes: fewer share where it is too little for all.

        Raises:
            FundsError: Nothing is left.
        """
        if self.cap is None:
            account = Account(self, None)
        else:
            free = self.cap - self.spent - self.held
            if free <= 0:
                raise FundsError(
                    f"the cap of {nos(self.cap)} is used up: {nos(self.spent)} were paid, "
                    f"and {nos(MicroNos(self.held))} are held for hosts at work",
                    hint="Give more with max_cost, or take fewer hosts.",
                )
            share = free // max(1, min(hosts, free // max(1, most)))
            account = Account(self, MicroNos(min(share, SPARE * most or share)))
        self._accounts.append(account)
        return account

    def forget(self, account: Account) -> None:
        """Note that a host costs nothing more; of what could not be settled that is not sure."""
        account.share = None
        if not account.deposits:
            self._accounts.remove(account)


@dataclass(slots=True, eq=False)
class Account:
    """What one host may cost, and holds. It may be the last of several that were asked."""

    bill: Bill
    share: MicroNos | None
    """What it may cost, as long as it is on its way."""

    deposits: dict[str, int] = field(default_factory=dict)
    """With fees, by job."""

    pace: Paces = field(default_factory=Paces)
    _due: int = 0
    """Deposit and fee of what was quoted last."""

    @property
    def taken(self) -> int:
        return max(self.share or 0, sum(self.deposits.values()))

    @property
    def cap(self) -> str | None:
        """Its share, as it is written."""
        return None if self.share is None else nos(self.share)

    def note(self, event: Event) -> None:
        """Learn of a job that was quoted, posted or settled."""
        match event:
            case Quoted(quote=quote):
                self._due = quote.most
            case Posted(job=job, deposit=deposit):
                self.deposits[job] = max(deposit, self._due)
            case Settled(receipt=receipt):
                # Nobody knows yet what one that could not be settled has cost.
                if receipt.status != "unsettled":
                    self.deposits.pop(receipt.job, None)
                    self.bill.spent += receipt.paid + receipt.network_fee
