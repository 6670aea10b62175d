"""
A swap tried before it is signed: what the wallet holds before, and what it would hold after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.pubkey import Pubkey

from ..chain import fees
from ..chain.addresses import SYSTEM, TOKEN
from ..chain.failures import program_error
from ..errors import ExchangeError, FundsError
from ..units import Lamports, nos, sol
from .guarding import guards
from .looking import WRAPPED, Route

if TYPE_CHECKING:
    from solders.instruction import Instruction

    from ..chain.rpc import Rpc
    from ..chain.trying import Attempt, Seen

SIZE = 165
"""Bytes of a token account."""

HEAD = 56
"""Bytes of a lookup table before its addresses."""

ENOUGH = 4096
"""Bytes of an account in which the wallet would stand, if it were the wallet's."""

MOST_FEE = Lamports(1_000_000)
"""Most priority fee of a swap, in lamports, whatever others bid."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Before:
    """What the wallet holds before a swap."""

    lamports: int
    tokens: dict[Pubkey, int | None]
    """What is in its token accounts that take part; nothing where there is no account yet."""

    rent: int
    """Lamports that one token account takes."""

    @property
    def made(self) -> int:
        """How many token accounts are made by the swap."""
        return sum(held is None for held in self.tokens.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """A swap that would succeed."""

    wanted: tuple[Instruction, ...]
    tables: tuple[AddressLookupTableAccount, ...]
    got: int
    """Micro-NOS that the trial has brought."""

    fee: int
    """Most lamports of its fee."""

    bid: int
    """Priority fee, in micro-lamports per compute unit."""

    rent: int
    """Lamports that stay in token accounts that are new."""


async def attempt(rpc: Rpc, route: Route) -> Tried:
    """
    Try a swap; return what is to be signed.

    Raises:
        FundsError: The wallet does not hold what it takes.
        ExchangeError: It would do something else than its quote says. Nothing was signed.
    """
    before = await look(rpc, route)
    _affordable(rpc, route, before)
    await strangers(rpc, route)
    tables = await read_tables(rpc, route.tables)
    bid = await rpc.bid()
    wanted = _whole(route, before, fee=MOST_FEE + fees.SIGNATURE)
    watched = [route.wish.owner, *route.accounts]
    found = await rpc.attempt(wanted, route.wish.owner, watched=watched, tables=tables)
    got = _judged(route, before, found)
    # As much as the sender lets it use: see there.
    units = max(1, found.units * 3 // 2 + 10_000)
    bid = min(bid, MOST_FEE * 1_000_000 // units)
    rent = before.rent * _kept(route, before)
    return Tried(
        wanted=tuple(wanted), tables=tables, got=got, bid=bid, rent=rent,
        fee=fees.SIGNATURE + -(-bid * units // 1_000_000),
    )  # fmt: skip


async def look(rpc: Rpc, route: Route) -> Before:
    """Return what the wallet holds now."""
    data = await rpc.accounts(route.accounts)
    lamports = await rpc.get_balance(route.wish.owner)
    tokens: dict[Pubkey, int | None] = {}
    for account, held in zip(route.accounts, data, strict=True):
        if held is not None and (problem := _odd(held, route.wish.owner)):
            raise ExchangeError(f"{account} {problem}. Nothing was swapped")
        tokens[account] = None if held is None else int.from_bytes(held[64:72], "little")
    return Before(lamports=lamports, tokens=tokens, rent=await rpc.rent(SIZE))


async def strangers(rpc: Rpc, route: Route) -> None:
    """
    See that no account of the route that is not known is the wallet's.

    The route's programs get the wallet's signature, and with it they could move all that is named.

    Raises:
        ExchangeError: One is.
    """
    found = await rpc.accounts(route.others, most=ENOUGH)
    me = bytes(route.wish.owner)
    for address, data in zip(route.others, found, strict=True):
        if data is not None and me in data:
            raise ExchangeError(
                f"the exchange wants account {address} in the swap, which is this wallet's and has "
                "no part in it. Nothing was signed",
                hint="Try again; if it stays so, buy NOS elsewhere and tell us.",
            )


async def read_tables(
    rpc: Rpc, addresses: Sequence[Pubkey]
) -> tuple[AddressLookupTableAccount, ...]:
    """Read lookup tables from the chain: what the exchange says of them counts for nothing."""
    if not addresses:
        return ()
    found = await rpc.accounts(addresses)
    return tuple(
        AddressLookupTableAccount(
            key=address,
            addresses=[
                Pubkey.from_bytes(data[at : at + 32]) for at in range(HEAD, len(data) - 31, 32)
            ],
        )
        for address, data in zip(addresses, found, strict=True)
        if data is not None
    )


def _affordable(rpc: Rpc, route: Route, before: Before) -> None:
    wish = route.wish
    held = before.tokens[route.accounts[0]] or 0
    fee = before.rent * before.made + fees.SIGNATURE
    if not wish.coin.is_sol and held < wish.amount:
        raise FundsError(
            f"{wish.coin.spell(wish.amount)} are to be swapped, and {wish.owner} holds "
            f"{wish.coin.spell(held)}. Nothing was swapped",
            hint=_send(rpc, wish.coin.spell(wish.amount - held)),
        )
    due = fee + (wish.amount if wish.coin.is_sol else 0)
    if before.lamports < due:
        raise FundsError(
            f"the swap takes {sol(due)} with fee and rent, and {wish.owner} holds "
            f"{sol(before.lamports)}. Nothing was swapped",
            hint=_send(rpc, sol(due - before.lamports)),
        )


def _send(rpc: Rpc, missing: str) -> str:
    play = f" Play money: %nosana fund {missing}" if rpc.network.faucet else ""
    return f"Send it {missing}, or swap less.{play}"


def _kept(route: Route, before: Before) -> int:
    """Return how many token accounts are new and stay."""
    wrapped = route.accounts[route.mints.index(WRAPPED)] if WRAPPED in route.mints else None
    gone = route.unwraps and wrapped is not None and before.tokens[wrapped] is None
    return before.made - gone


def _whole(route: Route, before: Before, *, fee: int) -> list[Instruction]:
    """Return the transaction: what the route needs, the route, what is left, and the guards."""
    wish = route.wish
    floors: dict[Pubkey, int] = {}
    for mint, account in zip(route.mints, route.accounts, strict=True):
        if not (route.unwraps and mint == WRAPPED):
            floors[account] = before.tokens[account] or 0
    if not wish.coin.is_sol:
        floors[route.accounts[0]] -= wish.amount
    floors[route.accounts[-1]] += route.least
    lamports = before.lamports - fee - before.rent * _kept(route, before)
    if wish.coin.is_sol:
        lamports -= wish.amount
    return [*route.before(), route.swap, *route.after(), *guards(wish.owner, floors, lamports)]


def _judged(route: Route, before: Before, found: Attempt) -> int:
    """
    Return the NOS that a trial has brought.

    Raises:
        ExchangeError: It fails, or does something else than its quote says.
    """
    if found.err is not None:
        raise ExchangeError(
            f"the swap would fail: {program_error(found.err, list(found.logs))}. "
            "Nothing was signed",
            hint="Prices may have moved: try again, or allow more with --slippage 1%.",
        )
    wish, (wallet, *tokens) = route.wish, found.accounts
    after = dict(zip(route.accounts, tokens, strict=True))
    if wallet is None or wallet.owner != SYSTEM or wallet.data:
        raise _otherwise("the wallet would not be the wallet any more")
    for account, seen in after.items():
        if seen is not None and (seen.owner != TOKEN or _odd(seen.data, wish.owner)):
            raise _otherwise(f"others would have a say in {account}")
    spent = (before.tokens[route.accounts[0]] or 0) - _amount(after[route.accounts[0]])
    got = _amount(after[route.accounts[-1]]) - (before.tokens[route.accounts[-1]] or 0)
    if not wish.coin.is_sol and spent > wish.amount:
        raise _otherwise(f"it would take {wish.coin.spell(spent)}")
    if got < route.least:
        raise _otherwise(f"it would bring {nos(got)} where {nos(route.least)} are the least")
    return got


def _amount(seen: Seen | None) -> int:
    return 0 if seen is None else int.from_bytes(seen.data[64:72], "little")


def _odd(data: bytes, owner: Pubkey) -> str:
    """Say what is odd about a token account, where its owner alone is to have a say."""
    if len(data) < SIZE or data[32:64] != bytes(owner):
        return "is not an account of this wallet"
    if data[72:76] != bytes(4):
        return "may be spent from by another: a delegate has been set"
    return "may be closed by another" if data[129:133] != bytes(4) else ""


def _otherwise(what: str) -> ExchangeError:
    return ExchangeError(
        f"the swap was tried, and does something else than its quote says: {what}. "
        "Nothing was signed",
        hint="Try again; if it stays so, buy NOS elsewhere and tell us.",
    )
