"""
What may be spent in a day, in a month and for a notebook: `budget_day`, `budget_month`,
`budget_notebook`.

They are of all kernels of this user, whatever lives. A job that is open counts with all it may
cost; one that is settled with what it cost, in the day and the month in which it was settled, so
that none is counted nowhere. Days and months are those of UTC: a notebook that travels sees no day
twice. A notebook's budget is for good.

NOS and the dollars of credits are added up each by themselves, and weighed by the rate of now, so
that the sum is rather too large: then what a NOS is worth counts as the dearest source says.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from .. import settings
from ..errors import OverBudget, UsageError
from ..units import MicroNos, MicroUsd, duration, is_dollars, nos, parse_cap, usd, with_unit
from .journal import Entry, Journal, owner_of

if TYPE_CHECKING:
    from ..market.rates import Rate
    from ..settings import Settings

NAMES = {
    "budget_day": "today",
    "budget_month": "this month",
    "budget_notebook": "this notebook",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Amount:
    """NOS, and the dollars of credits: both integers of a millionth."""

    nos: int = 0
    usd: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(nos=self.nos + other.nos, usd=self.usd + other.usd)

    def dollars(self, rate: Rate | None) -> int:
        """
        Return all of it in micro-dollars, rounded up.

        Raises:
            UsageError: There is NOS in it, and nobody knows what that is worth.
        """
        return self.usd + (math.ceil(self.nos * Fraction(_rate(rate).most)) if self.nos else 0)

    def tokens(self, rate: Rate | None) -> int:
        """Return all of it in micro-NOS, rounded up; raises as `dollars` does."""
        return self.nos + (math.ceil(self.usd / Fraction(_rate(rate).least)) if self.usd else 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """One budget that is set."""

    name: str
    """Its setting."""

    text: str
    """As its writer wrote it, with its unit."""

    since: float = 0.0
    """Unix time from which on receipts count."""

    until: float | None = None
    """When it renews. None: never."""

    notebook: str = ""
    """Which notebook alone counts. Empty: all."""

    @property
    def most(self) -> int:
        """Its amount, in micro-NOS or micro-dollars."""
        # A dollar per NOS reads the one as the other.
        return parse_cap(self.text, usd_per_nos=Decimal(1)) or 0

    def of(self, amount: Amount, rate: Rate | None) -> int:
        """Return an amount in the unit that it is written in."""
        return amount.dollars(rate) if is_dollars(self.text) else amount.tokens(rate)

    def spell(self, value: int) -> str:
        """Spell an amount in the unit that it is written in."""
        return usd(MicroUsd(value)) if is_dollars(self.text) else nos(MicroNos(value))

    def renewal(self, now: float) -> str:
        """Say when it renews."""
        if self.until is None:
            return "does not renew"
        day = datetime.fromtimestamp(self.until, UTC)
        return f"renews at {day:%Y-%m-%d 00:00} UTC, in {duration(max(1, self.until - now))}"


def days(now: float) -> dict[str, tuple[float, float]]:
    """Return when the day and the month of a moment begin and end, by name of their budget."""
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return {
        "budget_day": (today.timestamp(), (today + timedelta(days=1)).timestamp()),
        "budget_month": (first.timestamp(), following.timestamp()),
    }


def those_set(chosen: Settings, now: float, of: str = "") -> list[Limit]:
    """Return the budgets that are set, as they are at a moment: of this notebook, or of another."""
    found = days(now)
    limits = []
    for name in NAMES:
        text = getattr(chosen, name)
        if not text or parse_cap(text, usd_per_nos=Decimal(1)) is None:
            continue
        begins, ends = found.get(name, (None, None))
        limits.append(
            Limit(
                name=name, text=with_unit(text),
                since=begins or 0.0,
                until=ends,
                notebook="" if begins else of or notebook(),
            )
        )  # fmt: skip
    return limits


def notebook() -> str:
    """Return the name under which this notebook's jobs count; that of this process, without one."""
    return settings.notebook() or owner_of(os.getpid())


def used(limit: Limit, journal: Journal, network: str) -> Amount:
    """Return what a budget has paid and holds."""
    paid, credits_used = journal.paid(network, limit.since, limit.notebook)
    total = Amount(nos=paid, usd=credits_used)
    for entry in journal.open_elsewhere(network, ""):
        if limit.notebook in ("", entry.intent.notebook):
            total += held(entry)
    return total


def held(entry: Entry) -> Amount:
    """Return what an open job may cost, with the extension that is under way."""
    intent = entry.intent
    longest = max(intent.timeout, intent.extending)
    grown = Fraction(longest, intent.timeout) if intent.timeout else Fraction(1)
    if intent.pay == "credits":
        return Amount(usd=math.ceil(intent.usd * grown))
    return Amount(nos=intent.price * longest + math.ceil(intent.fee * grown))


def check(
    limits: Sequence[Limit], journal: Journal, network: str, amount: Amount, rate: Rate | None
) -> None:
    """
    See that something can be paid. Nobody else may write an intent until this one's is written.

    Raises:
        OverBudget: A budget has less left; says which, and when it renews.
        UsageError: It is in dollars, and nobody knows what NOS is worth.
    """
    for limit in limits:
        before = limit.of(used(limit, journal, network), rate)
        asked = limit.of(amount, rate)
        left = max(0, limit.most - before)
        if asked > left:
            now = time.time()
            renewal = "It does not renew." if limit.until is None else f"It {limit.renewal(now)}."
            raise OverBudget(
                f"this may cost {limit.spell(asked)}, and of the budget of {limit.text} for "
                f"{NAMES[limit.name]} ({limit.name}) {limit.spell(left)} is left: "
                f"{limit.spell(before)} is spent or held by open jobs. Nothing was spent on it",
                hint=f"{renewal} Give a shorter timeout, or see %nosana jobs for what is open. "
                f"{settings.change(limit.name)}",
            )


def told(journal: Journal, network: str, rate: Rate | None) -> tuple[tuple[str, str], ...]:
    """Return the budgets that are set with what is used and left of them, as labels and texts."""
    now = time.time()
    rows = []
    for limit in those_set(settings.load(), now):
        try:
            before = limit.of(used(limit, journal, network), rate)
        except UsageError:
            text = f"of {limit.text}; what is used is not known, as nobody says what NOS is worth"
        else:
            left = limit.spell(max(0, limit.most - before))
            text = f"{limit.spell(before)} of {limit.text} used or held, {left} left"
        rows.append((NAMES[limit.name], f"{text}; {limit.renewal(now)}"))
    return tuple(rows)


def _rate(rate: Rate | None) -> Rate:
    if rate is None:
        raise UsageError(
            "a budget is in dollars, and nobody says what NOS is worth",
            hint="Try again in a moment, or write the budget in NOS.",
        )
    return rate
