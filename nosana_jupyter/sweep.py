"""
What nobody follows any more: jobs that are settled, and rent that is fetched.

A kernel may die at any moment, and another machine may have posted with the same wallet. The
journal and the chain together know of every job; each is closed as its state asks for.
"""

from __future__ import annotations

import time

from .chain.accounts import JobState
from .jobs import Jobs
from .journal import Receipt
from .units import Lamports

UNSENT_AFTER = 90
"""Seconds after which a transaction that is not on chain can no longer land."""


async def sweep(jobs: Jobs, *, unsent_after: float = UNSENT_AFTER) -> list[Receipt]:
    """
    Find and settle everything this wallet left behind, in the journal and on chain.

    What a living process follows, here or in another kernel, is left alone.

    Args:
        jobs: Of the wallet.
        unsent_after: Seconds after which an intent that is not on chain counts as never sent.

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
        if known and jobs.follows(known):
            continue
        intent = known.intent if known else jobs.adopt(address, account)
        receipts.append(await jobs.settle(jobs.recall(intent, known.created if known else None)))
    for entry in entries.values():
        job = jobs.recall(entry.intent, entry.created)
        if jobs.follows(entry):
            continue
        if await jobs.rpc.signatures_of(job.address):
            receipts.append(await jobs.keep(job, None))
        elif time.time() - entry.created > unsent_after:
            jobs.journal.mark(job.address, "unsent")
    return receipts


async def clean(jobs: Jobs) -> Lamports:
    """
    Close the accounts of jobs that ended long enough ago; return the rent that came back.

    A market says how long its jobs are kept, mostly a day.
    """
    return await jobs.payer.clean()
