"""
What nobody follows any more: jobs that are settled, and rent that is fetched.

A kernel may die at any moment, and another machine may have posted with the same wallet. The
journal and the chain together know of every job; each is closed as its state asks for.
"""

from __future__ import annotations

import time

from . import posting
from .chain.accounts import JobState
from .errors import NosanaError
from .jobs import Jobs
from .journal import DETACHED, Entry, Receipt
from .units import Lamports


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
    """
    entries = {
        entry.intent.job: entry
        for entry in jobs.journal.open_jobs(jobs.network.name, jobs.payer.account)
    }
    on_chain = await jobs.payer.jobs()
    receipts = []
    for address, account in on_chain.items():
        known = entries.pop(address, None)
        if known is None and account.state == JobState.DONE:
            continue  # Settled before; only its rent is still there.
        # One that goes on by itself has ended by itself.
        if known and jobs.follows(known) and account.state != JobState.DONE:
            continue
        receipts.append(await jobs.settle(jobs.recall(known or jobs.adopt(address, account))))
    failed: NosanaError | None = None
    for entry in entries.values():
        # A job that goes on by itself would be among those on chain.
        if jobs.follows(entry) and entry.intent.owner != DETACHED:
            continue
        try:
            receipts += await _settle(jobs, entry, unsent_after)
        except NosanaError as error:  # One that cannot be settled keeps none of the others open.
            failed = failed or error
    if failed is not None:
        raise failed
    return receipts


async def _settle(jobs: Jobs, entry: Entry, unsent_after: float | None) -> list[Receipt]:
    """Settle a job that the journal knows, and the list of our jobs on chain does not show."""
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
    return await jobs.payer.clean()
