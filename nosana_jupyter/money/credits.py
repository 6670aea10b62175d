"""
Credits of a Nosana account: the payer for whom a service posts, with a key of its own.

Only the answer to a posting tells the job's address. So that a lost answer can be found again, the
public stub of each job is one of a kind: the chain keeps its hash, and nobody else has it.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import time
import uuid
from typing import TYPE_CHECKING, Any

from ..chain.accounts import Job as JobAccount
from ..chain.accounts import JobState
from ..errors import FundsError, JobError, NetworkError
from ..ipfs import cid_of, cid_to_hash, compact
from ..units import Lamports, MicroNos, MicroUsd, usd
from ..wire import definition
from .journal import PENDING
from .payer import Closing, Extended, Holdings, Listed, Ticket
from .prepaid import PLACE, Account

if TYPE_CHECKING:
    from ..chain.rpc import FoundRun, Rpc
    from ..market.markets import Quote
    from .journal import Intent

log = logging.getLogger("nosana_jupyter.money.credits")

ACCOUNT = "credits"
"""What the journal files jobs under that credits pay for."""

SEEN_WITHIN = 30.0
"""Seconds in which the chain, as we see it, has to show what the service says it did."""

COMMON = cid_of(compact(definition.STUB))
"""The stub that others use as well: it does not tell whose job it is."""

EVERY = 0.25
"""Seconds between two looks at the chain."""


class Credits:
    """
    An account that pays with credits; the service's own key is the project of its jobs.

    Args:
        rpc: The chain.
        account: The account.
    """

    def __init__(self, rpc: Rpc, account: Account) -> None:
        self.rpc = rpc
        self.service = account

    name = "credits"
    account = ACCOUNT
    late = 600.0

    async def holdings(self) -> Holdings:
        """Return the credits that are free."""
        return Holdings(credits=(await self.service.balance()).available)

    async def priced(self, quote: Quote) -> Quote:
        """Add nothing: the service pays rent and fees."""
        return quote

    async def check(self, quote: Quote) -> None:
        """See that the credits cover what the service will set aside."""
        held = await self.service.balance()
        if held.available < quote.usd:
            raise FundsError(
                f"posting sets {usd(quote.usd)} of credits aside, the account has "
                f"{usd(held.available)} free of {usd(held.assigned)}: "
                f"{usd(MicroUsd(quote.usd - held.available))} are missing. Nothing was spent",
                hint=f"Lower the timeout with `--timeout`, or add credits: {PLACE}",
            )

    def stub(self) -> dict[str, Any]:
        """Return a public stub of a confidential job that nobody else has."""
        stub = copy.deepcopy(definition.STUB)
        stub["meta"]["nonce"] = uuid.uuid4().hex
        return stub

    def cache_key(self, node: str) -> str:
        """Return what only this account and this host know: all accounts have one project."""
        return self.service.secret_for(f"cache at {node}")

    def ticket(self) -> Ticket:
        """Return a name of our own: the service makes the keys."""
        return Ticket(job=f"{PENDING}{uuid.uuid4()}", run="")

    async def post(self, ticket: Ticket, intent: Intent, cid: str) -> Listed:
        """Ask the service to post."""
        posted = await self.service.post(
            cid=cid, market=intent.market, timeout=intent.timeout,
            once=ticket.job.removeprefix(PENDING),
        )  # fmt: skip
        return Listed(
            job=posted.job,
            run=posted.run,
            signature=posted.tx,
            payer=posted.credits.project,
            reserved=posted.credits.amount or intent.usd,
        )

    def unsure(self, intent: Intent) -> str:
        """Say where credits are that may be set aside."""
        return (
            f"{intent.most} are set aside if the service posted the job all the same: %nosana "
            f"sweep finds it on chain by its stub {intent.cid}, and {PLACE} lists it"
        )

    async def find(self, intent: Intent) -> Listed | None:
        """Look for a job by the hash of its stub."""
        if intent.cid in ("", COMMON):
            return None
        found = await self.rpc.jobs_with(cid_to_hash(intent.cid))
        for address, account in found.items():
            signatures = await self.rpc.signatures_of(address)
            return Listed(
                job=address,
                run="",
                signature=signatures[0] if signatures else "",
                payer=str(account.payer),
                reserved=intent.usd,
            )
        return None

    async def check_more(self, account: JobAccount, seconds: int, cost: MicroNos) -> None:
        """Leave it to the service, which knows what it takes."""

    async def extend(
        self,
        job: str,
        account: JobAccount,
        seconds: int,
        cost: MicroNos,  # noqa: ARG002 - the service says what it takes
    ) -> Extended:
        """Ask the service to add seconds, and wait until the chain shows them."""
        done = await self.service.extend(job, seconds, once=str(uuid.uuid4()))
        if done.tx is None:
            raise JobError(
                f"job {job} has ended, and cannot be extended. Nothing was spent",
                hint="Run the cell again.",
            )
        total = account.timeout + seconds
        deadline = time.monotonic() + SEEN_WITHIN
        while (now := await self.rpc.job(job)) is not None and now.timeout < total:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(EVERY)
        reserved = done.credits.amount if done.credits else MicroUsd(0)
        return Extended(
            job=job,
            timeout=total,
            seconds=seconds,
            cost=f"{usd(reserved)} of credits",
            signature=done.tx,
            reserved=reserved,
        )

    async def close(
        self,
        job: str,
        account: JobAccount,
        run: FoundRun | None,
    ) -> Closing:
        """Ask the service to stop the job, and wait until the chain shows it."""
        stopped = await self.service.stop(job)
        name = "delist" if stopped.delisted else "end"
        if account.state == JobState.STOPPED and run is None:
            name = "recover"
        deadline = time.monotonic() + SEEN_WITHIN
        while (now := await self.rpc.job(job)) is not None and now.state != JobState.DONE:
            if time.monotonic() > deadline:
                raise JobError(
                    f"the service says that job {job} is stopped, and the chain does not show it",
                    hint="Try %nosana sweep in a moment.",
                )
            await asyncio.sleep(EVERY)
        return Closing(name=name, signature=stopped.tx or "")

    async def seen(self, job: str) -> bool:
        """Wait until the chain, as we see it, shows a job that the service posted."""
        deadline = time.monotonic() + SEEN_WITHIN
        while time.monotonic() < deadline:
            try:
                if await self.rpc.job(job) is not None:
                    return True
            except NetworkError as error:
                log.info("cannot look for job %s yet: %s", job, error)
            await asyncio.sleep(EVERY)
        return False

    async def job(self, address: str) -> JobAccount | None:
        """Return any job: the service knows whose it is, and refuses to stop those of others."""
        try:
            return await self.rpc.job(address)
        except ValueError:
            return None  # It is no address.

    async def jobs(self) -> dict[str, JobAccount]:
        """Return nothing: the account's other jobs may be deployments that somebody looks after."""
        return {}

    async def clean(self) -> Lamports:
        """Do nothing: the service paid the rent."""
        return Lamports(0)

    async def sign(self, message: str) -> str:
        """Let the service sign."""
        return await self.service.sign(message)
