"""
How much memory of a card a cell needs: estimated before it is quoted, and learned while it runs.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .. import settings
from ..database import JournalError
from ..events import Cell, Event, Quoted, Running, Said, Sampled
from ..market.markets import Quote
from ..market.needing import Need
from ..units import GiB, nos
from ..vram import Estimate, Peak, estimate, models_of
from ..vram import learned as peaks
from ..vram.facts import amount, spelled
from ..wire.messages import Error, Stream
from .shelf import shelf_of

log = logging.getLogger("nosana_jupyter.rent.sizing")

_DECIDING = ("torch", "transformers")
"""Distributions whose versions decide what a cell takes."""

MOST_REASONS = 4
"""Most reasons that stand in a line."""


def estimated(cell: Cell, chosen: settings.Settings) -> Estimate:
    """Estimate what a cell needs: with what its models' files say, and what it was seen to take."""
    # Its models first: looking at their files may take a moment, and the estimate itself none.
    names = models_of(cell.source, cell.namespace)
    shelf = shelf_of(chosen)
    shelf.fetch(names)
    versions = _versions(cell.source) if names or "torch" in cell.source else {}
    found = estimate(cell.source, namespace=cell.namespace, weights=shelf.find, versions=versions)
    peak = _peak(settings.home(), found.fingerprint)
    if peak is None:
        return found
    return estimate(
        cell.source, namespace=cell.namespace, weights=shelf.find, versions=versions, peak=peak
    )


async def of(cell: Cell, chosen: settings.Settings) -> Estimate:
    """Do the same on a thread: files may have to be read."""
    return await asyncio.to_thread(estimated, cell, chosen)


def need_of(found: Estimate) -> Need | None:
    """Return an estimate as a market is asked; nothing where no card is needed."""
    if not found.gpu:
        return None
    return Need(
        low=GiB(round(found.low, 2)),
        high=GiB(round(found.high, 2)),
        text=_text(found),
        lines=tuple((each.what, each.sentence) for each in found.reasons),
        certain=found.certain,
        spreads=found.spreads,
        notes=found.notes,
        cuda=found.cuda,
        capability=float(found.capability or 0),
        below=float(found.below or 0),
    )


def _text(found: Estimate) -> str:
    """Spell an estimate: `about 9–11 GiB: weights 7.5, KV cache 1.0`."""
    parts = [f"{each.what} {amount(each.gib)}" for each in found.reasons[:MOST_REASONS]]
    more = ["…"] if len(found.reasons) > MOST_REASONS else []
    why = f": {', '.join([*parts, *more])}" if len(parts) > 1 else ""
    return f"about {spelled(found.low, found.high)}{why}"


def _versions(source: str) -> Mapping[str, str]:
    """Return versions that decide, of distributions that are installed here."""
    found = {}
    for name in _DECIDING:
        if name in source or name == "torch":
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
    return found


def _peak(folder: Path, fingerprint: str) -> Peak | None:
    try:
        return peaks.find(folder, fingerprint)
    except JournalError as error:
        log.info("what cells took before cannot be read: %s", error)
        return None


@dataclass(slots=True)
class Watch:
    """
    Takes note of what a cell takes on its host, and says what to do when its card is too small.

    Args:
        estimate: The cell's.
        emit: Takes what happens, and what is to be said.
    """

    estimate: Estimate
    emit: Callable[[Event], None]
    peak: float = 0.0
    """The most that was in use, in GiB."""

    capacity: float = 0.0
    """Memory of the card, in GiB, as its runner says."""

    failed: bool = False
    session: str = ""
    """Name of the session it runs in: what earlier cells hold there counts, too."""

    quote: Quote | None = None
    """Where it runs, as far as that is known."""

    def take(self, event: Event) -> None:
        """Follow an event, and pass it on."""
        self.emit(event)
        match event:
            case Quoted(quote=quote):
                self.quote = quote
            case Running():
                self.peak = 0.0
            case Sampled(used=used, total=total, card=True):
                self.peak = max(self.peak, used or 0.0)
                self.capacity = total or self.capacity
            case Said(message=Error() as failure):
                text = "\n".join([failure.evalue, *failure.traceback[-20:]])
                if peaks.ran_out(failure.ename, text):
                    self._ran_out(text)

    def _ran_out(self, text: str) -> None:
        self.failed = True
        market = self.quote.market if self.quote is not None else None
        self.capacity = self.capacity or peaks.capacity(text) or (market.memory if market else 0.0)
        hint = out_of_memory(
            self.quote, self.peak, self.capacity, peaks.tried(text), session=self.session
        )
        self.emit(Said(Stream("stderr", f"{hint}\n")))

    def end(self) -> None:
        """Keep what was learned."""
        gib = self.capacity if self.failed else self.peak
        card = self.quote.market.gpu if self.quote is not None else ""
        try:
            peaks.learn(
                settings.home(), self.estimate.fingerprint, gib, card=card, failed=self.failed
            )
        except JournalError as error:
            log.info("what the cell took cannot be kept: %s", error)


def out_of_memory(
    quote: Quote | None, peak: float, capacity: float, tried: float, *, session: str = ""
) -> str:
    """Say what a cell took when its card was full, and where it finds more."""
    had = f" of {amount(capacity)} GiB" if capacity else ""
    told = []
    if peak:
        told.append(f"the most in use was {amount(peak)}{had or ' GiB'}")
    elif capacity:
        told.append(f"the card has {amount(capacity)} GiB")
    if tried:
        told.append(f"it wanted {amount(tried) if tried >= 0.05 else f'{tried:.2f}'} GiB more")
    text = "nosana: the card ran out of memory"
    text += f": {', and '.join(told)}." if told else "."
    if quote is None or quote.larger is None:
        return f"{text} Load it in fewer bits, or take less at once; %nosana markets has the cards."
    market = quote.larger
    where = f"{market.slug}: {market.gpu}, {market.memory:g} GiB, {_hourly(quote)}"
    go = f"%%nosana --vram {market.memory:g}"
    if session:
        go = f"%nosana down {session}, and %nosana up {session} --vram {market.memory:g}"
    return f"{text} The next is {where}. To go there: {go}"


def _hourly(quote: Quote) -> str:
    """Spell what an hour costs in the next larger market, with the network's fee."""
    assert quote.larger is not None
    dearer = replace(quote, market=quote.larger, larger=None)
    if quote.pay == "credits":
        return f"{dearer.so_far(3600)} an hour"
    hour = int(dearer.price * 3600 * (1 + dearer.market.fee_percent / 100))
    dollars = quote.dollars(hour)
    return f"{nos(hour)}{f' ({dollars})' if dollars else ''} an hour"
