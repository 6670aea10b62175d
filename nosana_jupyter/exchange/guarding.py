"""
What a transaction holds at its end, so that it fails as a whole where the wallet would lose more
than it is to.

A trial can be deceived: a program may do one thing while it is tried and another in earnest. These
instructions are part of what is signed. A transfer from an account to itself moves nothing, and
fails where the account holds less; taking back powers that nobody has does nothing, and fails
where the account is not the wallet's any more.
"""

from __future__ import annotations

from collections.abc import Mapping

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from ..chain.addresses import TOKEN

TRANSFER, REVOKE, SET_AUTHORITY = b"\x03", b"\x05", b"\x06"
CLOSER = b"\x03\x00"
"""The power to close an account, given to nobody but its owner."""


def guards(owner: Pubkey, floors: Mapping[Pubkey, int], lamports: int) -> list[Instruction]:
    """
    Return instructions that fail unless enough is left, and all of it is the wallet's alone.

    Args:
        owner: The wallet.
        floors: The least that its token accounts hold then.
        lamports: The least SOL that it has then.
    """
    made: list[Instruction] = []
    for account, least in floors.items():
        made += [
            _token(REVOKE, account, owner=owner),
            _token(SET_AUTHORITY + CLOSER, account, owner=owner),
            _token(TRANSFER + least.to_bytes(8, "little"), account, account, owner=owner),
        ]
    back = TransferParams(from_pubkey=owner, to_pubkey=owner, lamports=max(0, lamports))
    return [*made, transfer(back)]


def _token(data: bytes, *accounts: Pubkey, owner: Pubkey) -> Instruction:
    metas = [AccountMeta(each, is_signer=False, is_writable=True) for each in accounts]
    metas.append(AccountMeta(owner, is_signer=True, is_writable=False))
    return Instruction(TOKEN, data, metas)
