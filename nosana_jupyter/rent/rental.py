"""
A job that lasts as long as a block of code: posted before it, settled after it, whatever happens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from ..errors import NosanaError, TakenOver
from ..events import Event, Posted, Said, Settled, Waiting
from ..line.control import Control
from ..market.markets import Quote
from ..money.jobs import Job, Jobs
from ..wire.messages import Stream

log = logging.getLogger("nosana_jupyter.rent.rental")

T = TypeVar("T")

SETTLING = "settling the job: waiting for the chain"

FINISH = 5.0
"""Seconds that a host has for closing a job whose cell has ended; then the client ends it."""


@asynccontextmanager
async def rent(
    jobs: Jobs,
    quote: Quote,
    cid: str,
    *,
    title: str,
    emit: Callable[[Event], None],
    control: Control,
) -> AsyncIterator[Job]:
    """
    Post a job, and settle it whatever happens inside.

    Leaving is the one place where money comes back: a job that runs is ended, one that waits is
    delisted, and a cancelled cell waits for it.

    Args:
        jobs: Of the wallet that pays.
        quote: Market and timeout.
        cid: Content id of the public definition.
        title: First line of the cell, for lists.
        emit: Takes `Posted` and `Settled`.
        control: Tells an interrupt from a failure.

    Raises:
        NosanaError: What was raised inside, with where the money is.
        CancelledError: The user gave the cell up; the job is settled all the same.
    """
    # A cancellation must not fall between the transaction and the knowledge of it.
    job, cancelled = await _uncancelled(jobs.post(quote, cid, cell=title))
    async with settling(jobs, job, emit=emit, control=control):
        emit(Posted(job.address, quote.deposit, job.intent.held))
        if cancelled:
            raise asyncio.CancelledError
        yield job


@asynccontextmanager
async def settling(
    jobs: Jobs, job: Job, *, emit: Callable[[Event], None], control: Control
) -> AsyncIterator[None]:
    """
    Settle a job when the block ends, unless it is released or another client has taken it over.

    Args:
        jobs: Of the wallet that pays.
        job: What was posted.
        emit: Takes `Settled`.
        control: Tells an interrupt from a failure.

    Raises:
        NosanaError: What was raised inside, with where the money is.
        CancelledError: The user gave it up; the job is settled all the same.
    """
    jobs.followed.add(job.address)
    try:
        yield
    except BaseException as error:
        failure = _unwrapped(error)
        if isinstance(failure, TakenOver):
            job.released = True
        if not job.released:
            if control.interrupted:
                job.status = "interrupted"
            elif job.status not in ("timeout", "stopped"):
                job.status = "failed"
            money = await _settle_failed(jobs, job, emit)
            if isinstance(failure, NosanaError):
                failure.money, failure.receipt = money, job.receipt
        if failure is error:
            raise
        raise failure from None
    finally:
        jobs.followed.discard(job.address)
    if job.released:
        return
    emit(Waiting(SETTLING))
    try:
        receipt, cancelled = await _uncancelled(jobs.settle(job, patience=FINISH))
    except NosanaError as error:
        # The cell has ended well: what it gave is not to be lost with the line to the chain.
        receipt, cancelled = jobs.unsettled(job), False
        if receipt.is_open:
            story = f"The job could not be settled: {error}.\n{receipt.story}.\n"
            emit(Said(Stream("stderr", story)))
    _tell_unwritten(job, emit)
    emit(Settled(receipt))
    if cancelled:
        raise asyncio.CancelledError


async def _settle_failed(jobs: Jobs, job: Job, emit: Callable[[Event], None]) -> str:
    """Settle after an error, and say where the money is."""
    emit(Waiting(SETTLING))
    try:
        receipt, _ = await _uncancelled(jobs.settle(job))
    except NosanaError as error:
        log.warning("job %s is not settled: %s", job.address, error)
        receipt = jobs.unsettled(job)
    _tell_unwritten(job, emit)
    emit(Settled(receipt))
    return receipt.story


def _tell_unwritten(job: Job, emit: Callable[[Event], None]) -> None:
    """Say so where the journal does not know how a job has ended."""
    if job.unwritten:
        text = f"{job.unwritten}\nWhen that is so, %nosana sweep writes down what the job cost.\n"
        emit(Said(Stream("stderr", text)))


async def _uncancelled(work: Coroutine[Any, Any, T]) -> tuple[T, bool]:
    """Let work end whoever cancels the task that waits for it; say whether somebody did."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    return task.result(), cancelled


def _unwrapped(error: BaseException) -> BaseException:
    """Return the one error that a group holds."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) >= 1:
        error = error.exceptions[0]
    return error
