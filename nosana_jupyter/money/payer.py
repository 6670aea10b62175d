"""
Who pays for jobs and signs for them: a wallet with NOS, or an account with credits.

All that differs between the two is here. The life of a job, with what is written down before and
after each step, is `jobs`, and knows no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..units import Lamports, MicroNos, MicroUsd

if TYPE_CHECKING:
    from solders.keypair import Keypair

    from ..chain.accounts import Job as JobAccount
    from ..chain.rpc import FoundRun
    from ..market.markets import Quote
    from .journal import Intent

NOTHING = MicroUsd(0)
NO_NOS = MicroNos(0)
NO_SOL = Lamports(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """What a job is called before it is posted."""

    job: str
    """Its address, or a name of our own where only the answer tells the address."""

    run: str
    """Address of its run account, if a host is waiting. Empty: known later."""

    keys: tuple[Keypair, ...] = ()
    """Keys of these addresses; they sign the posting."""

    payer: str = ""
    """Who pays the deposit, where that is not the account itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A job that was posted."""

    job: str
    run: str
    signature: str
    payer: str = ""
    """Who paid the deposit, where that is not the account itself."""

    reserved: MicroUsd = NOTHING
    """Credits that were set aside, in micro-dollars."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extended:
    """A job that has more time."""

    job: str
    timeout: int
    """All its time now, in seconds."""

    seconds: int
    """What was added."""

    cost: str
    """The most that the added time can cost, in words."""

    signature: str
    reserved: MicroUsd = NOTHING
    """Credits that were set aside for it, in micro-dollars."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Closing:
    """What was done to close a job."""

    name: str
    """Of the instruction: `delist`, `end` or `recover`. Empty: nothing was left to do."""

    signature: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Holdings:
    """What there is to pay with."""

    wallet: str = ""
    """Address of the project. Empty: a service posts for us."""

    payer: str = ""
    """Address of who pays for it, where that is another."""

    nos: MicroNos = NO_NOS
    sol: Lamports = NO_SOL
    credits: MicroUsd | None = None
    """Credits that are free, in micro-dollars. None: credits do not pay."""


class Payer(Protocol):
    """The account that pays for jobs, and is their project."""

    @property
    def name(self) -> str:
        """What pays, as the setting `pay` has it: `nos` or `credits`."""

    @property
    def account(self) -> str:
        """What the journal files its jobs under: an address, or a name."""

    @property
    def late(self) -> float:
        """Seconds after which a posting that the chain does not show will not come any more."""

    def stub(self) -> dict[str, Any]:
        """Return the public definition that stands for a confidential one."""

    def cache_key(self, node: str) -> str:
        """Return what tells a host our cache from others' of the same project; empty: none are."""

    async def holdings(self) -> Holdings:
        """Return what there is to pay with."""

    async def priced(self, quote: Quote) -> Quote:
        """Add to a quote what else posting takes."""

    async def check(self, quote: Quote) -> None:
        """
        See that what a job may cost is there.

        Raises:
            FundsError: It is not; says how much is missing. Nothing was spent.
        """

    def ticket(self) -> Ticket:
        """Return names for a job that is about to be posted."""

    async def post(self, ticket: Ticket, intent: Intent, cid: str) -> Listed:
        """
        Post a job.

        Raises:
            ProgramError: It was refused. Nothing was spent but a fee.
            NetworkError: Nobody knows whether it was posted.
        """

    def unsure(self, intent: Intent) -> str:
        """Say where the money is of a job whose posting was not answered, nor found."""

    async def find(self, intent: Intent) -> Listed | None:
        """Look once for a job whose posting was not answered."""

    async def check_more(self, account: JobAccount, seconds: int, cost: MicroNos) -> None:
        """
        See that what more time for a job may cost is there.

        Raises:
            FundsError: It is not; says how much is missing. Nothing was spent.
        """

    async def extend(self, job: str, account: JobAccount, seconds: int, cost: MicroNos) -> Extended:
        """
        Add seconds to a job that waits or runs.

        Raises:
            FundsError: What they may cost is not there. Nothing was spent.
            ProgramError: It was refused. Nothing was spent but a fee.
            NetworkError: Nobody knows whether it was done.
        """

    async def seen(self, job: str) -> bool:
        """Wait until the chain, as we see it, shows a job that was posted; say whether it does."""

    async def close(self, job: str, account: JobAccount, run: FoundRun | None) -> Closing:
        """
        Do the one thing that a job in this state asks for.

        Raises:
            ProgramError: Its state has just changed.
        """

    async def job(self, address: str) -> JobAccount | None:
        """Return a job that this payer can close, whoever posted it."""

    async def jobs(self) -> dict[str, JobAccount]:
        """Return the jobs on chain that belong to nobody else, whoever posted them."""

    async def clean(self) -> Lamports:
        """Fetch the rent of jobs that ended long ago; return what came back."""

    async def sign(self, message: str) -> str:
        """Return a message with the project's signature and the time, as hosts ask for it."""
