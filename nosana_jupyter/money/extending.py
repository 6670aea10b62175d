"""
More time for a job that waits or runs.

The program takes the new total, so sending it twice is sending it once; a service adds seconds, and
is asked once. Whether a lost request was done is seen in the timeout of the job, on chain.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..chain.accounts import JobState
from ..errors import CreditsError, FundsError, JobError, NetworkError, NosanaError, ProgramError
from ..market import listing, rates
from ..units import MicroNos, Seconds, duration, nos
from . import budget
from .jobs import Jobs
from .payer import Extended

if TYPE_CHECKING:
    from decimal import Decimal

    from ..market.choosing import Cap
    from ..settings import Settings

log = logging.getLogger("nosana_jupyter.money.extending")

PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Pauses between looks at the chain, after an answer was lost."""


async def extend(
    jobs: Jobs,
    job: str,
    seconds: Seconds,
    *,
    cap: Cap | None = None,
    chosen: Settings | None = None,
) -> Extended:
    """
    Give a job more time.

    Args:
        jobs: Of the account that posted it.
        job: Its address, or the beginning of it.
        seconds: To add.
        cap: The most that the whole job may cost.
        chosen: The settings that hold for the job's notebook, where that is not this process's.

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
    percent = await listing.fee_percent(jobs.network, str(account.market))
    most = _with_fee(account.price * total, percent)
    if cap is not None and most > cap.amount:
        raise FundsError(
            f"job {address} may then cost {nos(most)} in all, and the cap is {cap.text} "
            f"({cap.source}). Nothing was spent",
            hint=f"Add less. {cap.advice}".strip(),
        )
    cost = _with_fee(account.price * seconds, percent)
    await jobs.payer.check_more(account, seconds, cost)
    intent = entry.intent if entry else jobs.adopt(address, account)
    # The chain has the last word on what an earlier extension did.
    intent = replace(intent, timeout=account.timeout, extending=0)
    rate = await rates.current(jobs.network)
    credit = None
    if intent.pay == "credits":  # Its service says only afterwards what it has set aside.
        credit = -(-intent.usd * seconds // intent.timeout) if intent.timeout else 0
    with budget.shared.taken(
        address, cost, jobs.journal, network=jobs.network.name, rate=rate, credit=credit,
        chosen=chosen, notebook=intent.notebook if chosen is not None else "",
    ):  # fmt: skip
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
    except NosanaError as error:
        # What a node says of a program is not believed before the job is looked at, once.
        if not (isinstance(error, ProgramError) and await _has_time(jobs, address, total, (0.0,))):
            budget.shared.give_back(address, cost)
            jobs.journal.name(address, intent)
            raise
        done = Extended(job=address, timeout=total, seconds=seconds, cost="", signature="")
    fee = MicroNos(intent.fee + cost - account.price * seconds)
    intent = replace(intent, timeout=total, fee=fee, usd=intent.usd + done.reserved)
    jobs.journal.name(address, intent)
    log.info("job %s has %s s now", address, total)
    return done


def _with_fee(deposit: int, percent: Decimal) -> MicroNos:
    return MicroNos(deposit + int(deposit * percent / 100))


def _unsure(seconds: int, total: int) -> str:
    return (
        f"{duration(seconds)} more may have been paid for: the job then has {duration(total)} in "
        "all. Look at its timeout before you extend it again"
    )


async def _has_time(jobs: Jobs, address: str, total: int, pauses: Sequence[float] = PAUSES) -> bool:
    """Look whether an extension was done whose answer was lost, or is not believed."""
    for pause in pauses:
        try:
            account = await jobs.rpc.job(address)
            if account is not None and account.timeout >= total:
                return True
        except NetworkError:
            log.info("cannot look for job %s yet", address)
        await asyncio.sleep(pause)
    return False
