"""
What the local ledger holds before its first transaction.
"""

from __future__ import annotations

from solders.account import Account
from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM

from ..chain import addresses
from ..chain.instructions import REWARDS, STAKE, build, create_ata
from ..chain.locking import stake
from ..chain.staking import LONGEST
from ..network import Programs
from . import pools, tokens
from .admission import minimum_balance
from .program import jobs_program
from .program_accounts import JobsConfig
from .rewards import RewardsConfig, rewards_program
from .runtime import Program
from .staking import StakingConfig, staking_program

DECIMALS = 6
FAUCET_LAMPORTS = 500_000_000 * 10**9
FIRST_STAKE = 1_000 * 10**6
FIRST_DURATION = LONGEST

LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")


def stubs(programs: Programs) -> dict[Pubkey, Account]:
    """
    Return what `getAccountInfo` shows of programs that LiteSVM does not hold.

    They are never in LiteSVM, which would try to load them.
    """
    ids = [programs.jobs, programs.stake, programs.rewards, programs.pools, programs.nodes]
    stub = {}
    for key in [*(Pubkey.from_string(each) for each in ids), addresses.METADATA, pools.PROGRAM]:
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


def transaction(programs: Programs, *, authority: Pubkey) -> list[Instruction]:
    """
    Return the first transaction, signed by the authority.

    It sets up rewards and staking, and lets the authority stake and take part. With nobody in the
    rewards pool the first network fee would set its rate to zero for good.
    """
    mint = Pubkey.from_string(programs.mint)
    wallet = tokens.associated(authority, mint)
    fixed = {
        "mint": mint,
        "authority": authority,
        "system_program": SYSTEM,
        "token_program": tokens.TOKEN,
        "rent": addresses.RENT,
        "settings": addresses.stake_settings(programs),
        "reflection": addresses.reflection(programs),
        "vault": addresses.rewards_vault(programs),
        "stake": addresses.stake(programs, authority),
        "reward": addresses.reward(programs, authority),
    }
    return [
        build(REWARDS["init"], programs.rewards, {}, fixed),
        build(STAKE["init"], programs.stake, {}, fixed),
        create_ata(payer=authority, owner=authority, mint=mint),
        tokens.mint_to(mint=mint, account=wallet, authority=authority, amount=FIRST_STAKE),
        stake(programs, owner=authority, amount=FIRST_STAKE, duration=FIRST_DURATION),
        build(REWARDS["enter"], programs.rewards, {}, fixed),
    ]


def registry(
    programs: Programs, *, admin: Pubkey, fee_divisor: int, duplicate_rule: bool
) -> dict[Pubkey, Program]:
    """
    Return the programs that run in Python.

    Args:
        programs: Where they are.
        admin: Market admin, and first authority of the staking settings.
        fee_divisor: See `JobsConfig`.
        duplicate_rule: Whether they refuse the same account in two writable slots.
    """
    mint = Pubkey.from_string(programs.mint)
    jobs = Pubkey.from_string(programs.jobs)
    staking = Pubkey.from_string(programs.stake)
    rewards = Pubkey.from_string(programs.rewards)
    jobs_config = JobsConfig(
        jobs=jobs, stake=staking, rewards=rewards, mint=mint, admin=admin, fee_divisor=fee_divisor
    )
    staking_config = StakingConfig(
        stake=staking,
        rewards=rewards,
        mint=mint,
        authority=admin,
        token_account=tokens.associated(admin, mint),
    )
    rewards_config = RewardsConfig(rewards=rewards, stake=staking, mint=mint)
    return {
        jobs: jobs_program(jobs_config, duplicate_rule=duplicate_rule),
        staking: staking_program(staking_config, duplicate_rule=duplicate_rule),
        rewards: rewards_program(rewards_config, duplicate_rule=duplicate_rule),
        pools.PROGRAM: pools.program,
    }
