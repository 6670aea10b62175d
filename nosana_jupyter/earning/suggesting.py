"""
Which market a machine's card belongs to, and what it may earn there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ..host.driver import Gpu
from ..market.markets import Market
from ..units import MicroNos, nos, xnos

SHARES = (25, 50, 100)
"""Percent of the time that a host may be at work: what is shown, as nobody knows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """A market, and why."""

    market: Market
    reasons: tuple[str, ...]
    fits: bool = True
    """Whether the machine has the card that the market is for."""


def suggest(markets: Sequence[Market], cards: Sequence[Gpu], *, play: bool) -> list[Suggestion]:
    """
    Return the markets that fit, the best paid first.

    Args:
        markets: All there are.
        cards: Of this machine.
        play: Whether a machine without a fitting card may serve all the same.
    """
    fitting = [each for each in markets if _fits(each, cards)]
    # Community markets take who is not admitted to the others: the surer way in.
    fitting.sort(key=lambda each: (-each.price, each.slug))
    found = [
        Suggestion(market=each, reasons=(_why(each, cards), *_place(each, play=play)))
        for each in fitting
    ]
    if found or not play:
        return found
    first = min(markets, key=lambda each: (each.stake, each.slug), default=None)
    if first is None:
        return []
    why = "for other cards, but on a network of one's own any market may be served"
    return [Suggestion(market=first, reasons=(why, *_place(first, play=play)), fits=False)]


def _fits(market: Market, cards: Sequence[Gpu]) -> bool:
    if len(cards) < market.cards:
        return False
    names = {_plain(each) for each in market.gpus}
    return all(_plain(card.name) in names for card in cards[: market.cards])


def _plain(name: str) -> str:
    """Return a card's name without what lists and drivers spell differently."""
    text = re.sub(r"nvidia|geforce|\(.*?\)|generation|blackwell|workstation|edition", " ",
                  name.lower())  # fmt: skip
    return " ".join(re.sub(r"[\s\-_]+", " ", text).split())


def _why(market: Market, cards: Sequence[Gpu]) -> str:
    number = f"{market.cards} × " if market.cards > 1 else ""
    return f"it is for {number}{cards[0].name.removeprefix('NVIDIA ')}"


def _place(market: Market, *, play: bool) -> tuple[str, ...]:
    if market.jobs:
        queue = f"{_number(market.jobs, 'job waits', 'jobs wait')} there for a host now"
    elif market.hosts:
        waits = _number(market.hosts, "host waits", "hosts wait")
        queue = f"{waits} there for a job now, before yours"
    else:
        queue = "neither hosts nor jobs wait there now"
    stake = f"a host stakes {xnos(market.stake)} there" if market.stake else "any stake will do"
    if play:
        return (queue, stake)
    kind = (
        "Nosana admits hosts to it by itself" if market.kind == "PREMIUM"
        else "it is where new hosts begin"
    )  # fmt: skip
    return (queue, stake, kind)


def _number(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def earnings(
    market: Market, usd_per_nos: Decimal | None, *, watts: float = 0.0, kwh: Decimal | None = None
) -> list[tuple[str, str]]:
    """
    Return what a market may pay, as labels and texts, for several shares of the time at work.

    Args:
        market: Which.
        usd_per_nos: Price of a NOS, where anybody says.
        watts: That the card draws at most; 0 where that is not known.
        kwh: Price of a kilowatt-hour, in dollars.
    """
    hour = MicroNos(market.price * 3600)
    worth = _worth(hour, usd_per_nos)
    rows = [("an hour at work", f"{nos(hour)}{_spelled(worth)}")]
    for share in SHARES:
        day = MicroNos(hour * 24 * share // 100)
        text = f"{nos(day)}{_spelled(_worth(day, usd_per_nos))}"
        if watts and kwh is not None:
            cost = Decimal(str(watts)) / 1000 * kwh * 24 * share / 100
            text += f", less ${cost:.2f} for power"
        rows.append((f"a day at {share} %", text))
    return rows


def _worth(amount: int, usd_per_nos: Decimal | None) -> Decimal | None:
    return None if usd_per_nos is None else Decimal(amount) / 1_000_000 * usd_per_nos


def _spelled(worth: Decimal | None) -> str:
    return "" if worth is None else f" (${worth:.2f})"
