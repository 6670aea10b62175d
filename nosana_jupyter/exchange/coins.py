"""
What NOS can be bought with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from ..errors import UsageError
from ..network import Network
from ..sources import SOL_MINT

WRITE = "Write %nosana swap 5 USDC, or swap 0.1 SOL."


@dataclass(frozen=True, kw_only=True, slots=True)
class Coin:
    """A coin."""

    name: str
    mint: str
    decimals: int

    @property
    def is_sol(self) -> bool:
        """Whether it has to be wrapped to be swapped."""
        return self.mint == SOL_MINT

    def spell(self, amount: int) -> str:
        """Spell an amount in its smallest unit: `5 USDC`."""
        value = Decimal(amount).scaleb(-self.decimals).normalize()
        return f"{value:f} {self.name}"


def coins(network: Network) -> tuple[Coin, ...]:
    """Return the coins of a network that are swapped for NOS."""
    usdc = (Coin(name="USDC", mint=network.usdc, decimals=6),) if network.usdc else ()
    return (*usdc, Coin(name="SOL", mint=SOL_MINT, decimals=9))


def read(text: str, network: Network) -> tuple[Coin, int]:
    """
    Read an amount with its coin: `5 USDC`, `0.1SOL`.

    Raises:
        UsageError: It is none that could be swapped.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]+)", text.strip().lower(), re.ASCII)
    if match is None:
        raise UsageError(f"{text!r} is no amount of a coin", hint=WRITE)
    known = {each.name.lower(): each for each in coins(network)}
    coin = known.get(match[2])
    if coin is None:
        names = " and ".join(each.name for each in known.values())
        raise UsageError(
            f"{match[2].upper()} is not swapped here",
            hint=f"NOS is had for {names} on {network.name}. {WRITE}",
        )
    try:
        units = Decimal(match[1]).scaleb(coin.decimals)
    except InvalidOperation:
        raise UsageError(f"{text!r} is no amount of a coin", hint=WRITE) from None
    if units != int(units):
        raise UsageError(
            f"{text!r} is finer than {coin.name} can be divided",
            hint=f"Round it to {coin.decimals} decimals.",
        )
    if not 0 < units < 2**63:
        raise UsageError(f"for {text!r} nothing can be had", hint=WRITE)
    return coin, int(units)
