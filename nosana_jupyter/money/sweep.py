"""
What nobody follows any more: jobs that are settled, and rent that is fetched.

A kernel may die at any moment, and another machine may have posted with the same wallet. The
journal and the chain together know of every job; each is closed as its state asks for.
"""

from __future__ import annotations

import time

from ..chain.accounts import Job as JobAccount
from ..chain.accounts import JobState
from ..errors import NosanaError
from ..units import Lamports
from . import posting, vault
from .jobs import Jobs
from .journal import DETACHED, Entry, Receipt

MOST_TOLD = 5
"""Open jobs that an error tells of one by one."""


async def sweep(jobs: Jobs, *, unsent_after: float | None = None) -> list[Receipt]:
    """
    Find and settle everything this wallet left behind, in the journal and on chain.

    What a living process follows, here or in another kernel, is left alone, and so is what goes on
    by itself while its time runs.

    Args:
        jobs: Of the wallet.
        unsent_after: Seconds after which an intent that is not on chain counts as never sent; by
            default as long as whoever posts may still do so.

    Returns:
        Receipts of what was closed. Intents too young to be judged are left for later.

    Raises:
        NosanaError: Something could not be settled; says where its money is.
    """
    try:
        return await _all(jobs, unsent_after)
    except NosanaError as error:
        error.money = error.money or _held(jobs)
        raise


def _held(jobs: Jobs) -> str:
    """Say where the money of open jobs is."""
    entries = jobs.journal.open_jobs(jobs.network.name, jobs.payer.account)
    if len(entries) < 2:
        return entries[0].intent.held if entries else ""
    each = "; ".join(f"{entry.intent.held} for {entry.intent.job}" for entry in entries[:MOST_TOLD])
    more = f"; and {len(entries) - MOST_TOLD} more" if len(entries) > MOST_TOLD else ""
    return f"{len(entries)} jobs are open: {each}{more}"


async def _all(jobs: Jobs, unsent_after: float | None) -> list[Receipt]:
    entries = {
        entry.intent.job: entry
        for entry in jobs.journal.open_jobs(jobs.network.name, jobs.payer.account)
    }
    on_chain = await jobs.payer.jobs()
    receipts: list[Receipt] = []
    failed: NosanaError | None = None
    for address, account in on_chain.items():
        # What has come since we looked is another kernel's.
        known = entries.pop(address, None) or jobs.journal.find(address)
        try:
            receipts += await _settle_found(jobs, address, account, known)
        except NosanaError as error:  # One that cannot be settled keeps none of the others open.
            failed = failed or error
    for entry in entries.values():
        # A job that goes on by itself would be among those on chain.
        if jobs.follows(entry) and entry.intent.owner != DETACHED:
            continue
        try:
            receipts += await settle(jobs, entry, unsent_after=unsent_after)
        except NosanaError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return receipts


async def _settle_found(
    jobs: Jobs, address: str, account: JobAccount, known: Entry | None
) -> list[Receipt]:
    """Settle a job that is on chain, unless somebody follows it or it is over."""
    if known and known.is_open:
        # One that goes on by itself has ended by itself.
        if jobs.follows(known) and account.state != JobState.DONE:
            return []
        return [await jobs.settle(jobs.recall(known))]
    if account.state == JobState.DONE:
        return []  # Settled before; only its rent is still there.
    if known:
        # The journal has it as settled or as never sent: that is so, or was a lie.
        now = await jobs.rpc.job(address)
        if now is None or now.state == JobState.DONE:
            return []
    return [await jobs.settle(jobs.recall(jobs.adopt(address, account)))]


async def settle(jobs: Jobs, entry: Entry, *, unsent_after: float | None = None) -> list[Receipt]:
    """Settle one job that the journal knows, without a look at all jobs on chain."""
    known: Entry | None = entry
    if entry.intent.is_pending:
        known = await posting.found(jobs.payer, jobs.journal, entry)
    elif await jobs.rpc.job(entry.intent.job) is None:
        known = entry if await jobs.rpc.signatures_of(entry.intent.job) else None
    if known is not None:
        return [await jobs.settle(jobs.recall(known))]
    late = jobs.payer.late if unsent_after is None else unsent_after
    if time.time() - entry.created > late:
        jobs.journal.mark(entry.intent.job, "unsent")
    return []


async def clean(jobs: Jobs) -> Lamports:
    """
    Close the accounts of jobs that ended long enough ago; return the rent that came back.

    A market says how long its jobs are kept, mostly a day.
    """
    if jobs.payer.name == "credits":
        return await jobs.payer.clean()
    return Lamports(await jobs.payer.clean() + await vault.clean(jobs))
