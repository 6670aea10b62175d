"""
What the exchange wants signed, looked at instruction by instruction and account by account.

Of its answer one instruction is used: the route. What goes before and after it is built here, and
theirs has to be the same. Whatever is not expected is refused, for it may be anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from ..chain import addresses
from ..chain.addresses import ATA, COMPUTE_BUDGET, TOKEN, ata, derive, key
from ..chain.instructions import create_ata
from ..errors import ExchangeError
from ..network import Programs
from ..sources import SOL_MINT
from .asking import Build, Told
from .coins import Coin

JUPITER = Pubkey.from_string("JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4")
"""The program of the exchange, the same on all networks that have it."""

WRAPPED = Pubkey.from_string(SOL_MINT)

EVENTS = derive(JUPITER, b"__event_authority")

ROUTE = bytes.fromhex("bb64facc31c4af14")
SHARED_ROUTE = bytes.fromhex("d19853937cfed8e9")

HEADS = {
    ROUTE: (
        "authority", "source", "target", "coin", "nos", "token", "token", "nobody", "events",
        "program",
    ),
    SHARED_ROUTE: (
        "vaults", "authority", "source", "", "", "target", "coin", "nos", "token", "token",
        "events", "program",
    ),
}  # fmt: skip
"""What the first accounts of an instruction have to be. An empty name: whatever it is."""

FOREIGN = tuple(
    Pubkey.from_string(each)
    for each in (
        "Stake11111111111111111111111111111111111111",
        "Vote111111111111111111111111111111111111111",
        "BPFLoaderUpgradeab1e11111111111111111111111",
        "AddressLookupTab1e1111111111111111111111111",
    )
)
"""Programs that know our wallet, and have no part in a swap."""

MOST_MINTS = 8
"""Coins that a route may lead through."""

MOST_ACCOUNTS = 64

SYNC, CLOSE = b"\x11", b"\x09"
"""Instructions of the token program: count wrapped SOL anew, and close an account."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the user wants to swap."""

    programs: Programs
    owner: Pubkey
    coin: Coin
    amount: int
    """Of the coin, in its smallest unit."""

    slippage: int
    """Hundredths of a percent by which the quote may be missed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """What carries out a swap, as far as can be told without the chain."""

    wish: Wish
    quoted: int
    """Micro-NOS that it promises."""

    least: int
    """Micro-NOS below which it is not to be."""

    impact: Decimal | None
    """Share by which the swap itself worsens the price, as the exchange says."""

    pools: tuple[str, ...]
    """Names of the pools it leads through."""

    swap: Instruction
    accounts: tuple[Pubkey, ...]
    """Token accounts of the wallet that it may move, the first of the coin, the last of NOS."""

    mints: tuple[Pubkey, ...]
    """Theirs."""

    others: tuple[Pubkey, ...]
    """All other accounts of the instruction. None of them may be the wallet's."""

    tables: tuple[Pubkey, ...]
    """Lookup tables that the exchange names."""

    unwraps: bool
    """Whether what wrapped SOL is left becomes SOL again: its account is closed."""

    def before(self) -> list[Instruction]:
        """Return what goes before the route: the accounts it needs, and SOL wrapped."""
        owner, coin = self.wish.owner, self.wish.coin
        made = [create_ata(payer=owner, owner=owner, mint=mint) for mint in self.mints]
        return [*made, *_wrapping(self.wish)] if coin.is_sol else made[1:]

    def after(self) -> list[Instruction]:
        """Return what goes behind it: what is left of the wrapped SOL becomes SOL again."""
        return [_unwrapping(self.wish.owner)] if self.unwraps else []


def look(build: Build, wish: Wish) -> Route:
    """
    See that an answer is what was asked for, and nothing besides.

    Raises:
        ExchangeError: It is not. Nothing was signed.
    """
    coin, nos = wish.coin.mint, wish.programs.mint
    quoted = _number(build.out_amount)
    if (build.input_mint, build.output_mint) != (coin, nos) or build.swap_mode != "ExactIn":
        _refuse("it quotes another swap than was asked for")
    if _number(build.in_amount) != wish.amount or build.slippage_bps != wish.slippage:
        _refuse("it quotes another amount or slippage than was asked for")
    if not quoted:
        _refuse("it quotes nothing")
    if build.tip_instruction is not None or build.other_instructions:
        _refuse("it wants instructions that have no part in a swap")
    mints = _mints(build, wish)
    for told in build.setup_instructions:
        _expect(_read(told), wish, mints)
    if build.cleanup_instruction is not None:
        cleanup = _read(build.cleanup_instruction)
        if WRAPPED not in mints or not _same(cleanup, _unwrapping(wish.owner)):
            _refuse("what it wants done after the swap is something else than to unwrap SOL")
    swap = _read(build.swap_instruction)
    others = _route(swap, wish, quoted, mints)
    return Route(
        wish=wish, quoted=quoted, least=quoted * (10_000 - wish.slippage) // 10_000,
        impact=_share(build.price_impact_pct), pools=_pools(build), swap=swap,
        accounts=tuple(ata(wish.owner, mint) for mint in mints), mints=mints, others=others,
        tables=tuple(_key(each) for each in build.addresses_by_lookup_table_address or ()),
        unwraps=wish.coin.is_sol or build.cleanup_instruction is not None,
    )  # fmt: skip


def _mints(build: Build, wish: Wish) -> tuple[Pubkey, ...]:
    """Return the coins of a route: the first is given, the last is NOS."""
    first, last = _key(wish.coin.mint), _key(wish.programs.mint)
    named = [
        _key(mint)
        for leg in build.route_plan
        for mint in (leg.swap_info.input_mint, leg.swap_info.output_mint)
        if mint
    ]
    between = [mint for mint in dict.fromkeys(named) if mint not in (first, last)]
    if len(between) > MOST_MINTS:
        _refuse(f"it leads through {len(between)} other coins")
    return (first, *between, last)


def _expect(told: Instruction, wish: Wish, mints: tuple[Pubkey, ...]) -> None:
    """See that something that it wants done before the swap is what we do ourselves."""
    if told.program_id == COMPUTE_BUDGET:
        return  # What the fee may be is not theirs to say: it is left out.
    if told.program_id == ATA:
        mine = [create_ata(payer=wish.owner, owner=wish.owner, mint=mint) for mint in mints]
        if any(_same(told, each, data=(b"", b"\x01")) for each in mine):
            return
        _refuse("it wants a token account made that is not the wallet's, or of no part in the swap")
    if not wish.coin.is_sol or not any(_same(told, each) for each in _wrapping(wish)):
        _refuse(f"it wants something done by {told.program_id} before the swap")


def _route(
    swap: Instruction, wish: Wish, quoted: int, mints: tuple[Pubkey, ...]
) -> tuple[Pubkey, ...]:
    """Look at the route itself; return its accounts that are not known here."""
    if swap.program_id != JUPITER:
        _refuse(f"it wants the swap done by {swap.program_id}, which is not its program")
    data = swap.data
    head = HEADS.get(data[:8])
    if head is None:
        _refuse("it wants an instruction of its program that is not known to be a swap")
    shared = data[:8] == SHARED_ROUTE
    _terms(data[9 if shared else 8 :], wish, quoted)
    if len(swap.accounts) > MOST_ACCOUNTS or len(swap.accounts) < len(head):
        _refuse(f"its instruction has {len(swap.accounts)} accounts")
    expected = {
        "authority": wish.owner, "source": ata(wish.owner, wish.coin.mint),
        "target": ata(wish.owner, wish.programs.mint), "coin": _key(wish.coin.mint),
        "nos": _key(wish.programs.mint), "token": TOKEN, "nobody": JUPITER, "events": EVENTS,
        "program": JUPITER, "vaults": derive(JUPITER, b"authority", data[8:9]),
    }  # fmt: skip
    for place, (name, meta) in enumerate(zip(head, swap.accounts, strict=False)):
        if name and meta.pubkey != expected[name]:
            _refuse(f"account {place + 1} of its instruction is {meta.pubkey}, and not {name}")
    known = {*expected.values(), *(ata(wish.owner, mint) for mint in mints), *mints}
    for meta in swap.accounts:
        if meta.is_signer and meta.pubkey != wish.owner:
            _refuse(f"it wants {meta.pubkey} to sign as well")
        if meta.pubkey in _untouchable(wish.programs):
            _refuse(f"it hands the wallet's signature to {meta.pubkey}")
    # The instructions of a transaction share what may be written: the wallet's may be, in all.
    return tuple(dict.fromkeys(each.pubkey for each in swap.accounts if each.pubkey not in known))


def _terms(data: bytes, wish: Wish, quoted: int) -> None:
    """Look at amount, promise, slippage and fees, which stand before the way itself."""
    if len(data) < 26:
        _refuse("its instruction is cut short")
    amount, promised = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:16], "little")
    slippage, fee, surplus = (int.from_bytes(data[at : at + 2], "little") for at in (16, 18, 20))
    if amount != wish.amount:
        _refuse(f"its instruction takes {wish.coin.spell(amount)}")
    if promised != quoted or slippage != wish.slippage:
        _refuse("its instruction promises something else than its quote")
    if fee or surplus:
        _refuse(f"its instruction takes a fee of {max(fee, surplus) / 100:g} %")


def _untouchable(programs: Programs) -> frozenset[Pubkey]:
    """Return the programs that would do something for our signature besides a swap."""
    own = (programs.jobs, programs.stake, programs.rewards, programs.pools, programs.nodes)
    return frozenset({*FOREIGN, *(key(each) for each in own)})


def _wrapping(wish: Wish) -> list[Instruction]:
    """Return what wraps the SOL that is given."""
    account = ata(wish.owner, wish.coin.mint)
    moved = TransferParams(from_pubkey=wish.owner, to_pubkey=account, lamports=wish.amount)
    counted = Instruction(TOKEN, SYNC, [AccountMeta(account, is_signer=False, is_writable=True)])
    return [transfer(moved), counted]


def _unwrapping(owner: Pubkey) -> Instruction:
    """Return what closes the account of wrapped SOL, for the wallet."""
    metas = [
        AccountMeta(ata(owner, WRAPPED), is_signer=False, is_writable=True),
        AccountMeta(owner, is_signer=False, is_writable=True),
        AccountMeta(owner, is_signer=True, is_writable=False),
    ]
    return Instruction(TOKEN, CLOSE, metas)


def _same(told: Instruction, ours: Instruction, data: tuple[bytes, ...] = ()) -> bool:
    """Say whether two instructions do the same. Rent's sysvar may be named, as was once due."""
    theirs = [each.pubkey for each in told.accounts if each.pubkey != addresses.RENT]
    signing = {each.pubkey for each in told.accounts if each.is_signer}
    return (
        told.program_id == ours.program_id
        and told.data in (data or (ours.data,))
        and theirs == [each.pubkey for each in ours.accounts]
        and signing <= {each.pubkey for each in ours.accounts if each.is_signer}
    )


def _read(told: Told) -> Instruction:
    metas = [
        AccountMeta(_key(each.pubkey), is_signer=each.is_signer, is_writable=each.is_writable)
        for each in told.accounts
    ]
    return Instruction(_key(told.program_id), told.data, metas)


def _key(text: str) -> Pubkey:
    try:
        return Pubkey.from_string(text)
    except ValueError:
        _refuse(f"{text[:60]!r} is no address")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        _refuse(f"{text[:30]!r} is no amount")
    return int(text)


def _share(said: str | float | None) -> Decimal | None:
    """Read what the exchange says of its impact on the price: nothing is believed of it."""
    try:
        found = Decimal(str(said)[:40])
    except InvalidOperation:
        return None
    return found if found.is_finite() and -1 <= found <= 1 else None


def _pools(build: Build) -> tuple[str, ...]:
    names: Iterable[str] = (leg.swap_info.label for leg in build.route_plan[:MOST_MINTS])
    clean = ("".join(c for c in name if c.isprintable())[:40] for name in names)
    return tuple(name for name in clean if name)


def _refuse(why: str) -> NoReturn:
    raise ExchangeError(
        f"the exchange answers with a transaction that is refused: {why}. Nothing was signed",
        hint="Try again; if it stays so, buy NOS elsewhere and tell us.",
    )
