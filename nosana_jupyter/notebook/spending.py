"""
`%nosana budget`: what each notebook has spent and holds, and what is left of the budgets.

Who pays for many asks which of them it was. All kernels of one user are in one journal; what
others have spent with wallets of their own stands in theirs.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..money import limits
from ..money.limits import Amount
from ..sanitize import line
from ..units import MicroNos, MicroUsd, nos, usd
from . import tables

if TYPE_CHECKING:
    from ..client import Client
    from ..portal import Portal

SINCE = {"day": "budget_day", "month": "budget_month", "": ""}
"""Words that say from when on, with the budget of the same time."""

NO_NOTEBOOK = "no notebook"
"""In place of the names of processes that were none: scripts, consoles, tests."""


@dataclass(kw_only=True, slots=True)
class Spent:
    """What one notebook has spent since a moment, and holds."""

    title: str
    jobs: int = 0
    paid: Amount = field(default_factory=Amount)
    held: Amount = field(default_factory=Amount)


def command(portal: Portal, rest: str) -> tables.Table:
    """
    Show who has spent what.

    Raises:
        UsageError: The line says something else than from when on.
    """
    if rest not in SINCE:
        raise UsageError(
            f"%nosana budget does not take {rest!r}",
            hint="Write %nosana budget, budget day or budget month.",
        )

    async def ask(client: Client) -> list[Spent]:
        return found(client, limits.days(time.time())[SINCE[rest]][0] if rest else 0.0)

    every = portal.call(ask)
    rows = [
        (_place(each.title), str(each.jobs), _spell(each.paid), _spell(each.held)) for each in every
    ]
    if len(rows) > 1:
        paid, held = Amount(), Amount()
        for each in every:
            paid, held = paid + each.paid, held + each.held
        rows.append(("together", str(sum(each.jobs for each in every)), _spell(paid), _spell(held)))
    budgets = [f"Budget of {label}: {text}." for label, text in portal.status().budgets]
    when = {"day": " today", "month": " this month"}.get(rest, "")
    note = "\n".join(budgets) if rows else "\n".join([f"Nothing was spent{when}.", *budgets])
    return tables.Table(
        head=("notebook", "jobs", f"paid{when}", "held by open jobs") if rows else ("",),
        rows=rows,
        note=note,
    )


def found(client: Client, since: float) -> list[Spent]:
    """Return what each notebook has spent since a moment, the most first."""
    every: dict[str, Spent] = {}
    journal, network = client.journal, client.network.name
    for title, jobs, paid, credit in journal.paid_by(network, since):
        every[title] = Spent(title=title, jobs=jobs, paid=Amount(nos=paid, usd=credit))
    for entry in journal.open_elsewhere(network, ""):
        one = every.setdefault(entry.intent.title, Spent(title=entry.intent.title))
        one.jobs += 1
        one.held += limits.held(entry)
    return sorted(every.values(), key=lambda each: (-each.paid.nos, -each.paid.usd, each.title))


def _spell(amount: Amount) -> str:
    parts = [nos(MicroNos(amount.nos))] if amount.nos or not amount.usd else []
    return " + ".join([*parts, *([usd(MicroUsd(amount.usd))] if amount.usd else [])])


def _place(title: str) -> str:
    """Return where a notebook is, from here where it is below."""
    if not title:
        return NO_NOTEBOOK
    near = os.path.relpath(title) if os.path.isabs(title) else title  # noqa: PTH117 - it is text
    return line(title if near.startswith("..") else near)
