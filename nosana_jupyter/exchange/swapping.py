"""
A swap from its quote to its end.

Nothing of the exchange is believed: the quote is held against what others say of the price, each
instruction is looked at, the whole is tried, and what is signed fails unless the wallet holds at
its end what was agreed to.
"""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ..chain.history import effect_of
from ..chain.sending import MARGIN, Lost
from ..errors import ExchangeError, NosanaError, ProgramError, UsageError
from ..money.journal import here, owner_of
from ..units import MicroNos, nos
from . import asking, looking, pricing, trial
from .book import Book, Deal
from .coins import Coin
from .looking import Route, Wish
from .pricing import Prices
from .trial import Tried

if TYPE_CHECKING:
    from ..chain.rpc import Rpc
    from ..chain.wallet import Wallet
    from ..network import Network

HOLDS = 20.0
"""Seconds for which a quote is good. Then it is asked for anew, and may not be worse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A swap that may be carried out."""

    route: Route
    prices: Prices
    tried: Tried
    at: float
    """When it was asked for, on the monotonic clock."""

    @property
    def coin(self) -> Coin:
        return self.route.wish.coin

    @property
    def amount(self) -> int:
        return self.route.wish.amount


async def offer(rpc: Rpc, wallet: Wallet, coin: Coin, amount: int, slippage: int) -> Offer:
    """
    Ask for a quote, and see that it is fair, does what it says, and would succeed.

    Args:
        rpc: The chain.
        wallet: Gives the coin, gets the NOS, pays the fee and signs.
        coin: What is given.
        amount: Of it, in its smallest unit.
        slippage: Hundredths of a percent by which the quote may be missed.

    Raises:
        UsageError: Nobody swaps on this network.
        FundsError: The wallet does not hold what it takes, or the quote is far from the price.
        ExchangeError: The exchange does not answer, or with something that is refused.
    """
    network = rpc.network
    if not network.exchange:
        raise UsageError(
            f"nobody swaps on {network.name}",
            hint=f"{network.nos_from} {network.sol_from}".strip(),
        )
    prices = await pricing.ask(network, coin)
    at = time.monotonic()
    told = await asking.build(
        network, coin=coin.mint, amount=amount, taker=wallet.address, slippage=slippage
    )
    wish = Wish(
        programs=network.programs, owner=wallet.pubkey, coin=coin, amount=amount, slippage=slippage
    )
    route = looking.look(told, wish)
    # What may still be lost to slippage counts: the least that it brings has to be fair.
    pricing.check(prices, coin, amount, route.quoted)
    tried = await trial.attempt(rpc, route)
    return Offer(route=route, prices=prices, tried=tried, at=at)


async def carry_out(rpc: Rpc, wallet: Wallet, agreed: Offer, book: Book) -> Deal:
    """
    Swap as was agreed; return what came of it.

    Raises:
        ExchangeError: The exchange asks for more by now, or the swap failed: nothing was swapped.
        Lost: It was sent, and nobody knows what became of it.
    """
    wish = agreed.route.wish
    current = agreed
    if time.monotonic() - agreed.at > HOLDS:
        current = await offer(rpc, wallet, wish.coin, wish.amount, wish.slippage)
        if current.route.least < agreed.route.least:
            raise ExchangeError(
                f"the exchange gives less by now: at least {nos(current.route.least)} where "
                f"{nos(agreed.route.least)} were agreed to. Nothing was swapped",
                hint="Ask again.",
            )
    deal = _deal(rpc.network, wallet, current)
    book.write(deal)

    def signed(signature: str, height: int) -> None:
        nonlocal deal
        deal = msgspec.structs.replace(deal, signature=signature, height=height, state="sent")
        book.write(deal)

    tried = current.tried
    try:
        signature = await rpc.send(
            tried.wanted, wallet, price=tried.bid, tables=tried.tables, signed=signed
        )
    except Lost as error:
        error.money = f"{deal.given} are in the wallet, or swapped if the transaction still lands"
        raise
    except ProgramError as error:
        book.write(msgspec.structs.replace(deal, state="failed"))
        raise ExchangeError(
            f"the swap failed as a whole: {error}. Nothing was swapped",
            hint="Prices may have moved, or the wallet was used meanwhile: try again.",
        ) from None
    except NosanaError:
        book.write(msgspec.structs.replace(deal, state="unsent"))
        raise
    done = ended(deal, await rpc.record(signature), rpc.network)
    book.write(done)
    return done


async def recover(rpc: Rpc, wallet: Wallet, book: Book) -> list[Deal]:
    """
    See what became of swaps whose end nobody has seen; return those that are over now.

    What a living process is at is left alone, and so is what may still land.
    """
    over: list[Deal] = []
    for deal in book.open_deals(rpc.network.name, wallet.address):
        if _followed(deal):
            continue
        found = await _recovered(rpc, deal)
        if found is not None:
            book.write(found)
            over.append(found)
    return over


def unknown(rpc: Rpc, wallet: Wallet, book: Book) -> list[Deal]:
    """Return the swaps that nobody is at any more and that may still happen."""
    open_ = book.open_deals(rpc.network.name, wallet.address)
    return [deal for deal in open_ if not _followed(deal)]


async def _recovered(rpc: Rpc, deal: Deal) -> Deal | None:
    """Return a swap as it ended; nothing where it may still land."""
    if not deal.signature:
        # It died before it signed.
        return msgspec.structs.replace(deal, state="unsent")
    # In this order: what lands in between is not taken for lost.
    height = await rpc.height()
    fate = await rpc.fate(deal.signature)
    if fate is not None:
        if fate.failed:
            return msgspec.structs.replace(deal, state="failed")
        return ended(deal, fate.record, rpc.network)
    if height > deal.height + MARGIN:
        return msgspec.structs.replace(deal, state="unsent")
    return None


def ended(deal: Deal, record: dict[str, Any] | None, network: Network) -> Deal:
    """Return a swap that has landed, with what it did to the wallet, as far as is listed."""
    done = msgspec.structs.replace(deal, state="done")
    if record is None:
        return done
    try:
        effect = effect_of(record, owner=deal.wallet, mint=network.programs.mint)
    except (LookupError, ValueError, TypeError, AttributeError):
        return done
    return msgspec.structs.replace(
        done, got=MicroNos(effect.nos), lamports=effect.sol, fee=effect.fee
    )


def _deal(network: Network, wallet: Wallet, chosen: Offer) -> Deal:
    return Deal(
        id=uuid.uuid4().hex, network=network.name, wallet=wallet.address,
        given=chosen.coin.spell(chosen.amount), quoted=MicroNos(chosen.route.quoted),
        least=MicroNos(chosen.route.least), owner=owner_of(os.getpid()), place=here(),
        created=time.time(),
    )  # fmt: skip


def _followed(deal: Deal) -> bool:
    """Say whether the process that swaps is still at it, here or where nobody can tell."""
    if deal.place != here():
        return not deal.signature and time.time() - deal.created < 600
    pid = int(deal.owner.partition("@")[0] or 0)
    return pid not in (0, os.getpid()) and deal.owner == owner_of(pid)
