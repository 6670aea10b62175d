"""
What an exchange asks for NOS, held against what others say that NOS is worth.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from ..errors import FundsError
from ..market import rates
from ..units import percent
from .coins import Coin

if TYPE_CHECKING:
    from ..market.rates import Rate
    from ..network import Network

WORSE = Decimal("0.05")
"""Share by which a swap may cost more than NOS is worth, impact and fees included."""

BETTER = Decimal("0.20")
"""Share by which it may cost less: somebody is wrong where it is more."""

FEWEST = 2
"""Sources that have to agree on a price."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    """What the two coins of a swap are worth."""

    nos: Rate
    sol: Rate | None
    """Nothing where the swap is not of SOL."""

    def dollars(self, coin: Coin, amount: int) -> Decimal:
        """Return what an amount of a coin is worth. A USDC is taken for a dollar."""
        value = Decimal(amount).scaleb(-coin.decimals)
        return value * self.sol.usd if coin.is_sol and self.sol is not None else value

    def per_nos(self, coin: Coin, amount: int, nos: int) -> Decimal:
        """Return the dollars of one NOS at which a swap buys."""
        return self.dollars(coin, amount) / Decimal(nos).scaleb(-6)

    def excess(self, coin: Coin, amount: int, nos: int) -> Decimal:
        """Return the share by which it is dearer than NOS is; negative where it is cheaper."""
        return self.per_nos(coin, amount, nos) / self.nos.usd - 1


async def ask(network: Network, coin: Coin) -> Prices:
    """
    Ask for the prices of a swap.

    Raises:
        FundsError: Not enough sources agree: nobody could tell a fair quote from another.
    """

    async def none() -> None:
        return None

    nos, sol = await asyncio.gather(
        rates.current(network), rates.sol(network) if coin.is_sol else none()
    )
    for name, rate in (("NOS", nos), *((("SOL", sol),) if coin.is_sol else ())):
        if rate is None or len(rate.sources) < FEWEST:
            why = "nobody says" if rate is None else rate.doubt or f"only {rate.sources[0]} says"
            raise FundsError(
                f"what a {name} is worth is not sure ({why.rstrip('.')}), and no quote can be held "
                "against it. Nothing was swapped",
                hint="Try again in a minute.",
            )
    assert nos is not None
    return Prices(nos=nos, sol=sol)


def check(prices: Prices, coin: Coin, amount: int, nos: int) -> None:
    """
    See that a quote is near what NOS is worth.

    Raises:
        FundsError: It is not.
    """
    if not nos:
        raise FundsError("for this nothing is to be had. Nothing was swapped", hint="Swap more.")
    off = prices.excess(coin, amount, nos)
    if -BETTER <= off <= WORSE:
        return
    much, way = percent(float(abs(off))), "dearer" if off > 0 else "cheaper"
    asks = prices.per_nos(coin, amount, nos)
    hint = "Swap less at once: a large swap moves the price." if off > 0 else "Try again later."
    raise FundsError(
        f"the exchange asks ${asks:.4g} for a NOS, {much} {way} than ${prices.nos.usd:.4g}, on "
        f"which {', '.join(prices.nos.sources)} agree. Nothing was swapped",
        hint=hint,
    )
