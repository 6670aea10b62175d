"""
What nobody follows any more: jobs that are settled, and rent that is fetched.

A kernel may die at any moment, and another machine may have posted with the same wallet. The
journal and the chain together know of every job; each is closed as its state asks for.
"""

from __future__ import annotations

import time

from .chain import instructions
from .chain.accounts import JobState
from .jobs import Jobs
from .journal import Receipt
from .units import Lamports

UNSENT_AFTER = 90
"""Seconds after which a transaction that is not on chain can no longer land."""

RENT_OF_JOB = Lamports(2_561_280)
"""What the account of a job holds while it exists, and returns to its payer."""

CLEANED_AT_ONCE = 10
"""Job accounts closed in one transaction."""

CLOCKS = 60
"""Seconds by which the chain's clock may be behind ours."""


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
        for entry in jobs.journal.open_jobs(jobs.network.name, jobs.wallet.address)
    }
    on_chain = await jobs.rpc.jobs_of(jobs.wallet.address)
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
    paid_here = {
        address: account
        for address, account in (await jobs.rpc.jobs_of(jobs.wallet.address)).items()
        if account.state == JobState.DONE and account.payer == jobs.wallet.pubkey
    }
    markets = await jobs.rpc.markets(list({str(each.market) for each in paid_here.values()}))
    now = time.time() - CLOCKS
    expired = [
        instructions.clean(jobs.network.programs, job=address, market=each.market, payer=each.payer)
        for address, each in paid_here.items()
        if (market := markets.get(str(each.market))) and market.job_expiration < now - each.time_end
    ]
    for start in range(0, len(expired), CLEANED_AT_ONCE):
        await jobs.rpc.send(expired[start : start + CLEANED_AT_ONCE], jobs.wallet)
    return Lamports(len(expired) * RENT_OF_JOB)
