"""
`%nosana swap`: NOS for other coins.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .. import settings
from ..chain.wallet import Wallet
from ..errors import FundsError, UsageError
from ..exchange import coins, swapping
from ..exchange.book import OPEN, Deal, opened
from ..exchange.swapping import Offer
from ..money import consent
from ..money.purse import Purse
from ..settings.forms import slippage
from ..units import nos, percent, sol
from . import grammar
from .tables import Table

if TYPE_CHECKING:
    from ..client import Client
    from ..portal import Portal

SLIPPAGE, DRY, YES = "--slippage", "--dry-run", "--yes"

STATES = {
    "done": "done", "failed": "failed: nothing was swapped", "unsent": "never sent",
    "sent": "not known: %nosana sweep looks", "intent": "under way",
}  # fmt: skip


def command(portal: Portal, rest: str, agreed: Callable[[str], bool]) -> Table:
    """Swap, say what a swap would bring, or show the newest."""
    words = grammar.split(rest)
    yes, dry = YES in words, DRY in words
    words = [word for word in words if word not in (YES, DRY)]
    if not words:
        return deals(portal.call(_deals))
    text, missed = _read(words)

    async def ask(client: Client) -> Offer:
        coin, amount = coins.read(text, client.network)
        return await swapping.offer(client.rpc, payer(client), coin, amount, missed)

    found = portal.call(ask)
    quote = table(found)
    if dry:
        return replace(quote, note="Nothing was swapped: this is what it would be now.")
    network = portal.status().network
    if network.real_money and not _free(found, yes=yes):
        sys.stdout.write(f"{quote!r}\n")
        given, least = found.coin.spell(found.amount), nos(found.route.least)
        if not agreed(f"Swap {given} for at least {least} on {network.name}? [y/N] "):
            raise FundsError(
                f"swapping {given} on {network.name} was not confirmed. Nothing was swapped",
                hint="Say `--yes`, or for good: %nosana config confirm yes",
            )

    async def go(client: Client) -> Deal:
        with opened() as book:
            return await swapping.carry_out(client.rpc, payer(client), found, book)

    done = portal.call(go)
    rows = [*quote.rows, ("transaction", done.signature)]
    if done.got:
        rows.insert(1, ("received", f"{nos(done.got)}, for a fee of {sol(done.fee)}"))
    return replace(quote, rows=rows, title=f"{done.given} swapped.")


def _read(words: Sequence[str]) -> tuple[str, int]:
    """Return the amount that is given, and how far a quote may be missed."""
    words = list(words)
    missed = settings.load().slippage
    if SLIPPAGE in words:
        at = words.index(SLIPPAGE)
        if at + 1 == len(words):
            raise UsageError(f"{SLIPPAGE} needs a value", hint=f"Write {SLIPPAGE} 0.5%.")
        missed = words[at + 1]
        del words[at : at + 2]
    return " ".join(words), slippage(missed)


def _free(found: Offer, *, yes: bool) -> bool:
    """Say whether a swap of real money goes without a question."""
    chosen = settings.load()
    # Where nobody can tell the units apart it is asked.
    worth = f"${found.prices.dollars(found.coin, found.amount):.6f}"
    if chosen.ask_above and consent.is_above(worth, chosen.ask_above):
        return False
    return yes or chosen.confirm == "yes"


def table(found: Offer) -> Table:
    """Show what a swap gives and takes."""
    route, tried, prices = found.route, found.tried, found.prices
    asks = prices.per_nos(found.coin, found.amount, route.quoted)
    off = float(prices.excess(found.coin, found.amount, route.quoted))
    beside = f"{percent(abs(off))} {'above' if off > 0 else 'below'} the ${prices.nos.usd:.4g}"
    sources = ", ".join(prices.nos.sources)
    impact = "not told" if route.impact is None else percent(abs(float(route.impact)))
    rent = f", and {sol(tried.rent)} of rent for a token account" if tried.rent else ""
    rows = [
        ("give", found.coin.spell(found.amount)),
        ("quoted", nos(route.quoted)),
        ("at least", f"{nos(route.least)}, or nothing is swapped"),
        ("price", f"${asks:.4g} a NOS, {beside} of {sources}"),
        ("price impact", impact),
        ("route", " → ".join(route.pools) or "not told"),
        ("fees", f"none of the exchange; up to {sol(tried.fee)} of the network{rent}"),
    ]
    return Table(head=("", ""), rows=rows)


def deals(found: Sequence[Deal]) -> Table:
    """Show swaps, newest first."""
    if not found:
        note = "Nothing was swapped yet. " + coins.WRITE
        return Table(head=("", ""), rows=[], note=note)
    rows = [
        (deal.given, nos(deal.got) if deal.got else "-", STATES.get(deal.state, deal.state),
         deal.signature)
        for deal in found
    ]  # fmt: skip
    return Table(head=("given", "received", "state", "transaction"), rows=rows)


async def _deals(client: Client) -> list[Deal]:
    with opened() as book:
        return book.deals(client.network.name, payer(client).address)


async def recover(client: Client) -> list[Deal]:
    """See what became of swaps whose end nobody has seen; also return those nobody knows yet."""
    purse = client.jobs.payer
    if not isinstance(purse, Purse):
        return []
    with opened() as book:
        over = await swapping.recover(client.rpc, purse.payer, book)
        return [*over, *swapping.unknown(client.rpc, purse.payer, book)]


def swept(found: Sequence[Deal], shown: Table) -> Table:
    """Add to what a sweep has done what became of swaps."""
    told = [_told(deal) for deal in found]
    return replace(shown, note="\n".join(filter(None, [*told, shown.note])))


def _told(deal: Deal) -> str:
    if deal.state == "done":
        return f"{deal.given} were swapped for {nos(deal.got)}: transaction {deal.signature}."
    if deal.state in OPEN:
        return (
            f"A swap of {deal.given} may still land, as transaction {deal.signature}: they are in "
            "the wallet until then. Sweep again in two minutes, and swap nothing meanwhile."
        )
    why = "failed" if deal.state == "failed" else "was never sent"
    return f"A swap of {deal.given} {why}: they are in the wallet."


def payer(client: Client) -> Wallet:
    """Return the wallet that holds the money."""
    purse = client.jobs.payer
    if not isinstance(purse, Purse):
        raise UsageError(
            "credits pay, and no wallet has a part in it",
            hint="A wallet swaps: %nosana config pay nos, and look again.",
        )
    return purse.payer
