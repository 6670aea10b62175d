"""
Instructions of the staking and the rewards program, as who has a stake builds them.
"""

from __future__ import annotations

from typing import Any

from solders.instruction import Instruction
from solders.system_program import ID as SYSTEM

from ..network import Programs
from . import addresses
from .addresses import TOKEN, Key, ata
from .instructions import REWARDS, STAKE, Spec, build


def stake(programs: Programs, *, owner: Key, amount: int, duration: int) -> Instruction:
    """Lock NOS for a duration of 14 to 365 days, in seconds."""
    return _staking(programs, "stake", owner, amount=amount, duration=duration)


def topup(programs: Programs, *, owner: Key, amount: int) -> Instruction:
    """Lock more NOS, for as long as the rest."""
    return _staking(programs, "topup", owner, amount=amount)


def lengthen(programs: Programs, *, owner: Key, seconds: int) -> Instruction:
    """Let it take so much longer to take a stake out: the program's `extend`."""
    return _staking(programs, "extend", owner, duration=seconds)


def unstake(programs: Programs, *, owner: Key) -> Instruction:
    """Begin to take a stake out. Its share of the fees has to be given up before."""
    return _staking(programs, "unstake", owner)


def restake(programs: Programs, *, owner: Key) -> Instruction:
    """Lock again what was being taken out."""
    return _staking(programs, "restake", owner)


def withdraw(programs: Programs, *, owner: Key) -> Instruction:
    """Fetch what is free of a stake that is being taken out."""
    return _staking(programs, "withdraw", owner)


def close(programs: Programs, *, owner: Key) -> Instruction:
    """Close the accounts of a stake that was taken out whole; their rent returns."""
    return _staking(programs, "close", owner)


def slash(
    programs: Programs, *, owner: Key, amount: int, authority: Key, target: Key
) -> Instruction:
    """Take NOS from a stake. Authority and target are those that the program's settings name."""
    accounts = _of(programs, owner) | {"authority": authority, "token_account": target}
    return _built(STAKE["slash"], programs.stake, accounts, amount=amount)


def enter(programs: Programs, *, owner: Key) -> Instruction:
    """Let a stake have a share of the network's fees from now on."""
    return _rewarding(programs, "enter", owner)


def claim(programs: Programs, *, owner: Key) -> Instruction:
    """Fetch the share of the fees that a stake has come to."""
    return _rewarding(programs, "claim", owner)


def leave(programs: Programs, *, owner: Key) -> Instruction:
    """Give up a stake's share of the fees. What of it was not claimed goes to the others."""
    return _rewarding(programs, "close", owner)


def _staking(programs: Programs, name: str, owner: Key, **args: int) -> Instruction:
    return _built(STAKE[name], programs.stake, _of(programs, owner), **args)


def _rewarding(programs: Programs, name: str, owner: Key) -> Instruction:
    accounts = _of(programs, owner) | {"vault": addresses.rewards_vault(programs)}
    return _built(REWARDS[name], programs.rewards, accounts)


def _built(spec: Spec, program: Key, accounts: dict[str, Key], **args: Any) -> Instruction:
    wanted = {each.name: accounts[each.name] for each in spec.accounts}
    return build(spec, program, args, wanted)


def _of(programs: Programs, owner: Key) -> dict[str, Key]:
    """Return the accounts of one owner that these instructions take, by their names."""
    return {
        "authority": owner, "user": ata(owner, programs.mint), "mint": programs.mint,
        "stake": addresses.stake(programs, owner),
        "vault": addresses.stake_vault(programs, owner),
        "settings": addresses.stake_settings(programs),
        "reward": addresses.reward(programs, owner),
        "reflection": addresses.reflection(programs),
        "system_program": SYSTEM, "token_program": TOKEN, "rent": addresses.RENT,
    }  # fmt: skip
