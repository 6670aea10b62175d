"""
What a cell needs of a card, which markets have it, and what it costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from decimal import Decimal
from typing import TYPE_CHECKING

from ..errors import NosanaError, UsageError
from ..market import rates
from ..market.choosing import Requirements, fitting
from ..market.elsewhere import elsewhere
from ..market.tiers import tier_of
from ..units import GiB
from .asked import problem
from .bodies import Ask
from .views import Elsewhere, Gpus, Market, Needs, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..client import Client
    from ..market.markets import Market as Listed
    from ..market.rates import Rate
    from .asked import Asked
    from .desk import Desk

FRESH = 10.0
"""Seconds for which a list of markets is shown again: a slider asks many times."""

STILL = 0.8
"""Seconds for which no other model is named before the hub is asked for what stands there."""

DEADLINE = 6.0
"""Seconds after which what is known is said, whatever the hub still does."""

LARGEST = 4096.0
"""GiB of memory that no card has."""

HOUR = 3600


async def look(asked: Asked) -> Gpus:
    """Say which markets there are, and which have so much memory."""
    vram = _vram(asked.query.get("vram", ""))
    desk = asked.desk
    try:
        markets, rate = await _markets(desk)
    except NosanaError as error:
        return Gpus(markets=(), problem=problem(error))
    wanted = Requirements(vram=GiB(vram) if vram else None)
    fit = {each.address for each in fitting(markets, wanted)}
    return Gpus(
        markets=tuple(_market(each, rate, fits=each.address in fit) for each in markets),
        elsewhere=tuple(_elsewhere(markets)),
        rate_age=None if rate is None else int(rate.age),
    )


async def needs(asked: Asked) -> Needs:
    """
    Say what a cell needs, found in its text alone: no kernel is asked.

    The files of models that nobody knows yet are looked at as for a quote, if the settings let us,
    once their names stand still: a name that is being typed is none.
    """
    desk, code = asked.desk, asked.read(Ask).code
    names = desk.naming = await desk.run(_unknown, code)
    if names:
        await asyncio.sleep(STILL)
        if desk.naming == names:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_look_up(desk, names), DEADLINE)
    return await desk.run(_estimated, code)


async def _look_up(desk: Desk, names: tuple[str, ...]) -> None:
    """Find out what the files of some models hold, and keep it."""
    async with desk.hub:  # Who comes second finds what the first has kept.
        await desk.run(_fetch, names)


def _fetch(names: tuple[str, ...]) -> None:
    from .. import settings
    from ..rent.shelf import shelf_of

    shelf_of(settings.load()).fetch(names)


def _unknown(code: str) -> tuple[str, ...]:
    """Return the models of a cell that the hub would be asked for."""
    from .. import settings
    from ..rent.shelf import shelf_of
    from ..vram import models_of

    return shelf_of(settings.load()).unasked(models_of(code))


async def _markets(desk: Desk) -> tuple[Sequence[Listed], Rate | None]:
    network = await desk.network()
    kept = desk.markets
    if kept is not None and kept[0] == network and time.monotonic() - kept[1] < FRESH:
        return kept[2], desk.rate

    async def ask(client: Client) -> tuple[list[Listed], Rate | None]:
        return await client.markets(), await rates.current(client.network)

    found, desk.rate = await desk.call(ask)
    desk.markets = network, time.monotonic(), found
    return found, desk.rate


def _market(found: Listed, rate: Rate | None, *, fits: bool) -> Market:
    tier = tier_of(found.gpus, found.slug)
    hour = math.ceil(found.price * HOUR * (1 + found.fee_percent / 100))
    return Market(
        address=found.address,
        slug=found.slug,
        name=found.name,
        gpu=found.gpu,
        vram=found.vram,
        tier=tier.name if tier is not None else found.kind.lower(),
        hosts=found.hosts,
        jobs=found.jobs,
        price=found.price,
        hour=hour,
        hour_usd=None if rate is None else math.ceil(Decimal(hour) * rate.usd),
        fits=fits,
    )


def _elsewhere(markets: Sequence[Listed]) -> Iterator[Elsewhere]:
    """Return what others ask for the cards of these markets, each once."""
    found = {each: None for market in markets for gpu in market.gpus for each in elsewhere(gpu)}
    for each in sorted(found, key=lambda each: (each.card, each.hour)):
        yield Elsewhere(
            provider=each.provider,
            card=each.card,
            hour_usd=each.hour,
            terms=each.terms,
            date=each.date,
            source=each.source,
        )


def _vram(text: str) -> float:
    try:
        found = float(text or 0)
    except ValueError:
        found = math.nan
    if not 0 <= found <= LARGEST:
        raise UsageError(f"vram is an amount of GiB, not {text[:40]!r}")
    return found


def _estimated(code: str) -> Needs:
    from .. import settings
    from ..rent.shelf import shelf_of
    from ..vram import estimate, learned, models_of

    # What is known here already of models and of earlier runs.
    shelf = shelf_of(settings.load())
    shelf.hub = None
    shelf.fetch(models_of(code))
    weights = shelf.find
    found = estimate(code, weights=weights)
    peak = learned.find(settings.home(), found.fingerprint)
    if peak is not None:
        found = estimate(code, weights=weights, peak=peak)
    line = next((each.strip() for each in code.splitlines() if each.strip()), "")
    return Needs(
        low=found.low,
        high=found.high,
        need=found.need,
        certain=found.certain,
        reasons=tuple(
            Reason(what=each.what, gib=each.gib, text=each.sentence, source=each.source)
            for each in found.reasons
        ),
        notes=found.notes,
        options=f"--vram {math.ceil(found.need)}" if found.need else "",
        line=line if line.startswith("%%nosana") else "",
    )
