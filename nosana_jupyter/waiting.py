"""
Waiting in a market's queue until a host takes a job.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from .chain.accounts import Job as JobAccount
from .chain.accounts import JobState, Market, Run
from .errors import HostFailed, JobError, NetworkError, NoHost
from .jobs import Job, Jobs
from .units import duration

log = logging.getLogger("nosana_jupyter.waiting")

AGAIN = "Run the cell again: another host may take it."

EVERY = 1.0
"""Most seconds between two looks at the market."""


async def wait_for_host(
    jobs: Jobs, job: Job, *, at_most: float, tell: Callable[[str], None]
) -> str:
    """
    Wait until a host has taken a job; return its address.

    Args:
        jobs: Of the wallet that posted it.
        job: What was posted.
        at_most: Seconds to wait.
        tell: Called with what is being waited for, in words, when it changes.

    Raises:
        NoHost: Nobody came. The caller settles; the deposit comes back.
        HostFailed: One came, and gave the job up at once.
        JobError: The job is gone from the chain.
    """
    deadline = time.monotonic() + at_most
    said = ""
    # A job's own account does not change when a host takes it; the market's queue does.
    async for _ in jobs.rpc.changes(job.intent.market, every=EVERY):
        try:
            if node := await _node(jobs, job):
                job.node = node
                jobs.journal.mark(job.address, "running")
                return node
            text = await _look(jobs, job)
        except NetworkError as error:
            # The queue goes on without us.
            log.info("cannot look for a host of job %s: %s", job.address, error)
            text = f"waiting for the chain of {jobs.network.name} to answer"
        if text != said:
            tell(text)
            said = text
        if time.monotonic() > deadline:
            break
    raise NoHost(
        f"no host of {job.intent.slug} took the job within {duration(at_most)}",
        hint="Ask for less (`--vram`, `--gpu`), or see %nosana markets for who has free hosts.",
    )


async def _look(jobs: Jobs, job: Job) -> str:
    """Say in words what a job waits for."""
    data, market = await jobs.rpc.accounts([job.address, job.intent.market])
    state = JobAccount.decode(data).state if data else None
    if state == JobState.STOPPED:
        raise HostFailed(f"a host took job {job.address} and gave it up at once", hint=AGAIN)
    if state != JobState.QUEUED:
        raise JobError(f"job {job.address} ended before a host began it")
    return _in_words(job, Market.decode(market) if market else None)


async def _node(jobs: Jobs, job: Job) -> str:
    """Return who works on a job; nothing if nobody does."""
    # Where a host was waiting, posting itself made the run, at an address of our choice.
    data = await jobs.rpc.account(job.intent.run) if job.intent.run else None
    if data and data[:8] == Run.DISCRIMINATOR:
        return str(Run.decode(data).node)
    found = await jobs.rpc.run_of(job.address)
    return str(found.node) if found else ""


def _in_words(job: Job, market: Market | None) -> str:
    where = f"a host of {job.intent.slug}"
    queue = [str(key) for key in market.queue] if market else []
    if job.address not in queue:
        return f"{where} is taking the job" if market else f"waiting for {where}"
    ahead = queue.index(job.address)
    place = ("next in line", "1 job ahead")[ahead] if ahead < 2 else f"{ahead} jobs ahead"
    return f"waiting for {where}: none is free, {place}"
