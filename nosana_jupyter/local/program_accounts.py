"""
What the instructions of the jobs program share: the accounts they read, and how money moves.

All amounts are micro-NOS in 64 bits; what does not fit panics, as the program does.
"""

from __future__ import annotations

from dataclasses import dataclass

from solders.pubkey import Pubkey

from ..chain.accounts import Job, Market, Reflection, Run, Stake
from ..chain.addresses import TOKEN
from ..chain.instructions import REWARDS
from . import faults, tokens
from .anchor import Context
from .invocation import U64, panic
from .message import Call, Meta
from .rules import (
    MINT,
    RENT_SYSVAR,
    SYSTEM_PROGRAM,
    TOKEN_ACCOUNT,
    TOKEN_PROGRAM,
    Exact,
    Kind,
    State,
)
from .tokens import TokenAccount

UNKNOWN_TYPE = 255
NO_RESULT = bytes(32)


@dataclass(frozen=True, kw_only=True, slots=True)
class JobsConfig:
    """What differs between builds and networks of the jobs program."""

    jobs: Pubkey
    stake: Pubkey
    rewards: Pubkey
    mint: Pubkey
    admin: Pubkey
    """Who may use the instructions that end in `_admin`."""

    fee_divisor: int
    """0 takes no network fee, 10 takes a tenth of each deposit."""

    def kinds(self) -> dict[str, Kind]:
        """Return what the accounts of the instructions are, by name."""
        token_accounts = ("vault", "user", "deposit", "nft", "rewards_vault")
        return {
            "job": State(layout=Job, owner=self.jobs),
            "market": State(layout=Market, owner=self.jobs),
            "run": State(layout=Run, owner=self.jobs),
            "stake": State(layout=Stake, owner=self.stake),
            "rewards_reflection": State(layout=Reflection, owner=self.rewards),
            "mint": MINT,
            "rewards_program": Exact(key=self.rewards, fault=faults.WRONG_PROGRAM),
            "token_program": TOKEN_PROGRAM,
            "system_program": SYSTEM_PROGRAM,
            "rent": RENT_SYSVAR,
            **dict.fromkeys(token_accounts, TOKEN_ACCOUNT),
        }


class Jobs(Context):
    """One instruction of the jobs program while it runs."""

    job: Job
    market: Market
    run: Run
    stake: Stake
    vault: TokenAccount
    user: TokenAccount
    deposit: TokenAccount
    nft: TokenAccount

    @property
    def config(self) -> JobsConfig:
        """The settings of this build."""
        config = self.program.config
        assert isinstance(config, JobsConfig)
        return config

    def is_ata(self, slot: str, owner: Pubkey) -> bool:
        """Say whether an account is the owner's associated NOS account."""
        return self[slot] == tokens.associated(owner, self.config.mint)

    def start(self, *, job: Pubkey, node: Pubkey) -> None:
        """Fill the run account, whose time starts the bill."""
        self.run = Run(job=job, node=node, payer=self["payer"], state=0, time=self.now)

    def create_run(self, *, job: Pubkey, node: Pubkey) -> None:
        """Create the run account and fill it."""
        self.allocate("run", Run.SIZE, owner=self.id, payer="payer")
        self.start(job=job, node=node)

    def draw(self, target: str, amount: int) -> None:
        """Move NOS out of the market's vault."""
        seeds = [bytes(self["market"]), bytes(self.config.mint), bytes([self.market.vault_bump])]
        move = tokens.transfer(
            source=self["vault"], target=self[target], authority=self["vault"], amount=amount
        )
        self.call(move, seeds=seeds)

    def pay_in(self, seconds: int) -> None:
        """Take the deposit for some seconds, and the network fee on top, from the payer."""
        price = self.job.price
        if not price:
            return
        deposit = product(price, seconds)
        self.call(
            tokens.transfer(
                source=self["user"], target=self["vault"], authority=self["payer"], amount=deposit
            )
        )
        if self.config.fee_divisor:
            self._add_fee(deposit // self.config.fee_divisor)

    def _add_fee(self, amount: int) -> None:
        spec = REWARDS["add_fee"]
        accounts = {
            "user": self["user"],
            "reflection": self["rewards_reflection"],
            "vault": self["rewards_vault"],
            "authority": self["payer"],
            "token_program": TOKEN,
        }
        metas = tuple(
            Meta(key=accounts[item.name], signer=item.signer, writable=item.writable)
            for item in spec.accounts
        )
        data = spec.discriminator + amount.to_bytes(8, "little")
        self.call(Call(program=self.config.rewards, metas=metas, data=data))

    def pay_out(self) -> None:
        """Pay the node for the seconds of the job, and its payer the rest."""
        job = self.job
        if not job.price:
            return
        earned = product(job.price, min(job.time_end - job.time_start, job.timeout))
        self.draw("user", earned)
        self.draw("deposit", product(job.price, job.timeout) - earned)


def product(price: int, seconds: int) -> int:
    """
    Return price times seconds.

    Raises:
        Failure: The product is negative, or does not fit in 64 bits.
    """
    if seconds < 0:
        raise panic("called `Result::unwrap()` on an `Err` value: TryFromIntError(())")
    if price * seconds >= U64:
        raise panic("attempt to multiply with overflow")
    return price * seconds
