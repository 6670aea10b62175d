"""
Looks after a job while its cell runs, and tells when the cell can no longer end.

The conversation itself cannot tell a lost runner from a lost connection, which it mends: the chain
knows whether the job is open, and the host whether the runner lives. As long as they say so, or our
own line is cut and neither can be asked, the runner is sought.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from ..chain.accounts import JobState
from ..errors import CellTimeout, HostFailed, JobError, NetworkError, NodeError, NosanaError
from ..line.link import Link
from ..money.jobs import Job, Jobs
from ..node import Node
from ..units import duration
from . import verdict

log = logging.getLogger("nosana_jupyter.rent.watch")

EVERY = 5.0
"""Seconds between looks at the chain."""

DEAF = 4 * EVERY
"""Seconds without a word of the chain after which our own line is taken to be cut."""

GRACE = 1.0
"""Seconds in which the last words of a runner that has ended may still arrive."""

PAUSE = 2.0
"""Seconds before a host that does not answer is asked again."""

SLACK = 1.0
"""Seconds by which our clock may be behind that of the chain, which counts whole ones."""

AGAIN = "Run the cell again: another host may take it."

RESULTS = 5.0
"""Seconds for which a host whose runner has ended is asked for the whole of it."""


class Watch:
    """
    What host and chain say of a job that runs.

    Args:
        host: That has it.
    """

    def __init__(self, host: Node) -> None:
        self._host = host
        self._link: Link | None = None
        self._chain_heard = time.monotonic()
        self.listening = False
        """Whether the host tells of the job at this moment."""

    def guide(self, link: Link) -> None:
        """
        Let a link know whether there is hope while it is down, and why when there is none.

        From now on what ends the job is told to who talks on the link, after all that has come.
        """
        self._link = link
        link.patience.hopes = self.hope

    def chain_answers(self) -> None:
        """Note that the chain has just said that the job is open."""
        self._chain_heard = time.monotonic()

    def hope(self) -> str:
        """Say why the runner may live; nothing if its host alone is silent."""
        now = time.monotonic()
        if self.listening or now - self._host.heard < PAUSE:
            return "its host says that it runs, trying again"
        if now - self._chain_heard > DEAF:
            return "the chain does not answer either, trying again until this machine is online"
        return ""

    async def ending(self, watch: Coroutine[Any, Any, None]) -> None:
        """Look after the job until it is over; tell who is to hear of it."""
        try:
            await watch
        except NosanaError as error:
            if self._link is None:
                raise
            await self._link.lose(error)


@asynccontextmanager
async def watching(host: Node, jobs: Jobs, job: Job) -> AsyncIterator[Watch]:
    """Let a block run as long as neither chain nor host say that the job is over."""
    watch = Watch(host)
    async with asyncio.TaskGroup() as group:
        watches = [
            group.create_task(watch.ending(watch_chain(jobs, job, watch.chain_answers))),
            group.create_task(watch.ending(watch_host(host, jobs, job, watch))),
        ]
        yield watch
        for each in watches:
            each.cancel()


async def watch_chain(jobs: Jobs, job: Job, answered: Callable[[], None] = lambda: None) -> None:
    """
    Look at the chain until the job is closed there; note each time that it answers.

    Raises:
        JobError: The job is closed although the cell has not ended: its time is over, or somebody
            stopped it.
        HostFailed: The host gave the job up, or closed it by itself.
    """
    while True:
        await asyncio.sleep(EVERY)
        try:
            if not await jobs.is_open(job):
                raise await _closed(jobs, job)
            answered()
        except NetworkError as error:
            # The cell needs no chain while it runs.
            log.info("cannot look after job %s: %s", job.address, error)


async def watch_host(host: Node, jobs: Jobs, job: Job, watch: Watch) -> None:
    """
    Follow the host's own account of the job until the runner has ended.

    Raises:
        JobError: The job's time is over, somebody stopped it, or no host could run it.
        HostFailed: The runner has ended, though nobody has said goodbye to it.
    """
    while True:
        try:
            async for told in host.info():
                watch.listening = True
                if (end := verdict.ended(told, began=job.begun)) is not None:
                    await asyncio.sleep(GRACE)
                    raise await _ended(host, jobs, job, end)
        except NodeError as error:
            # It may be starting again, with the runner alive beside it: the chain decides.
            log.debug("%s", error)
        watch.listening = False
        await asyncio.sleep(PAUSE)


async def collect(host: Node, *, within: float) -> dict[str, Any]:
    """
    Fetch the result of a confidential job: a host keeps it for a minute, and then only the blank.

    Reading it lets the host finish at once. Nothing comes back where there is none any more.
    """
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            async with asyncio.timeout(within):
                return await host.results()
        except NetworkError as error:
            if not isinstance(error, NodeError) or error.status != 400:
                break  # It is over already, or will be ended by us.
        except TimeoutError:
            break
        await asyncio.sleep(0.05)
    return {}


async def _ended(host: Node, jobs: Jobs, job: Job, end: verdict.End) -> JobError:
    """Return what to raise for a runner that has ended, with all that the host says of it."""
    result = await collect(host, within=RESULTS)
    if result.get("opStates"):  # Too late it is a blank.
        end = verdict.ended(result, began=job.begun) or end
    if end.expired or await _is_late(jobs, job):
        return _out_of_time(job)
    if end.stopped:
        return _stopped(job)
    if waited := verdict.lapsed(verdict.log(result)):
        return HostFailed(
            f"its runner heard nothing of this machine for {waited}, and ended the job",
            hint="How long a runner waits is a setting: %nosana config lease 10m",
        )
    # A host may have written its error into the log as well.
    said = [each for each in verdict.log(result) if each.strip() not in end.text]
    text = "\n".join([end.text, *said])
    hint = end.hint or ("" if job.begun else AGAIN)
    if end.imageless:
        hint = f"{hint} {jobs.network.imageless}".strip()
    return JobError(text, hint=hint) if end.hopeless else HostFailed(text, hint=hint)


async def _closed(jobs: Jobs, job: Job) -> JobError:
    """Return what to raise for a job that is closed on chain, by whoever closed it."""
    found = await jobs.rpc.job(job.address)
    if found is not None and found.state == JobState.STOPPED:
        return HostFailed(f"host {job.node} gave the job up", hint=AGAIN)
    if await _is_late(jobs, job):
        return _out_of_time(job)
    try:
        steps = await jobs.rpc.history(job.address, owner=jobs.payer.account)
    except NetworkError as error:
        log.info("cannot look who closed job %s: %s", job.address, error)
        return _stopped(job)
    names = {step.name for step in steps}
    if "finish" in names and not names & {"end", "delist"}:
        return HostFailed(f"host {job.node} closed the job before its cell had ended", hint=AGAIN)
    return _stopped(job)


def _out_of_time(job: Job) -> CellTimeout:
    job.status = "timeout"
    longer = duration(2 * job.intent.timeout).replace(" ", "")
    what = "the cell ran out of its" if job.begun else "the runner did not start within the cell's"
    return CellTimeout(
        f"{what} {duration(job.intent.timeout)}",
        hint=f"Give it more with --timeout, as in --timeout {longer}.",
    )


def _stopped(job: Job) -> JobError:
    job.status = "stopped"
    return JobError(
        f"job {job.address} was stopped before its cell had ended",
        hint="Somebody with this wallet stopped or swept it. Run the cell again.",
    )


async def _is_late(jobs: Jobs, job: Job) -> bool:
    """Say whether the chain has the job's time as used up; not every host says why it ended it."""
    try:
        found = await jobs.rpc.job(job.address)
        if found is None:
            return False
        if found.state == JobState.DONE:
            return found.time_end - found.time_start >= found.timeout
        run = await jobs.rpc.run_of(job.address, at=job.intent.run)
    except NetworkError as error:
        log.info("cannot look how long job %s ran: %s", job.address, error)
        return False
    return run is not None and time.time() >= run.time + found.timeout - SLACK
