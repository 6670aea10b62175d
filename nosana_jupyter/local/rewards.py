"""
The Nosana rewards program: fees enter one vault and are spread over stakers by reflection.

Nobody's share is stored. A participant holds units of reflection; what they are worth follows from
one rate, which falls when a fee comes in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from solders.pubkey import Pubkey

from ..chain.accounts import Reflection, Reward, Stake
from ..chain.instructions import REWARDS
from . import faults, tokens
from .anchor import AnchorProgram, Context
from .invocation import panic
from .rules import (
    MINT,
    RENT_SYSVAR,
    SYSTEM_PROGRAM,
    TOKEN_ACCOUNT,
    TOKEN_PROGRAM,
    Book,
    New,
    State,
    address,
    has_one,
    true,
)
from .tokens import TokenAccount

INITIAL_RATE = (2**128 - 1) // 10**14
U128 = 1 << 128

BOOK = Book(REWARDS)


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardsConfig:
    """What differs between networks."""

    rewards: Pubkey
    stake: Pubkey
    mint: Pubkey


class Rewards(Context):
    """One instruction of the rewards program while it runs."""

    reflection: Reflection
    reward: Reward
    stake: Stake
    vault: TokenAccount
    user: TokenAccount

    def pending(self) -> int:
        """Return what the participant has earned and not been paid, in micro-NOS."""
        if not self.reflection.rate:
            raise panic("attempt to divide by zero")
        return checked(self.reward.reflection // self.reflection.rate - self.reward.xnos)

    def leave(self, *, taken: int = 0) -> None:
        """Take the participant out of the pool, and what is paid to them."""
        self.reflection = replace(
            self.reflection,
            total_xnos=checked(self.reflection.total_xnos - self.reward.xnos - taken),
            total_reflection=checked(self.reflection.total_reflection - self.reward.reflection),
        )

    def join(self, *, bump: int, kept: int = 0) -> None:
        """Put the participant into the pool, with what they have not been paid."""
        xnos = self.stake.xnos
        units = checked((xnos + kept) * self.reflection.rate)
        self.reflection = replace(
            self.reflection,
            total_xnos=checked(self.reflection.total_xnos + xnos),
            total_reflection=checked(self.reflection.total_reflection + units),
        )
        self.reward = Reward(authority=self.stake.authority, bump=bump, reflection=units, xnos=xnos)


def checked(value: int) -> int:
    """
    Return a value that fits in 128 bits.

    Raises:
        Failure: It does not; the program panics.
    """
    if not 0 <= value < U128:
        raise panic("attempt to calculate with overflow")
    return value


def _reward_seeds(a: Rewards) -> list[bytes]:
    return [b"reward", bytes(a["authority"])]


INVALID_VAULT = has_one("reflection", "vault", faults.INVALID_VAULT)
NOT_OWN_REWARD = has_one("reward", "authority", faults.UNAUTHORIZED)
NOT_OWN_STAKE = has_one("stake", "authority", faults.UNAUTHORIZED)
UNSTAKED = true("stake", lambda a: not a.stake.time_unstake, faults.ALREADY_UNSTAKED)


@BOOK.instruction(
    "init",
    new={
        "reflection": New(payer="authority", seeds=lambda _: [b"reflection"]),
        "vault": New(payer="authority", seeds=lambda a: [bytes(a["mint"])]),
    },
    rules=[address("mint", lambda a: a.program.config.mint, faults.INVALID_MINT)],
)
def init(a: Rewards) -> None:
    """Set the pool up, once."""
    bump = Pubkey.find_program_address([bytes(a["mint"])], a.id)[1]
    a.reflection = Reflection(
        rate=INITIAL_RATE, total_reflection=0, total_xnos=0, vault=a["vault"], vault_bump=bump
    )


@BOOK.instruction(
    "enter",
    new={"reward": New(payer="authority", seeds=_reward_seeds)},
    rules=[NOT_OWN_STAKE, UNSTAKED],
)
def enter(a: Rewards) -> None:
    """Take part, with the weight of one's stake."""
    a.join(bump=Pubkey.find_program_address(_reward_seeds(a), a.id)[1])


@BOOK.instruction(
    "add_fee", rules=[INVALID_VAULT], distinct=("user", "reflection", "vault"), units=2_000
)
def add_fee(a: Rewards) -> None:
    """Give NOS to all who take part. Anyone may."""
    amount = a.args["amount"]
    total = checked(a.reflection.total_xnos + amount)
    if not total:
        raise panic("attempt to divide by zero")
    a.reflection = replace(
        a.reflection, total_xnos=total, rate=a.reflection.total_reflection // total
    )
    a.call(
        tokens.transfer(
            source=a["user"], target=a["vault"], authority=a["authority"], amount=amount
        )
    )


@BOOK.instruction(
    "claim",
    rules=[
        INVALID_VAULT,
        NOT_OWN_REWARD,
        NOT_OWN_STAKE,
        UNSTAKED,
        true("stake", lambda a: a.stake.xnos >= a.reward.xnos, faults.DECREASED),
    ],
    distinct=("user", "vault", "reflection", "reward"),
)
def claim(a: Rewards) -> None:
    """Be paid what has come in since the last time."""
    pending = a.pending()
    if not pending:
        return
    a.leave(taken=pending)
    a.join(bump=a.reward.bump)
    pay = tokens.transfer(source=a["vault"], target=a["user"], authority=a["vault"], amount=pending)
    a.call(pay, seeds=[bytes(a.program.config.mint), bytes([a.reflection.vault_bump])])


@BOOK.instruction(
    "sync",
    rules=[
        UNSTAKED,
        true("stake", lambda a: a.stake.authority == a.reward.authority, faults.UNAUTHORIZED),
    ],
    distinct=("reward", "reflection"),
)
def sync(a: Rewards) -> None:
    """Bring a participant's weight up to their stake. Anyone may."""
    pending = a.pending()
    a.leave()
    a.join(bump=a.reward.bump, kept=pending)


@BOOK.instruction("close", rules=[NOT_OWN_REWARD], close={"reward": "authority"})
def close(a: Rewards) -> None:
    """Leave. What was not claimed goes to the others with the next fee."""
    a.leave()


def rewards_program(config: RewardsConfig, *, duplicate_rule: bool) -> AnchorProgram:
    """Return the rewards program of a network."""
    return AnchorProgram(
        table=REWARDS,
        kinds={
            "reflection": State(layout=Reflection, owner=config.rewards),
            "reward": State(layout=Reward, owner=config.rewards),
            "stake": State(layout=Stake, owner=config.stake),
            "vault": TOKEN_ACCOUNT,
            "user": TOKEN_ACCOUNT,
            "mint": MINT,
            "token_program": TOKEN_PROGRAM,
            "system_program": SYSTEM_PROGRAM,
            "rent": RENT_SYSVAR,
        },
        context=Rewards,
        config=config,
        duplicate_rule=duplicate_rule,
        entries=BOOK.entries,
    )
