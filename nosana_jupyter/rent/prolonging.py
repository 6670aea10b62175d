"""
More time for a job that is kept: paid in steps, and asked for again only while it may be wanted.

So little is deposited at once, and what nobody follows any more ends by itself soon.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace

from ..errors import NosanaError, OverBudget
from ..market import quoting
from ..money import extending
from ..money.jobs import Jobs
from ..settings import Settings
from ..units import MicroNos, Seconds

log = logging.getLogger("nosana_jupyter.rent.prolonging")

MARGIN = 120.0
"""Seconds before the end of what is paid in which more is asked for."""

LATER = 20.0
"""Seconds before more time is asked for again, where it was not to be had."""

STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""The clock that goes on while a machine sleeps, and does not jump when somebody sets it."""


class Prolonging:
    """
    The time of one job that is kept.

    Args:
        jobs: Of the wallet that pays.
        chosen: The settings.
        name: What is kept, for the log.
        step: What is paid for at first, and at a time.
        most: Longest run in all.
        max_cost: Cap on all of it, as written.
    """

    def __init__(
        self,
        jobs: Jobs,
        chosen: Settings,
        *,
        name: str,
        step: Seconds,
        most: Seconds,
        max_cost: str | None,
    ) -> None:
        self._jobs = jobs
        self._chosen = chosen
        self._name = name
        self.step = step
        self.most = most
        self._max_cost = max_cost
        self.trouble = ""
        """Why it cannot be given more time."""

        self.unpaid = False
        """Whether that is for want of budget."""

        self.began = 0.0
        """Unix time from which the host is paid."""

        self.paid = step
        self._zero = time.time() - time.clock_gettime(STEADY)
        """Unix time of the steady clock's beginning, as the other clock had it when we began."""

        self._not_before = 0.0

    def now(self) -> float:
        """Return Unix time, on a clock that nobody sets."""
        return self._zero + time.clock_gettime(STEADY)

    @property
    def left(self) -> float:
        """Seconds that are paid and not used."""
        return self.began + self.paid - self.now()

    @property
    def passed(self) -> float:
        """Seconds for which the host is paid so far."""
        return max(0.0, self.now() - self.began)

    @property
    def margin(self) -> float:
        """Seconds before the end in which more is asked for."""
        return min(MARGIN, self.step / 4)

    @property
    def pause(self) -> float:
        """Seconds until more may have to be asked for."""
        if self.paid >= self.most:
            return math.inf
        return max(self.left - self.margin, self._not_before - self.now())

    def wanted(self, ends: float) -> bool:
        """
        Say whether more time is to be asked for now: not for what will end idle.

        Args:
            ends: Seconds until that.
        """
        if self.paid >= self.most or self.now() < self._not_before:
            return False
        return self.left <= self.margin and ends > self.left - self.margin / 2

    async def extend(self, job: str, step: Seconds | None = None, *, spent: int = 0) -> None:
        """
        Give the job more time; where it is not to be had, note why.

        Args:
            job: Its address.
            step: What is asked for, if not the usual.
            spent: What else the cap has to hold, in micro-NOS.
        """
        more = Seconds(min(step or self.step, self.most - self.paid))
        try:
            cap = await quoting.cap(self._jobs.network, self._chosen, self._max_cost)
            if cap is not None:
                cap = replace(cap, amount=MicroNos(cap.amount - spent))
            done = await extending.extend(self._jobs, job, more, cap=cap)
        except NosanaError as error:
            self._not_before = self.now() + LATER
            self.trouble = f"{error} {error.hint}".strip()
            self.unpaid = isinstance(error, OverBudget)
            log.info("%s gets no more time: %s", self._name, error)
        else:
            self.paid = Seconds(done.timeout)
            self.trouble, self.unpaid = "", False
