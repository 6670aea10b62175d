"""
What an agent may do, and within which bounds.

An agent spends the user's money and sends the user's files to strangers. So whoever starts it says
how much and which folder, and nothing that an agent says can change either.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import settings
from ..errors import UsageError
from ..events import Cell
from ..market.choosing import Requirements, fitting
from ..money.consent import unasked
from ..money.journal import Entry, owner_of
from ..portal import Portal
from ..sanitize import line
from ..settings import forms
from ..travel import files
from ..units import duration, parse_gib, parse_seconds
from .runs import Run, Runs


class Tools:
    """
    What an agent may do.

    Args:
        portal: The way to the network.
        folder: The folder whose files may travel, or nothing.
        spend: Whether real money may be spent.
    """

    def __init__(self, portal: Portal, folder: Path | None, *, spend: bool) -> None:
        self._portal = portal
        self._folder = folder
        self._spend = spend
        self.runs = Runs(portal, self._agrees)

    def markets(
        self,
        vram: str = "",
        gpu: str = "",
        prefer: str = "",
    ) -> dict[str, Any]:
        """
        List the markets that fit, the best first: card, memory, hosts free, price per hour, what
        is kept there; and by what they are chosen.
        """
        wanted = Requirements(vram=parse_gib(vram) if vram else None, gpu=gpu or None)
        chosen = settings.load()
        order = prefer or chosen.prefer
        found, known = self._portal.ranked(
            fitting(self._portal.markets(), wanted), order, forms.spelled(chosen.image)
        )
        listed = [
            {
                "market": each.slug,
                "gpus": list(each.gpus),
                "vram_gib": each.vram,
                "hosts_free": each.hosts,
                "jobs_waiting": each.jobs,
                "nos_per_hour": round(each.price * 3600 / 1_000_000, 6),
                "network_fee_percent": float(each.fee_percent),
                "kept": "" if of.kept == "–" else line(of.kept),
            }
            for each, of in zip(found, known, strict=True)
        ]
        return {"chosen_by": list(forms.order_of(order)), "markets": listed}

    def quote(
        self,
        code: str = "",
        vram: str = "",
        gpu: str = "",
        timeout: str = "",
        prefer: str = "",
    ) -> dict[str, Any]:
        """
        Say what a run may cost at most, where it would go and why, and what travels. Spends
        nothing.
        """
        cell = self._cell(
            code or "pass", vram=vram, gpu=gpu, timeout=timeout, prefer=prefer or None
        )
        plan = self._portal.plan(cell)
        quote = plan.quote
        return {
            "market": quote.market.slug,
            "gpus": list(quote.market.gpus),
            "hosts_free": quote.market.hosts,
            "chosen_by": list(quote.why),
            "kept": quote.kept,
            "at_most": quote.bound,
            "for": duration(quote.timeout),
            "packages": list(plan.packages),
            "notes": [*plan.notes, *quote.notes],
        }

    def start(
        self, code: str, *, files: Sequence[str], get: Sequence[str], max_cost: str, **asked: Any
    ) -> Run:
        """Begin a run."""
        if (files or get) and self._folder is None:
            raise UsageError(
                "no files may travel: nobody has said which folder",
                hint="The user starts this server with --folder DIR to allow it.",
            )
        self._check(files)
        cell = self._cell(code, files=tuple(files), gets=tuple(get), **asked)
        if max_cost:
            # The agent may lower the user's cap for a run, and not raise it.
            self._portal.plan(cell)
            cell = replace(cell, max_cost=max_cost)
        return self.runs.start(cell)

    def jobs(self, limit: int = 20) -> list[dict[str, Any]]:
        """List the jobs of this agent, newest first, with what each has cost."""
        ours = owner_of(os.getpid())
        names = {run.job: run.name for run in self.runs.all()}
        found = [each for each in self._portal.jobs(1000) if each.intent.owner == ours]
        return [_told(each, names) for each in found[: max(1, limit)]]

    def _cell(
        self, code: str, *, vram: str = "", gpu: str = "", timeout: str = "",
        pip: Sequence[str] = (), inputs: dict[str, Any] | None = None, market: str = "",
        **rest: Any,
    ) -> Cell:  # fmt: skip
        namespace = inputs or {}
        for name in namespace:
            if not name.isidentifier():
                raise UsageError(f"{name!r} is no name that a value can have")
        return Cell(
            source=code,
            namespace=namespace,
            timeout=parse_seconds(timeout or settings.load().timeout),
            limit=parse_seconds(timeout) if timeout else None,
            vram=parse_gib(vram) if vram else None,
            gpu=gpu or None,
            market=market or None,
            pip=tuple(pip),
            **rest,
        )

    def _check(self, named: Sequence[str]) -> None:
        """See that no file outside the folder travels, by whatever way it is named."""
        if self._folder is None or not named:
            return
        for name, source in files.find(named, self._folder).sources:
            real = Path(source.path).resolve()
            if not real.is_relative_to(self._folder):
                raise UsageError(
                    f"{name} lies outside {self._folder}, and may not travel",
                    hint="Name files below that folder.",
                )

    def _agrees(self, quote: Any, network: Any) -> bool:
        return self._spend and unasked(quote, network)


def _told(entry: Entry, names: dict[str, str]) -> dict[str, Any]:
    intent, receipt = entry.intent, entry.receipt
    return {
        "job": intent.job,
        "run": names.get(intent.job, ""),
        "state": entry.state,
        "code": intent.cell,
        "market": intent.slug,
        "at_most": intent.most,
        "cost": receipt.story if receipt else "",
    }
