"""
The user's word before the first real money is spent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from .. import settings
from ..errors import FundsError
from ..units import is_dollars, parse_cap, with_unit

if TYPE_CHECKING:
    from ..market.markets import Quote
    from ..network import Network
    from ..settings import Settings

Confirm = Callable[["Quote", "Network"], Awaitable[bool]]


def is_large(quote: Quote, limit: str) -> bool:
    """Say whether a quote is above what goes without a question; yes, where nobody can tell."""
    most = parse_cap(limit, usd_per_nos=Decimal(1)) if limit else None
    if most is None:
        return False
    price = quote.rate.most if quote.rate is not None else None
    if quote.pay == "credits" or is_dollars(limit):
        if price is None and (quote.pay != "credits" or not is_dollars(limit)):
            return True
        cost = Decimal(quote.usd) if quote.pay == "credits" else quote.most * (price or 0)
        return cost > (most if is_dollars(limit) else most * (price or 0))
    return quote.most > most


def is_above(cap: str, limit: str) -> bool:
    """Say whether a cap lets more through than goes without a question."""
    price = Decimal(1)  # What is in units that differ cannot be told apart: it is asked.
    free = parse_cap(limit, usd_per_nos=price) if limit else None
    if free is None:
        return False
    most = parse_cap(cap, usd_per_nos=price)
    return most is None or is_dollars(cap) != is_dollars(limit) or most > free


def unasked(quote: Quote, _network: Network) -> bool:
    """Agree as whoever says yes beforehand does: to what is not above `ask_above`."""
    return not is_large(quote, settings.load().ask_above)


class Consent:
    """What the user has agreed to so far, on one network. Used on one loop."""

    def __init__(self, network: Network, settings: Settings) -> None:
        self._network = network
        self._settings = settings
        self._given = False
        self._asking = asyncio.Lock()

    async def ask(self, quote: Quote, confirm: Confirm | None) -> None:
        """
        Ask once before the first real money is spent, and each time above `ask_above`.

        Raises:
            FundsError: The user says no, or nobody can be asked.
        """
        if not self._network.real_money:
            return
        large = is_large(quote, self._settings.ask_above)
        if self._settings.confirm == "yes" and not large:
            return
        async with self._asking:  # Two cells at once are one question.
            if self._given and not large:
                return
            if confirm is None or not await confirm(quote, self._network):
                hint = "Say `--yes`, or for good: %nosana config confirm yes"
                if large:
                    above = with_unit(self._settings.ask_above)
                    hint = f"Each cell above {above} asks. Lower --timeout. "
                    hint += settings.change("ask_above")
                raise FundsError(
                    f"spending up to {quote.bound} on {self._network.name} was not confirmed. "
                    "Nothing was spent",
                    hint=hint,
                )
            self._given = True
