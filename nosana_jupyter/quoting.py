"""
Where a cell runs and what it may cost: the user's wishes and caps, laid over the markets there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from . import choosing, known, markets, settings
from .choosing import Cap, Requirements
from .errors import UsageError
from .markets import LEAST_CREDITS, Quote
from .units import MicroNos, Seconds, is_dollars, parse_cap, parse_gib

if TYPE_CHECKING:
    from .chain.rpc import Rpc
    from .network import Network
    from .settings import Settings


async def quote(
    network: Network,
    rpc: Rpc,
    chosen: Settings,
    wanted: Requirements,
    timeout: Seconds,
    *,
    max_cost: str | None = None,
    spent: int = 0,
    avoid: AbstractSet[str] = frozenset(),
) -> Quote:
    """
    Return the cheapest quote that fits. Spends nothing.

    Args:
        network: Where.
        rpc: Its chain.
        chosen: What the user has set.
        wanted: What the cell asks for.
        timeout: Longest run to pay for, in seconds.
        max_cost: The cell's own cap, as written.
        spent: What the cell has cost already, in micro-NOS: the cap holds over all of it.
        avoid: Addresses of hosts, and of markets with unknown hosts, that come last.

    Raises:
        UsageError: Nothing fits; says what came closest.
        FundsError: The cheapest that fits is over the cap.
    """
    listed, price = await asyncio.gather(markets.fetch(network, rpc), markets.usd_per_nos(network))
    known.keep(network.name, {each.slug: each.gpus for each in listed})
    most = _cap(chosen, max_cost, price)
    if most is not None:
        most = replace(most, amount=MicroNos(most.amount - spent))
    try:
        least = LEAST_CREDITS if chosen.pay == "credits" else timeout
        found = choosing.choose(
            listed, _wanted(chosen, wanted), max(timeout, least), cap=most, price=price, avoid=avoid
        )
        return replace(found, pay=chosen.pay, asked=timeout if timeout < least else None)
    except UsageError as error:
        asked = [name for name in ("market", "gpu", "vram") if not getattr(wanted, name)]
        for name in asked:
            if text := getattr(chosen, name):
                error.hint += f" The setting {name} is {text}. {settings.change(name)}"
        raise


async def cap(network: Network, chosen: Settings, max_cost: str | None = None) -> Cap | None:
    """
    Return what one cell may cost at most: its own cap, or that of the settings.

    Raises:
        UsageError: It is in dollars, and nobody knows what NOS is worth.
    """
    text = max_cost or chosen.max_cost
    price = await markets.usd_per_nos(network) if is_dollars(text) else None
    return _cap(chosen, max_cost, price)


def _wanted(chosen: Settings, wanted: Requirements) -> Requirements:
    """Fill in from the settings what is not asked for."""
    return Requirements(
        vram=wanted.vram or (parse_gib(chosen.vram) if chosen.vram else None),
        gpu=wanted.gpu or chosen.gpu or None,
        market=wanted.market or chosen.market or None,
        kind="PREMIUM" if chosen.pay == "credits" else None,
    )


def _cap(chosen: Settings, max_cost: str | None, price: Decimal | None) -> Cap | None:
    """
    Return what one cell may cost at most.

    Raises:
        UsageError: The cap is in dollars, and nobody knows what NOS is worth.
    """
    text = max_cost or chosen.max_cost
    try:
        amount = parse_cap(text, usd_per_nos=price if is_dollars(text) else None)
    except UsageError as error:
        if not max_cost:
            error.hint = "Give --max-cost in NOS, as in 0.2 NOS. The setting max_cost is "
            error.hint += f"{text}. {settings.change('max_cost')}"
        raise
    if amount is None:
        return None
    if max_cost:
        return Cap(amount=amount, text=text, source="--max-cost")
    advice = settings.change("max_cost")
    return Cap(amount=amount, text=text, source="the setting max_cost", advice=advice)
