"""
More time for a job that waits or runs.

The program takes the new total, so sending it twice is sending it once; a service adds seconds, and
is asked once. Whether a lost request was done is seen in the timeout of the job, on chain.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from msgspec.structs import replace

from . import budget, markets
from .chain.accounts import JobState
from .errors import CreditsError, FundsError, JobError, NetworkError, NosanaError
from .jobs import Jobs
from .payer import Extended
from .units import MicroNos, Seconds, duration, nos

if TYPE_CHECKING:
    from decimal import Decimal

    from .choosing import Cap

log = logging.getLogger("nosana_jupyter.extending")

PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Pauses between looks at the chain, after an answer was lost."""


async def extend(jobs: Jobs, job: str, seconds: Seconds, *, cap: Cap | None = None) -> Extended:
    """
    Give a job more time.

    Args:
        jobs: Of the account that posted it.
        job: Its address, or the beginning of it.
        seconds: To add.
        cap: The most that the whole job may cost.

    Raises:
        JobError: There is no such job, or it has ended. Nothing was spent.
        FundsError: What the seconds may cost is over the cap, or not there. Nothing was spent.
        NetworkError: Nobody knows whether it was done; says where to look.
    """
    entry = jobs.journal.find(job)
    if entry:
        jobs.check_own(entry)
    address = entry.intent.job if entry else job
    account = None if entry and entry.receipt else await jobs.payer.job(address)
    if account is None or account.state != JobState.QUEUED:
        raise JobError(
            f"{job} is no job that waits or runs: it cannot be extended. Nothing was spent",
            hint="See %nosana jobs.",
        )
    total = account.timeout + seconds
    percent = await markets.fee_percent(jobs.network, str(account.market))
    most = _with_fee(account.price * total, percent)
    if cap is not None and most > cap.amount:
        raise FundsError(
            f"job {address} may then cost {nos(most)} in all, and the cap is {cap.text} "
            f"({cap.source}). Nothing was spent",
            hint=f"Add less. {cap.advice}".strip(),
        )
    cost = _with_fee(account.price * seconds, percent)
    await jobs.payer.check_more(account, seconds, cost)
    budget.shared.take(address, cost)
    intent = entry.intent if entry else jobs.adopt(address, account)
    # The chain has the last word on what an earlier extension did.
    intent = replace(intent, timeout=account.timeout, extending=0)
    jobs.journal.name(address, replace(intent, extending=total))
    try:
        done = await jobs.payer.extend(address, account, seconds, cost)
    except NetworkError as error:
        refused = isinstance(error, CreditsError) and error.refused
        if refused or not await _has_time(jobs, address, total):
            if refused:
                budget.shared.give_back(address, cost)
                jobs.journal.name(address, intent)
            else:
                error.money = _unsure(seconds, total)
            raise
        done = Extended(job=address, timeout=total, seconds=seconds, cost="", signature="")
    except NosanaError:
        budget.shared.give_back(address, cost)
        jobs.journal.name(address, intent)
        raise
    jobs.journal.name(address, replace(intent, timeout=total, usd=intent.usd + done.reserved))
    log.info("job %s has %s s now", address, total)
    return done


def _with_fee(deposit: int, percent: Decimal) -> MicroNos:
    return MicroNos(deposit + int(deposit * percent / 100))


def _unsure(seconds: int, total: int) -> str:
    return (
        f"{duration(seconds)} more may have been paid for: the job then has {duration(total)} in "
        "all. Look at its timeout before you extend it again"
    )


async def _has_time(jobs: Jobs, address: str, total: int) -> bool:
    """Look whether an extension was done whose answer was lost."""
    for pause in PAUSES:
        try:
            account = await jobs.rpc.job(address)
            if account is not None and account.timeout >= total:
                return True
        except NetworkError:
            log.info("cannot look for job %s yet", address)
        await asyncio.sleep(pause)
    return False
