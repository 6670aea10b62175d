"""
Closing a job, whatever its state: look at the chain, do what that asks for, and look again.

A host acts at the same moment, and an RPC may be behind or lie: so what it says is over is believed
when the transaction that ended it is there as well.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from ..chain.accounts import Job as JobAccount
from ..chain.accounts import JobState
from ..errors import CreditsError, JobError, ProgramError
from . import vault
from .bill import CLOSES
from .receipt import VAULT, Receipt

if TYPE_CHECKING:
    from ..chain.rpc import FoundRun, Rpc
    from .jobs import Job, Jobs

log = logging.getLogger("nosana_jupyter.money.closing")

STRANDED = frozenset({"NotInMarketQueue", "MarketInWrongState"})
"""What the program says, again and again, of a job that is in no queue and that nobody runs."""

ATTEMPTS = 8
"""How often a settlement looks again when a host acts at the same moment."""


class StillOpen(JobError):
    """A job is said to be over, and the chain shows otherwise."""


async def settle(jobs: Jobs, job: Job, *, patience: float) -> Receipt:
    """Close a job, and return its receipt: see `Jobs.settle`."""
    if job.intent.pay == VAULT:
        return await vault.settle(jobs, job)
    deadline, refusal = time.monotonic() + patience, ""
    for attempt in range(ATTEMPTS):
        account = await jobs.rpc.job(job.address)
        try:
            if account is None or account.state == JobState.DONE:
                return await jobs.keep(job, account)
            run = await jobs.rpc.run_of(job.address, at=job.intent.run)
            if run is not None and time.monotonic() < deadline:
                await _wait_for_end(jobs, job, deadline)
                continue
            await _close(jobs, job, account, run)
        except StillOpen as error:
            log.warning("%s", error)
            refusal = f"{error}"
        except ProgramError as error:
            # A host took, finished or quit it at the same moment: look again.
            log.info("job %s changed while it was closed: %s", job.address, error.name)
            refusal = error.name
            await asyncio.sleep(0.1 * attempt)
        except CreditsError as error:
            if error.status not in (400, 409, 422):
                raise
            log.info("job %s changed while it was closed: %s", job.address, error)
            await asyncio.sleep(0.5 * attempt)
    if refusal in STRANDED:
        raise JobError(
            f"job {job.address} neither waits nor runs: the network's own administrators took "
            "its host away, and nobody but they can close it",
            hint=f"Ask Nosana's support to release job {job.address}.",
            money=job.intent.held,
        )
    raise JobError(
        f"job {job.address} could not be closed",
        hint="Try %nosana sweep in a moment.",
        money=job.intent.held,
    )


async def confirm(rpc: Rpc, receipt: Receipt, account: JobAccount | None, held: str) -> None:
    """
    See that a job is over, where no transaction was found that has ended it.

    Args:
        rpc: The chain.
        receipt: What was found.
        account: What was said of the job.
        held: Where its money is if it is not.

    Raises:
        StillOpen: It is not.
        JobError: Nobody can tell.
    """
    if receipt.signatures.keys() & CLOSES:
        return
    again = await rpc.job(receipt.job)
    if (again is None) != (account is None) or (again and again.state != JobState.DONE):
        raise StillOpen(f"job {receipt.job} was said to be over, and is not")
    if again is None:
        raise JobError(
            f"the RPC shows no job {receipt.job}, and nothing that ended it",
            hint="Try %nosana sweep in a moment, or set another RPC: %nosana config rpc --ask",
            money=held,
        )


async def _wait_for_end(jobs: Jobs, job: Job, deadline: float) -> None:
    async for _ in jobs.rpc.changes(job.address, every=0.25):
        account = await jobs.rpc.job(job.address)
        if account is None or account.state != JobState.QUEUED or time.monotonic() > deadline:
            return


async def _close(jobs: Jobs, job: Job, account: JobAccount, run: FoundRun | None) -> None:
    """Do what a job in this state asks for."""
    closing = await jobs.payer.close(job.address, account, run)
    if run is not None:
        job.node = str(run.node)
    if closing.name == "end" and job.status == "done" and not job.begun:
        job.status = "stopped"
    if closing.name:
        job.signatures[closing.name] = closing.signature
    log.info("%s job %s", closing.name, job.address)
