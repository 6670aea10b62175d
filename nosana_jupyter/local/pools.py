"""
The exchange of the local network: a program that swaps for NOS, and what it has to swap.

It answers to the program and the instruction of the exchange on mainnet, and really moves tokens.
Its price is that of the price services, a quarter of a percent dearer, and worse the more is bought
at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from ..chain.addresses import TOKEN, derive
from ..network import MAINNET
from ..sources import SOL_MINT
from . import tokens
from .admission import minimum_balance
from .catalogue import USD_PER_NOS, USD_PER_SOL
from .invocation import Failure, Invocation

PROGRAM = Pubkey.from_string("JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4")
EVENTS = derive(PROGRAM, b"__event_authority")
KEEPER, _BUMP = Pubkey.find_program_address([b"keeper"], PROGRAM)
"""Owns what the exchange has to swap."""

NOS = Pubkey.from_string(MAINNET.programs.mint)
USDC = Pubkey.from_string(MAINNET.usdc)
SOL = Pubkey.from_string(SOL_MINT)

ROUTE = bytes.fromhex("bb64facc31c4af14")
HEAD = 34
"""Bytes of the instruction: name, amount, promise, slippage, two fees, and how long the way is."""

COINS: Mapping[Pubkey, tuple[Decimal, int]] = {
    USDC: (Decimal(1), 6),
    SOL: (USD_PER_SOL, 9),
}
"""What can be swapped: dollars of one, and decimals."""

FEE = Decimal("0.0025")
DEPTH = Decimal(500_000)
"""Dollars that halve what is got for one."""

STOCK = 10**15
"""Micro-NOS that the exchange begins with."""

LABEL = "Local Pool"

TOO_LITTLE = {"Custom": 6001}
"""What the program says where a swap brings less than is allowed, as that of mainnet does."""


def promised(coin: Pubkey, amount: int) -> tuple[int, Decimal]:
    """Return the micro-NOS for an amount of a coin, and by what share the amount itself costs."""
    dollars, decimals = COINS[coin]
    worth = Decimal(amount).scaleb(-decimals) * dollars
    impact = worth / (DEPTH + worth)
    return int(worth / USD_PER_NOS * (1 - FEE) * (1 - impact) * 10**6), impact


def route(owner: Pubkey, coin: Pubkey, amount: int, slippage: int) -> Instruction:
    """Return the instruction that swaps."""
    data = b"".join([
        ROUTE, amount.to_bytes(8, "little"), promised(coin, amount)[0].to_bytes(8, "little"),
        slippage.to_bytes(2, "little"), bytes(4), bytes(4),
    ])  # fmt: skip
    ours = (tokens.associated(owner, coin), tokens.associated(owner, NOS))
    places = [
        (owner, True, False), (ours[0], False, True), (ours[1], False, True),
        (coin, False, False), (NOS, False, False), (TOKEN, False, False), (TOKEN, False, False),
        (PROGRAM, False, False), (EVENTS, False, False), (PROGRAM, False, False),
        (KEEPER, False, False), (tokens.associated(KEEPER, coin), False, True),
        (tokens.associated(KEEPER, NOS), False, True),
    ]  # fmt: skip
    return Instruction(PROGRAM, data, [AccountMeta(*each) for each in places])


def program(invocation: Invocation) -> None:
    """
    Swap.

    Raises:
        Failure: It is another instruction, or brings too little.
    """
    data, keys = invocation.data, [meta.key for meta in invocation.metas]
    if data[:8] != ROUTE or len(data) < HEAD or len(keys) < 13:
        raise Failure({"Custom": 101})
    invocation.log("Instruction: RouteV2")
    invocation.consume(30_000)
    owner, source, target, coin = keys[:4]
    amount, promise = int.from_bytes(data[8:16], "little"), int.from_bytes(data[16:24], "little")
    slippage = int.from_bytes(data[24:26], "little")
    if coin not in COINS or keys[4] != NOS or keys[10] != KEEPER:
        raise Failure({"Custom": 6000})
    got, _ = promised(coin, amount)
    if got < promise * (10_000 - slippage) // 10_000:
        raise Failure(TOO_LITTLE, "Program log: AnchorError occurred: SlippageToleranceExceeded.")
    taken, given = keys[11], keys[12]
    invocation.call(tokens.transfer(source=source, target=taken, authority=owner, amount=amount))
    invocation.call(
        tokens.transfer(source=given, target=target, authority=KEEPER, amount=got),
        seeds=[[b"keeper", bytes([_BUMP])]],
    )


def accounts(authority: Pubkey) -> dict[Pubkey, Account]:
    """Return what the exchange takes coins into; `authority` may make more USDC."""
    mints = {
        USDC: tokens.mint_bytes(authority, decimals=6),
        # Wrapped SOL is nobody's to make: it is SOL that was moved there.
        SOL: bytes(36) + bytes(8) + bytes([9, 1]) + bytes(36),
    }
    made = {key: _of_tokens(data) for key, data in mints.items()}
    for mint in COINS:
        data = bytearray(tokens.account_bytes(mint, KEEPER))
        if mint == SOL:
            # That it is native, and what of it is rent.
            data[109:121] = b"\1\0\0\0" + minimum_balance(len(data)).to_bytes(8, "little")
        made[tokens.associated(KEEPER, mint)] = _of_tokens(bytes(data))
    return made


def _of_tokens(data: bytes) -> Account:
    return Account(lamports=minimum_balance(len(data)), data=data, owner=TOKEN)
