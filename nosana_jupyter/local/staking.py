"""
The Nosana staking program: NOS locked for a time gives a weight, xNOS.

A node needs a stake to `work`, even in a market that asks for none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM

from ..chain.accounts import Settings, Stake
from ..chain.instructions import STAKE
from ..chain.staking import LONGEST, SHORTEST, freed, weight
from . import faults, tokens
from .anchor import AnchorProgram, Context
from .invocation import U64, panic
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

CLOSED = b"\xff" * 8
"""What old programs left at the beginning of an account they closed."""

BOOK = Book(STAKE)


def released(*, amount: int, balance: int, elapsed: int, duration: int) -> int:
    """
    Return what may be withdrawn now, in micro-NOS.

    Args:
        amount: What was staked.
        balance: What the vault still holds.
        elapsed: Seconds since unstaking.
        duration: Seconds the whole release takes.

    Raises:
        Failure: The program panics.
    """
    if elapsed >= duration:
        return balance
    free = freed(amount, elapsed, duration)
    if free is None:
        raise panic("attempt to divide by zero")
    # More in the vault than was staked, or less to be free than was taken before a slash.
    if balance > amount or free < amount - balance:
        raise panic("attempt to subtract with overflow")
    return free - (amount - balance)


@dataclass(frozen=True, kw_only=True, slots=True)
class StakingConfig:
    """What differs between networks."""

    stake: Pubkey
    rewards: Pubkey
    mint: Pubkey
    authority: Pubkey
    """First authority of the settings."""

    token_account: Pubkey
    """First destination of what is slashed."""


class Staking(Context):
    """One instruction of the staking program while it runs."""

    stake: Stake
    settings: Settings
    vault: TokenAccount
    user: TokenAccount
    token_account: TokenAccount

    @property
    def config(self) -> StakingConfig:
        """The settings of this network."""
        config = self.program.config
        assert isinstance(config, StakingConfig)
        return config

    def change(self, **values: int) -> None:
        """Change the stake, and its weight with it."""
        stake = replace(self.stake, **values)  # type: ignore[arg-type]  # only integers change
        xnos = 0 if stake.time_unstake else weight(stake.amount, stake.duration)
        self.stake = replace(stake, xnos=xnos)

    def seeds(self) -> list[bytes]:
        """Return what the vault signs with."""
        owner = bytes(self.stake.authority)
        return [b"vault", bytes(self.config.mint), owner, bytes([self.stake.vault_bump])]

    def pay_in(self, amount: int) -> None:
        """Move NOS into the vault."""
        self.call(
            tokens.transfer(
                source=self["user"],
                target=self["vault"],
                authority=self["authority"],
                amount=amount,
            )
        )

    def draw(self, target: str, amount: int) -> None:
        """Move NOS out of the vault."""
        vault = self["vault"]
        move = tokens.transfer(source=vault, target=self[target], authority=vault, amount=amount)
        self.call(move, seeds=self.seeds())


def _vault_seeds(a: Staking) -> list[bytes]:
    return [b"vault", bytes(a["mint"]), bytes(a["authority"])]


def _stake_seeds(a: Staking) -> list[bytes]:
    return [b"stake", bytes(a["mint"]), bytes(a["authority"])]


def _reward_address(a: Staking) -> Pubkey:
    return Pubkey.find_program_address([b"reward", bytes(a["authority"])], a.config.rewards)[0]


def _has_no_reward(a: Staking) -> bool:
    view = a.view("reward")
    if view.owner == SYSTEM:
        return True
    if len(view.data) < 8:
        raise panic("range end index 8 out of range for slice")
    return view.data[:8] == CLOSED


NOT_OWN_STAKE = has_one("stake", "authority", faults.UNAUTHORIZED)
INVALID_VAULT = has_one("stake", "vault", faults.INVALID_VAULT)
NOT_ACTIVE = true("stake", lambda a: not a.stake.time_unstake, faults.ALREADY_UNSTAKED)
NOT_UNSTAKED = true("stake", lambda a: a.stake.time_unstake, faults.NOT_UNSTAKED)


@BOOK.instruction("init", new={"settings": New(payer="authority", seeds=lambda _: [b"settings"])})
def init(a: Staking) -> None:
    """Set the settings up, once. Whoever does it gains nothing by it."""
    a.settings = Settings(authority=a.config.authority, token_account=a.config.token_account)


@BOOK.instruction(
    "stake",
    new={
        "vault": New(payer="authority", seeds=_vault_seeds),
        "stake": New(payer="authority", seeds=_stake_seeds),
    },
    rules=[address("mint", lambda a: a.config.mint, faults.INVALID_MINT)],
    units=30_000,
)
def stake(a: Staking) -> None:
    """Lock NOS."""
    amount, duration = a.args["amount"], a.args["duration"]
    if duration < SHORTEST:
        raise faults.DURATION_TOO_SHORT.thrown("stake")
    if duration > LONGEST:
        raise faults.DURATION_TOO_LONG.thrown("stake")
    a.stake = Stake(
        amount=amount,
        authority=a["authority"],
        duration=duration,
        time_unstake=0,
        vault=a["vault"],
        vault_bump=Pubkey.find_program_address(_vault_seeds(a), a.id)[1],
        xnos=weight(amount, duration),
    )
    a.pay_in(amount)


@BOOK.instruction(
    "unstake",
    rules=[
        NOT_OWN_STAKE,
        NOT_ACTIVE,
        true("reward", _has_no_reward, faults.HAS_REWARD),
        address("reward", _reward_address, faults.INVALID_ACCOUNT),
    ],
)
def unstake(a: Staking) -> None:
    """Start the release. The stake counts for nothing from here on."""
    a.change(time_unstake=a.now)


@BOOK.instruction(
    "restake",
    rules=[
        INVALID_VAULT,
        NOT_OWN_STAKE,
        true("stake", lambda a: a.stake.time_unstake, faults.ALREADY_STAKED),
    ],
    distinct=("vault", "stake"),
)
def restake(a: Staking) -> None:
    """Lock again what the vault still holds."""
    a.change(amount=a.vault.amount, time_unstake=0)


@BOOK.instruction(
    "topup",
    rules=[INVALID_VAULT, NOT_OWN_STAKE, NOT_ACTIVE],
    distinct=("user", "vault", "stake"),
)
def topup(a: Staking) -> None:
    """Lock more."""
    amount = a.args["amount"]
    if not amount:
        raise faults.AMOUNT_NOT_ENOUGH.thrown("topup")
    if a.stake.amount + amount >= U64:
        raise panic("attempt to add with overflow")
    a.change(amount=a.stake.amount + amount)
    a.pay_in(amount)


@BOOK.instruction("extend", rules=[NOT_OWN_STAKE, NOT_ACTIVE])
def extend(a: Staking) -> None:
    """Lock for longer; the argument is added to the duration."""
    if not a.args["duration"]:
        raise faults.DURATION_TOO_SHORT.thrown("extend")
    duration = a.stake.duration + a.args["duration"]
    if duration >= U64:
        raise panic("attempt to add with overflow")
    if duration > LONGEST:
        raise faults.DURATION_TOO_LONG.thrown("extend")
    a.change(duration=duration)


@BOOK.instruction(
    "withdraw",
    rules=[
        true("vault", lambda a: a.vault.amount, faults.VAULT_EMPTY),
        INVALID_VAULT,
        NOT_OWN_STAKE,
        NOT_UNSTAKED,
    ],
    distinct=("user", "vault", "stake"),
)
def withdraw(a: Staking) -> None:
    """Take what has been released since unstaking."""
    amount = released(
        amount=a.stake.amount,
        balance=a.vault.amount,
        elapsed=a.now - a.stake.time_unstake,
        duration=a.stake.duration,
    )
    if amount:
        a.draw("user", amount)


@BOOK.instruction(
    "close",
    rules=[
        INVALID_VAULT,
        NOT_OWN_STAKE,
        NOT_UNSTAKED,
        true("stake", lambda a: a.stake.time_unstake + a.stake.duration < a.now, faults.LOCKED),
        true("vault", lambda a: not a.vault.amount, faults.VAULT_NOT_EMPTY),
    ],
    distinct=("user", "vault", "stake"),
    close={"stake": "authority"},
)
def close(a: Staking) -> None:
    """Close an empty stake after its release."""
    shut = tokens.close_account(account=a["vault"], target=a["authority"], authority=a["vault"])
    a.call(shut, seeds=a.seeds())


@BOOK.instruction(
    "slash",
    rules=[
        INVALID_VAULT,
        address("token_account", lambda a: a.settings.token_account, faults.INVALID_TOKEN_ACCOUNT),
        has_one("settings", "authority", faults.UNAUTHORIZED),
    ],
    distinct=("vault", "stake", "token_account"),
)
def slash(a: Staking) -> None:
    """Take NOS away from a stake."""
    amount = a.args["amount"]
    if amount > a.stake.amount:
        raise faults.AMOUNT_NOT_ENOUGH.thrown("slash")
    a.change(amount=a.stake.amount - amount)
    a.draw("token_account", amount)


@BOOK.instruction(
    "update_settings",
    rules=[
        true(
            "token_account",
            lambda a: a.token_account.mint == a.config.mint,
            faults.WRONG_MINT,
            named=False,
        ),
        has_one("settings", "authority", faults.UNAUTHORIZED),
    ],
)
def update_settings(a: Staking) -> None:
    """Hand the settings over."""
    a.settings = Settings(authority=a["new_authority"], token_account=a["token_account"])


def staking_program(config: StakingConfig, *, duplicate_rule: bool) -> AnchorProgram:
    """Return the staking program of a network."""
    return AnchorProgram(
        table=STAKE,
        kinds={
            "stake": State(layout=Stake, owner=config.stake),
            "settings": State(layout=Settings, owner=config.stake),
            "vault": TOKEN_ACCOUNT,
            "user": TOKEN_ACCOUNT,
            "token_account": TOKEN_ACCOUNT,
            "mint": MINT,
            "token_program": TOKEN_PROGRAM,
            "system_program": SYSTEM_PROGRAM,
            "rent": RENT_SYSVAR,
        },
        context=Staking,
        config=config,
        duplicate_rule=duplicate_rule,
        entries=BOOK.entries,
    )
