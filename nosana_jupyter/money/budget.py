"""
What all cells may cost together: the setting `budget`. Those of a day, a month and a notebook, of
which the journal alone knows, are in `limits`; they are looked at in the same place.

A job holds its deposit and fee from before it is posted, and what it really cost once it is
settled. A job of which nobody knows whether it was posted goes on holding.

A budget of a file is one for all kernels of its user: what those that live have spent counts, as
the journal has it, and all that is open, whoever posted it. What a kernel has spent is forgotten
when it ends. A budget of the environment is that of one process, as whoever starts it means it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from .. import settings
from ..database import refused
from ..errors import OverBudget
from ..locks import lock
from ..units import MicroNos, is_dollars, nos, parse_cap, with_unit
from . import limits
from .journal import DETACHED, Entry, Journal, owner_of

if TYPE_CHECKING:
    from ..market.rates import Rate
    from ..settings import Settings


class Budget:
    """What the jobs of a process hold and have cost, in micro-NOS. Used on one loop."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    @property
    def used(self) -> MicroNos:
        return MicroNos(sum(self._held.values()))

    @contextmanager
    def taken(
        self,
        job: str,
        amount: int,
        journal: Journal,
        *,
        network: str,
        rate: Rate | None = None,
        credit: int | None = None,
        chosen: Settings | None = None,
        notebook: str = "",
    ) -> Iterator[None]:
        """
        Hold an amount for a job, in addition to what it holds; the block notes it in the journal.

        Args:
            job: Its address.
            amount: Deposit and fee, in micro-NOS.
            journal: Knows what other kernels spend.
            network: Where: play money is none of another's.
            rate: What a NOS is worth, if anybody says.
            credit: Micro-dollars of credits, where these pay.
            chosen: The settings that hold for it; by default those of this process.
            notebook: Which it is for, where that is not this process's.

        Raises:
            OverBudget: A budget has less left. Nothing was spent.
            UsageError: It is in dollars, and nobody knows what NOS is worth.
            JournalError: Nothing can be written. Nothing was spent.
        """
        chosen = chosen or settings.load()
        price = rate.most if rate is not None else None
        most = None
        if text := chosen.budget:
            most = parse_cap(text, usd_per_nos=price if is_dollars(text) else None)
        alone = settings.origin("budget") == "environment"
        asked = limits.Amount(nos=amount) if credit is None else limits.Amount(usd=credit)
        # Two kernels that look at the same moment must not both find that there is enough. One
        # without a budget waits as well: another's may count what it is about to write.
        with _alone():
            others = 0 if alone or most is None else self._others(journal, network)
            if most is not None and self.used + others + amount > most:
                raise _refusal(text, most, amount, used=self.used, others=others)
            limits.check(
                limits.those_set(chosen, time.time(), notebook), journal, network, asked, rate
            )
            self._hold(job, amount, journal)
            yield

    def _hold(self, job: str, amount: int, journal: Journal) -> None:
        if job not in self._held:
            # One that another process has posted was paid for by that.
            known = journal.find(job)
            self._held[job] = _cost(known) if known else 0
        self._held[job] += amount

    def _others(self, journal: Journal, network: str) -> int:
        """Return what is open beside ours, and what kernels have spent that still run."""
        found = journal.open_elsewhere(network, "")
        for owner in journal.owners():
            if _lives(owner):
                theirs = journal.of(owner, besides=self._held)
                found += [each for each in theirs if each.intent.network == network]
        spent = {each.intent.job: _cost(each) for each in found}
        return sum(cost for job, cost in spent.items() if job not in self._held)

    def counted(self, journal: Journal, network: str) -> MicroNos:
        """Return what counts against `budget`: of this process and of those that live."""
        return MicroNos(self.used + self._others(journal, network))

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


@contextmanager
def _alone() -> Iterator[None]:
    """
    Hold the lock that every posting takes.

    Raises:
        JournalError: Its file cannot be written.
    """
    path = settings.home() / "budget.lock"
    with ExitStack() as stack:
        try:
            stack.enter_context(lock(path, wait=True))
        except OSError as error:
            raise refused(path, error) from None
        yield


def _refusal(text: str, most: int, amount: int, *, used: int, others: int) -> OverBudget:
    kernels = f", as {nos(MicroNos(others))} are with other kernels and open jobs" if others else ""
    left = nos(MicroNos(max(0, most - used - others)))
    look = " %nosana jobs shows what is open." if others else ""
    return OverBudget(
        f"this may cost {nos(MicroNos(amount))}, and of the budget of {with_unit(text)} for all "
        f"cells {left} is left{kernels}. Nothing was spent on it",
        hint=f"Give a shorter timeout, or a larger budget.{look}",
    )


def _lives(owner: str) -> bool:
    pid = int(owner.partition("@")[0] or 0) if owner != DETACHED else 0
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # It is somebody's: who, is seen below.
        pass
    return owner == owner_of(pid)


def _cost(entry: Entry) -> int:
    """Return what a job has cost, or may."""
    if entry.receipt is not None:
        return entry.receipt.paid + entry.receipt.network_fee
    if entry.state == "unsent":
        return 0
    intent = entry.intent
    return intent.price * max(intent.timeout, intent.extending) + intent.fee


shared = Budget()
"""That of this process."""
