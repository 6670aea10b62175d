"""
Who pays for jobs and signs for them: a wallet with NOS, or an account with credits.

All that differs between the two is here. The life of a job, with what is written down before and
after each step, is `jobs`, and knows no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from solders.keypair import Keypair

    from .chain.accounts import Job as JobAccount
    from .chain.rpc import FoundRun
    from .journal import Intent
    from .markets import Quote
    from .units import Lamports


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """What a job is called before it is posted."""

    job: str
    """Its address, or a name of our own where only the answer tells the address."""

    run: str
    """Address of its run account, if a host is waiting. Empty: known later."""

    keys: tuple[Keypair, ...] = ()
    """Keys of these addresses; they sign the posting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A job that was posted."""

    job: str
    run: str
    signature: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Closing:
    """What was done to close a job."""

    name: str
    """Of the instruction: `delist`, `end` or `recover`. Empty: nothing was left to do."""

    signature: str = ""


class Payer(Protocol):
    """The account that pays for jobs, and is their project."""

    @property
    def account(self) -> str:
        """What the journal files its jobs under: an address, or a name."""

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

    async def find(self, intent: Intent) -> Listed | None:
        """Look once for a job whose posting was not answered."""

    async def close(self, job: str, account: JobAccount, run: FoundRun | None) -> Closing:
        """
        Do the one thing that a job in this state asks for.

        Raises:
            ProgramError: Its state has just changed.
        """

    async def jobs(self) -> dict[str, JobAccount]:
        """Return the jobs on chain that belong to nobody else, whoever posted them."""

    async def clean(self) -> Lamports:
        """Fetch the rent of jobs that ended long ago; return what came back."""

    async def sign(self, message: str) -> str:
        """Return a message with the project's signature and the time, as hosts ask for it."""
