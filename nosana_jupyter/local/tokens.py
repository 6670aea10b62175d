"""
SPL token accounts and mints: the bytes, and the instructions the ledger and its programs make.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from ..chain.addresses import TOKEN
from ..chain.addresses import ata as associated
from .message import Call, Meta

__all__ = ["TOKEN", "Mint", "TokenAccount", "associated"]

ACCOUNT_SIZE = 165
MINT_SIZE = 82

_TRANSFER = 3
_MINT_TO = 7
_CLOSE_ACCOUNT = 9
_INITIALIZE_ACCOUNT_3 = 18


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenAccount:
    """A token account, as far as anyone here reads it."""

    mint: Pubkey
    owner: Pubkey
    amount: int
    """In the smallest unit of the mint."""

    state: int
    """0 uninitialized, 1 initialized, 2 frozen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mint:
    """A mint, as far as anyone here reads it."""

    supply: int
    decimals: int


def read(account: Account | None) -> TokenAccount | None:
    """Read a token account; None if it is not one."""
    if account is None or account.owner != TOKEN:
        return None
    return decode(account.data)


def decode(data: bytes) -> TokenAccount | None:
    """Read the bytes of an initialized token account; None if they are not."""
    if len(data) != ACCOUNT_SIZE or data[108] not in (1, 2):
        return None
    return TokenAccount(
        mint=Pubkey.from_bytes(data[:32]),
        owner=Pubkey.from_bytes(data[32:64]),
        amount=int.from_bytes(data[64:72], "little"),
        state=data[108],
    )


def read_mint(account: Account | None) -> Mint | None:
    """Read a mint; None if it is not one."""
    if account is None or account.owner != TOKEN:
        return None
    return decode_mint(account.data)


def decode_mint(data: bytes) -> Mint | None:
    """Read the bytes of an initialized mint; None if they are not."""
    if len(data) != MINT_SIZE or not data[45]:
        return None
    return Mint(supply=int.from_bytes(data[36:44], "little"), decimals=data[44])


def mint_bytes(authority: Pubkey, *, decimals: int) -> bytes:
    """Return the bytes of a mint with nothing minted and nobody to freeze it."""
    authority_option = (1).to_bytes(4, "little") + bytes(authority)
    return authority_option + bytes(8) + bytes([decimals, 1]) + bytes(36)


def account_bytes(mint: Pubkey, owner: Pubkey) -> bytes:
    """Return the bytes of an empty token account."""
    return bytes(mint) + bytes(owner) + bytes(44) + b"\x01" + bytes(56)


def amount_json(amount: int, decimals: int) -> dict[str, Any]:
    """Return an amount in the form the RPC gives it."""
    value = Decimal(amount).scaleb(-decimals)
    text = f"{value:f}"
    return {
        "amount": str(amount),
        "decimals": decimals,
        "uiAmount": float(value),
        "uiAmountString": (text.rstrip("0").rstrip(".") if "." in text else text) or "0",
    }


def mint_to(*, mint: Pubkey, account: Pubkey, authority: Pubkey, amount: int) -> Instruction:
    """Mint tokens into an account."""
    metas = [
        AccountMeta(mint, False, True),
        AccountMeta(account, False, True),
        AccountMeta(authority, True, False),
    ]
    return Instruction(TOKEN, bytes([_MINT_TO]) + amount.to_bytes(8, "little"), metas)


def transfer(*, source: Pubkey, target: Pubkey, authority: Pubkey, amount: int) -> Call:
    """Move tokens."""
    return Call(
        program=TOKEN,
        metas=(_writable(source), _writable(target), _signer(authority)),
        data=bytes([_TRANSFER]) + amount.to_bytes(8, "little"),
    )


def close_account(*, account: Pubkey, target: Pubkey, authority: Pubkey) -> Call:
    """Close an empty token account; its lamports go to `target`."""
    return Call(
        program=TOKEN,
        metas=(_writable(account), _writable(target), _signer(authority)),
        data=bytes([_CLOSE_ACCOUNT]),
    )


def initialize_account(*, account: Pubkey, mint: Pubkey, owner: Pubkey) -> Call:
    """Turn a new account of the token program into a token account."""
    return Call(
        program=TOKEN,
        metas=(_writable(account), _reader(mint)),
        # InitializeAccount3 takes the owner as an argument and needs no rent sysvar.
        data=bytes([_INITIALIZE_ACCOUNT_3]) + bytes(owner),
    )


def _writable(key: Pubkey) -> Meta:
    return Meta(key=key, signer=False, writable=True)


def _signer(key: Pubkey) -> Meta:
    return Meta(key=key, signer=True, writable=False)


def _reader(key: Pubkey) -> Meta:
    return Meta(key=key, signer=False, writable=False)
