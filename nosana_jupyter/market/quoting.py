"""
Where a cell runs and what it may cost: the user's wishes and caps, laid over the markets there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import TYPE_CHECKING

from .. import settings
from ..errors import FundsError, UsageError
from ..settings import forms
from ..units import MICRO, MicroNos, Seconds, is_dollars, nos, parse_cap, parse_gib, with_unit
from . import choosing, known, listing, needing, rates
from .choosing import Cap, Requirements
from .markets import LEAST_CREDITS, Quote

if TYPE_CHECKING:
    from ..chain.rpc import Rpc
    from ..network import Network
    from ..settings import Settings
    from .needing import Need
    from .preferring import Seen
    from .rates import Rate


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
    seen: Seen | None = None,
    need: Need | None = None,
) -> Quote:
    """
    Return the best quote that fits. Spends nothing.

    Args:
        network: Where.
        rpc: Its chain.
        chosen: What the user has set.
        wanted: What the cell asks for.
        timeout: Longest run to pay for, in seconds.
        max_cost: The cell's own cap, as written.
        spent: What the cell has cost already, in micro-NOS: the cap holds over all of it.
        avoid: Addresses of hosts, and of markets with unknown hosts, that come last.
        seen: What is known of hosts.
        need: What the cell is estimated to need, if it is known.

    Raises:
        UsageError: Nothing fits; says what came closest.
        FundsError: All that fits is over the cap.
    """
    listed, rate = await asyncio.gather(listing.fetch(network, rpc), rates.current(network))
    known.keep(network.name, {each.slug: each.gpus for each in listed})
    most = _cap(chosen, max_cost, rate)
    cap = most.text if most is not None else ""
    if most is not None:
        most = replace(most, amount=MicroNos(most.amount - spent))
    asks, warning = _wanted(chosen, wanted), ""
    if need is not None:
        asks, warning = needing.narrowed(listed, asks, need)
    try:
        least = LEAST_CREDITS if chosen.pay == "credits" else timeout
        found = choosing.choose(
            listed,
            asks,
            max(timeout, least),
            cap=most,
            rate=rate,
            avoid=avoid,
            seen=seen,
        )
        if need is not None:
            said = warning or needing.caution(found.market, need)
            found = replace(
                found, needs=need.text, reasons=need.lines, cuda=need.cuda,
                caution=(*filter(None, (said,)), *need.notes),
            )  # fmt: skip
        return replace(
            found, pay=chosen.pay, asked=timeout if timeout < least else None, cap=cap, spent=spent,
            larger=needing.larger(listed, asks, found.market),
        )  # fmt: skip
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
    return _cap(chosen, max_cost, await rates.current(network) if is_dollars(text) else None)


async def renewed(network: Network, quote: Quote) -> Rate | None:
    """
    Look again at what a NOS is worth, right before a deposit leaves; nothing if nobody says.

    Raises:
        FundsError: What is posted may now cost more than its cap in dollars.
        UsageError: There is such a cap, and nobody knows any more what NOS is worth.
    """
    rate = quote.rate
    if rate is None or rate.age >= rates.FRESH:
        rate = await rates.current(network)
    if not quote.cap or not is_dollars(quote.cap):
        return rate
    most = parse_cap(quote.cap, usd_per_nos=rate.most if rate is not None else None)
    assert most is not None
    if rate is not None and quote.most + quote.spent > most:
        raise FundsError(
            f"the price of NOS has changed: {nos(quote.most + quote.spent)} may cost "
            f"${rate.most * (quote.most + quote.spent) / MICRO:.4f} now, and the cap is "
            f"{quote.cap}. Nothing was spent on it",
            hint="Run it again for a quote of now, with a shorter --timeout or a larger cap.",
        )
    return rate


def _wanted(chosen: Settings, wanted: Requirements) -> Requirements:
    """Fill in from the settings what is not asked for."""
    return Requirements(
        vram=wanted.vram or (parse_gib(chosen.vram) if chosen.vram else None),
        gpu=wanted.gpu or chosen.gpu or None,
        market=wanted.market or chosen.market or None,
        kind="PREMIUM" if chosen.pay == "credits" else None,
        prefer=wanted.prefer or chosen.prefer,
        image=forms.spelled(wanted.image or chosen.image),
        wants=wanted.wants,
    )


def _cap(chosen: Settings, max_cost: str | None, rate: Rate | None) -> Cap | None:
    """
    Return what one cell may cost at most.

    Raises:
        UsageError: The cap is in dollars, and nobody knows what NOS is worth.
    """
    text = with_unit(max_cost or chosen.max_cost)
    price = rate.most if rate is not None else None
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
