"""
Who says in public what coins are worth.
"""

from __future__ import annotations

import msgspec

NOS_MINT = "nosXBVoaCTtYdLvKY6Csb4AC8JCdQKKAaWYtx2ZMoo7"
USDC_MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"

SOL_MINT = "So11111111111111111111111111111111111111112"
"""What stands for SOL where only tokens are known: the mint of wrapped SOL."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Who says in public what a coin is worth, as JSON."""

    name: str
    address: str
    path: tuple[str, ...]
    """Where the dollars of one coin stand in its answer, name by name."""


def rates_at(coins: str, pools: str) -> tuple[Source, ...]:
    """Return who says what a NOS is worth, by the addresses of exchanges and of pools on chain."""
    return (_coin(coins, "nosana"), _pool(pools, NOS_MINT))


def sol_rates_at(coins: str, pools: str, prices: str) -> tuple[Source, ...]:
    """Return who says what a SOL is worth: the same, and who routes swaps through pools."""
    asked = f"{prices}/price/v3?ids={SOL_MINT}"
    jupiter = Source(name="Jupiter", address=asked, path=(SOL_MINT, "usdPrice"))
    return (_coin(coins, "solana"), _pool(pools, SOL_MINT), jupiter)


def _coin(base: str, name: str) -> Source:
    address = f"{base}/api/v3/simple/price?ids={name}&vs_currencies=usd"
    return Source(name="CoinGecko", address=address, path=(name, "usd"))


def _pool(base: str, mint: str) -> Source:
    address = f"{base}/api/v2/simple/networks/solana/token_price/{mint}"
    path = ("data", "attributes", "token_prices", mint)
    return Source(name="GeckoTerminal", address=address, path=path)
