"""
What the local ledger holds before its first transaction.
"""

from __future__ import annotations

from solders.account import Account
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM

from ..network import Programs
from . import tokens
from .admission import minimum_balance
from .runtime import Program

DECIMALS = 6
FAUCET_LAMPORTS = 500_000_000 * 10**9

LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
METADATA_PROGRAM = Pubkey.from_string("metaqbxxUerdq28cj1RbAWkYQm3ybzjb6a8bt518x1s")


def stubs(programs: Programs) -> dict[Pubkey, Account]:
    """
    Return what `getAccountInfo` shows of programs that LiteSVM does not hold.

    They are never in LiteSVM, which would try to load them.
    """
    ids = [programs.jobs, programs.stake, programs.rewards, programs.pools, programs.nodes]
    stub = {}
    for key in [*(Pubkey.from_string(text) for text in ids), METADATA_PROGRAM]:
        code = Pubkey.find_program_address([bytes(key)], LOADER)[0]
        data = (2).to_bytes(4, "little") + bytes(code)
        stub[key] = Account(
            lamports=minimum_balance(len(data)), data=data, owner=LOADER, executable=True
        )
    return stub


def accounts(programs: Programs, *, authority: Pubkey) -> dict[Pubkey, Account]:
    """
    Return the accounts of a new ledger.

    Args:
        programs: Where the Nosana programs and the NOS mint are.
        authority: Mint authority of NOS and faucet of SOL.
    """
    mint = tokens.mint_bytes(authority, decimals=DECIMALS)
    return {
        authority: Account(lamports=FAUCET_LAMPORTS, data=b"", owner=SYSTEM),
        Pubkey.from_string(programs.mint): Account(
            lamports=minimum_balance(len(mint)), data=mint, owner=tokens.TOKEN
        ),
    }


def registry(
    programs: Programs, *, admin: Pubkey, fee_divisor: int, duplicate_rule: bool
) -> dict[Pubkey, Program]:
    """Return the programs that run in Python."""
    return {}
