"""
Waiting in a market's queue until a host takes a job.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import msgspec

from ..chain.accounts import Job as JobAccount
from ..chain.accounts import JobState, Market, Run
from ..chain.addresses import key
from ..chain.rpc import FoundRun, decoded, found_run
from ..database import JournalError
from ..errors import HostFailed, JobError, NetworkError, NoHost
from ..money.jobs import Job, Jobs
from ..units import MicroNos, duration, nos

log = logging.getLogger("nosana_jupyter.rent.waiting")

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
        JobError: The job is gone from the chain, or holds more than was quoted.
    """
    deadline = time.monotonic() + at_most
    said = ""
    # A job's own account does not change when a host takes it; the market's queue does.
    async for _ in jobs.rpc.changes(job.intent.market, every=EVERY):
        try:
            run, text = await _look(jobs, job)
            if run is not None:
                return _taken(jobs, job, run)
        except NetworkError as error:
            # The queue goes on without us.
            log.info("cannot look for a host of job %s: %s", job.address, error)
            chain = f"the chain of {jobs.network.name}"
            text = f"waiting for a host of {job.intent.slug}: {chain} does not answer"
        if text != said:
            tell(text)
            said = text
        if time.monotonic() > deadline:
            break
    offer = job.quote.relaxed if job.quote else ""
    raise NoHost(
        f"no host of {job.intent.slug} took the job within {duration(at_most)}",
        hint=(
            f"{offer[0].upper()}{offer[1:]}: see %nosana markets."
            if offer
            else "See %nosana markets for who has free hosts, or wait longer: "
            f"%nosana config wait {duration(3 * at_most).replace(' ', '')}."
        ),
    )


def _taken(jobs: Jobs, job: Job, run: FoundRun) -> str:
    """Write down that a host has a job, and where its run is: who asks later need not search."""
    job.node = str(run.node)
    try:
        entry = jobs.journal.find(job.address)
        if entry is not None and entry.intent.run != str(run.address):
            job.intent = msgspec.structs.replace(entry.intent, run=str(run.address))
            jobs.journal.name(job.address, job.intent)
        jobs.journal.mark(job.address, "running")
    except JournalError as error:  # Its intent is there, and that is enough.
        log.warning("%s", error)
    return job.node


async def _look(jobs: Jobs, job: Job) -> tuple[FoundRun | None, str]:
    """Return the run of a job; or nothing, and in words what it waits for."""
    # Where a host was waiting, posting itself made the run, at an address of our choice.
    place = job.intent.run or job.address
    run, data, market = await jobs.rpc.accounts([place, job.address, job.intent.market])
    account = decoded(JobAccount, data) if data else None
    if account is not None:
        _check_deposit(job, account)
    if run and run[:8] == Run.DISCRIMINATOR:
        return found_run(key(place), run), ""
    queue = [str(key) for key in decoded(Market, market).queue] if market else None
    # Whose job is in the queue has no host yet: a search for one is long work for a node.
    if not (queue and job.address in queue) and (found := await jobs.rpc.run_of(job.address)):
        return found, ""
    state = account.state if account else None
    if state == JobState.STOPPED:
        raise HostFailed(f"a host took job {job.address} and gave it up at once", hint=AGAIN)
    if state != JobState.QUEUED:
        raise JobError(f"job {job.address} ended before a host began it")
    return None, _in_words(job, queue, own=_own(jobs, job))


def _check_deposit(job: Job, account: JobAccount) -> None:
    """
    See that no more was deposited than was quoted: the program takes the market's price of then.

    Raises:
        JobError: There was. The caller settles.
    """
    asked, deposit = job.intent.price * job.intent.timeout, account.price * account.timeout
    if job.quote is not None and account.timeout == job.intent.timeout and deposit > asked:
        raise JobError(
            f"{nos(MicroNos(deposit))} were deposited for job {job.address}, and "
            f"{nos(MicroNos(asked))} quoted: the price of {job.intent.slug} has risen since, or "
            "the RPC told another",
            hint="Run it again for a quote of now. If that repeats, set another RPC: "
            "%nosana config rpc --ask",
        )


def _own(jobs: Jobs, job: Job) -> int:
    """Return how many other jobs of this wallet keep hosts of the market."""
    # A host that stands in for other cards serves all markets at once.
    everywhere = bool(jobs.network.stand_in)
    entries = jobs.journal.open_jobs(jobs.network.name, jobs.payer.account)
    return sum(
        each.state == "running"
        and (everywhere or each.intent.market == job.intent.market)
        and each.intent.job != job.address
        for each in entries
    )


def _in_words(job: Job, queue: Sequence[str] | None, *, own: int) -> str:
    where = f"waiting for a host of {job.intent.slug}"
    if queue is None or job.address not in queue:
        return where if queue is None else f"{where}: one is taking the job"
    ahead = queue.index(job.address)
    place = ("next in line", "1 job ahead")[ahead] if ahead < 2 else f"{ahead} jobs ahead"
    offer = f"; {job.quote.relaxed}" if job.quote and job.quote.relaxed else ""
    kept = "1 runs a job" if own == 1 else f"{own} run jobs"
    yours = f"; {kept} of yours, see %nosana jobs" if own else ""
    return f"{where}: none is free, {place}{yours}{offer}"
