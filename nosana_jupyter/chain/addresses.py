"""
Addresses that follow from others: vaults, stakes, token accounts.
"""

from __future__ import annotations

from solders.pubkey import Pubkey

from ..network import Programs

Key = Pubkey | str

TOKEN = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
ATA = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
SYSTEM = Pubkey.from_string("11111111111111111111111111111111")
RENT = Pubkey.from_string("SysvarRent111111111111111111111111111111111")
CLOCK = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")
METADATA = Pubkey.from_string("metaqbxxUerdq28cj1RbAWkYQm3ybzjb6a8bt518x1s")
COMPUTE_BUDGET = Pubkey.from_string("ComputeBudget111111111111111111111111111111")


def key(address: Key) -> Pubkey:
    """Return a key from its base58 text, or as it is."""
    return address if isinstance(address, Pubkey) else Pubkey.from_string(address)


def derive(program: Key, *seeds: bytes | Key) -> Pubkey:
    """Return the program-derived address of some seeds."""
    raw = [seed if isinstance(seed, bytes) else bytes(key(seed)) for seed in seeds]
    return Pubkey.find_program_address(raw, key(program))[0]


def vault(programs: Programs, market: Key) -> Pubkey:
    """Return the token account that holds a market's deposits."""
    return derive(programs.jobs, market, programs.mint)


def ata(owner: Key, mint: Key) -> Pubkey:
    """Return an owner's associated token account."""
    return derive(ATA, owner, TOKEN, mint)


def stake(programs: Programs, owner: Key) -> Pubkey:
    """Return an owner's stake account."""
    return derive(programs.stake, b"stake", programs.mint, owner)


def stake_vault(programs: Programs, owner: Key) -> Pubkey:
    """Return the token account that holds an owner's stake."""
    return derive(programs.stake, b"vault", programs.mint, owner)


def stake_settings(programs: Programs) -> Pubkey:
    """Return the settings account of the staking program."""
    return derive(programs.stake, b"settings")


def reflection(programs: Programs) -> Pubkey:
    """Return the account that spreads fees over stakers."""
    return derive(programs.rewards, b"reflection")


def rewards_vault(programs: Programs) -> Pubkey:
    """Return the token account that all fees enter."""
    return derive(programs.rewards, programs.mint)


def reward(programs: Programs, owner: Key) -> Pubkey:
    """Return a staker's reward account."""
    return derive(programs.rewards, b"reward", owner)


def node(programs: Programs, owner: Key) -> Pubkey:
    """Return a node's registration account."""
    return derive(programs.nodes, b"node", owner)


def metadata(mint: Key) -> Pubkey:
    """Return the Metaplex metadata account of a mint."""
    return derive(METADATA, b"metadata", METADATA, mint)
