"""
`%nosana wallet` and `%nosana fund`: what the wallet holds and is worth, and play money for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from ..errors import NetworkError, UsageError
from ..exchange import coins
from ..market import rates
from ..money.purse import Purse
from ..network import proxied, unreached
from ..units import LAMPORTS, MICRO, nos, parse_nos, sol, usd
from . import grammar
from .swapping import payer
from .tables import Table

if TYPE_CHECKING:
    from ..client import Client
    from ..market.rates import Rate
    from ..portal import Portal

PLAY = "100 NOS"
"""What the faucet gives, where nothing else is said."""


def table(portal: Portal) -> Table:
    """Show address, balance, and what it is worth."""
    found = portal.status()
    if found.free is not None:
        note = "An account with credits pays; its service holds the key."
        return Table(head=("", ""), rows=[("credits", f"{usd(found.free)} free")], note=note)
    held = portal.call(worth)
    usdc = held.usdc or 0
    rows = [
        ("address", found.wallet),
        *([("paid by", found.payer)] if found.payer else []),
        ("NOS", held.of_nos(found.nos)),
        ("SOL", held.of_sol(found.sol)),
        *([("USDC", f"{usdc // MICRO}.{usdc % MICRO:06d} USDC")] if usdc else []),
    ]
    notes = held.texts
    if found.network.faucet:
        notes.append("Play money: %nosana fund 100 NOS brings more, and so does fund 5 USDC.")
    return Table(head=("", ""), rows=rows, note="\n".join(notes))


@dataclass(frozen=True, kw_only=True, slots=True)
class Worth:
    """What a wallet holds beside NOS and SOL, and what a NOS and a SOL are worth."""

    nos: Rate | None
    sol: Rate | None
    usdc: int | None
    """Micro-USDC; nothing where there is no such coin, or no wallet."""

    def of_nos(self, amount: int) -> str:
        """Spell micro-NOS with what they are worth."""
        return nos(amount) + _dollars(self.nos, Decimal(amount) / MICRO)

    def of_sol(self, amount: int) -> str:
        """Spell lamports with what they are worth."""
        return sol(amount) + _dollars(self.sol, Decimal(amount) / LAMPORTS)

    @property
    def texts(self) -> list[str]:
        """The rates, with their sources, in words."""
        return [each.doubt or f"{each.text}." for each in (self.nos, self.sol) if each is not None]


def _dollars(rate: Rate | None, amount: Decimal) -> str:
    return f"  ${amount * rate.usd:,.2f}" if rate is not None else ""


async def worth(client: Client) -> Worth:
    """Ask what a wallet is worth."""
    purse, network = client.jobs.payer, client.network

    async def usdc() -> int | None:
        if not network.usdc or not isinstance(purse, Purse):
            return None
        return await client.rpc.token_balance(purse.payer.address, network.usdc)

    per_nos, per_sol, held = await asyncio.gather(
        rates.current(network), rates.sol(network), usdc()
    )
    return Worth(nos=per_nos, sol=per_sol, usdc=held)


def fund(portal: Portal, rest: str) -> Table:
    """Give the wallet play money, and show it."""
    words = grammar.split(rest)

    async def ask(client: Client) -> None:
        import httpx

        network = client.network
        if not network.faucet:
            raise UsageError(
                f"on {network.name} nobody gives money away",
                hint=f"{network.nos_from} {network.sol_from}".strip(),
            )
        name, amount = _gift(" ".join(words) or PLAY, client)
        body = {"address": payer(client).address, name: amount}
        place = network.faucet
        try:
            async with httpx.AsyncClient(timeout=20, trust_env=proxied(place)) as http:
                answer = await http.post(place, json=body)
        except httpx.HTTPError as error:
            raise NetworkError(
                f"the faucet gives nothing: {unreached(error)}", hint="Try again."
            ) from None
        if answer.status_code != 200:
            raise UsageError(f"the faucet does not give {' '.join(words)}", hint="Ask for less.")

    portal.call(ask)
    return table(portal)


def _gift(text: str, client: Client) -> tuple[str, int]:
    """Read what the faucet is asked for."""
    bare = text.strip().lower()
    if bare.endswith("nos") or bare.replace(".", "", 1).isdigit():
        return "nos", parse_nos(text)
    coin, amount = coins.read(text, client.network)
    return coin.name.lower(), amount
