"""
Looks after a job while its cell runs, and tells when the cell can no longer end.

The conversation itself cannot tell a lost runner from a lost connection, which it mends: the chain
knows whether the job is open, and the host whether the runner lives.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time

from .chain.accounts import JobState
from .errors import HostFailed, JobError, NetworkError, NodeError
from .jobs import Job, Jobs
from .node import Node
from .units import duration

log = logging.getLogger("nosana_jupyter.watch")

EVERY = 5.0
"""Seconds between looks at the chain."""

GRACE = 1.0
"""Seconds in which the last words of a runner that has ended may still arrive."""

PAUSE = 2.0
"""Seconds before a host that does not answer is asked again."""

SLACK = 1.0
"""Seconds by which our clock may be behind that of the chain, which counts whole ones."""

ENDED = ("success", "failed", "stopped")
"""States of an operation that runs no more."""

LINES = 20
"""Lines of a runner's log that are shown when it fails."""

LINE = 500
"""Characters of one of them, or of an error, that are shown."""

ERRORS = 5
"""Errors of a runner that are shown."""

NOISE = (
    "nosana_jupyter/", "/IPython/core/", "/asyncio/", "/threading.py", "<frozen runpy>",
    "Extension modules:",
)  # fmt: skip
"""What marks a line of such a log as being about the runner itself."""


async def watch_chain(jobs: Jobs, job: Job) -> None:
    """
    Look at the chain until the job is closed there.

    Raises:
        JobError: The job is closed although the cell has not ended: its time is over, or somebody
            stopped it.
        NetworkError: The chain cannot be reached any more.
    """
    while True:
        await asyncio.sleep(EVERY)
        if await jobs.is_open(job):
            continue
        if await _is_late(jobs, job):
            raise _out_of_time(job)
        raise _stopped(job)


async def watch_host(host: Node, jobs: Jobs, job: Job) -> None:
    """
    Follow the host's own account of the job until the runner has ended.

    Raises:
        JobError: The job's time is over, or somebody stopped it.
        HostFailed: The runner has ended, though nobody has said goodbye to it.
    """
    while True:
        try:
            async for told in host.info():
                if (state := _ended(told)) is not None:
                    await asyncio.sleep(GRACE)
                    if _was(state, "jobExpired") or await _is_late(jobs, job):
                        raise _out_of_time(job)
                    if _was(state, "jobStopped"):
                        raise _stopped(job)
                    raise HostFailed(await _account(host, state), hint=_hint(_signal(state)))
        except NodeError as error:
            # It may be starting again, with the runner alive beside it: the chain decides.
            log.debug("%s", error)
        await asyncio.sleep(PAUSE)


def _out_of_time(job: Job) -> JobError:
    job.status = "timeout"
    longer = duration(2 * job.intent.timeout).replace(" ", "")
    return JobError(
        f"the cell ran out of its {duration(job.intent.timeout)}",
        hint=f"Give it more with --timeout, as in --timeout {longer}.",
    )


def _stopped(job: Job) -> JobError:
    job.status = "stopped"
    return JobError(
        f"job {job.address} was stopped before its cell had ended",
        hint="Somebody with this wallet stopped or swept it, or its host left. Run the cell again.",
    )


def _was(state: dict[str, object], why: str) -> bool:
    """Say whether the host gives a certain reason for ending the runner."""
    diagnostics = state.get("diagnostics")
    reason = diagnostics.get("reason") if isinstance(diagnostics, dict) else None
    return isinstance(reason, dict) and reason.get(why) is True


async def _is_late(jobs: Jobs, job: Job) -> bool:
    """Say whether the chain has the job's time as used up; not every host says why it ended it."""
    try:
        account = await jobs.rpc.job(job.address)
        if account is None:
            return False
        if account.state == JobState.DONE:
            return account.time_end - account.time_start >= account.timeout
        run = await jobs.rpc.run_of(job.address)
    except NetworkError as error:
        log.info("cannot look how long job %s ran: %s", job.address, error)
        return False
    return run is not None and time.time() >= run.time + account.timeout - SLACK


def _ended(told: dict[str, object]) -> dict[str, object] | None:
    """Return the state of the runner's operation, if it has ended."""
    states = told.get("opStates")
    if not isinstance(states, list) or not states or not isinstance(states[0], dict):
        return None
    state: dict[str, object] = states[0]
    return state if state.get("status") in ENDED else None


async def _account(host: Node, state: dict[str, object]) -> str:
    """Say how the runner ended, with the end of its log."""
    text = f"the runner of job {host.job} ended"
    if number := _signal(state):
        text = f"the cell brought its Python down ({number.name})"
    elif isinstance(code := state.get("exitCode"), int):
        text += f" with exit code {code}"
    errors = state.get("errors")
    for each in errors[:ERRORS] if isinstance(errors, list) else ():
        if isinstance(each, dict) and isinstance(message := each.get("message"), str):
            text += f": {message[:LINE]}"
    try:
        result = await host.results()
    except NetworkError:
        return text
    return "\n".join([text, *_log(result)])


def _signal(state: dict[str, object]) -> signal.Signals | None:
    """Return the signal that ended the runner, if one did."""
    code = state.get("exitCode")
    try:
        # A shell, and an engine for containers, say 128 and the number.
        return signal.Signals(code - 128) if isinstance(code, int) and code > 128 else None
    except ValueError:
        return None


def _hint(number: signal.Signals | None) -> str:
    if number is None:
        return "Run the cell again."
    if number == signal.SIGKILL:
        return "Its memory may have run out: send less, or work in pieces."
    return "Native code crashed, not Python: look at the last frames, and at what they call."


def _log(result: dict[str, object]) -> list[str]:
    """Return the last lines that the runner's operation said, whatever their stream."""
    states = result.get("opStates")
    if not isinstance(states, list) or not states or not isinstance(states[0], dict):
        return []
    entries = states[0].get("logs")
    if not isinstance(entries, list):
        return []
    said = "".join(str(each.get("log", "")) for each in entries if isinstance(each, dict))
    # Frames of the runner and of IPython are below every cell, and say nothing about it.
    lines = [line for line in said.splitlines() if not any(each in line for each in NOISE)]
    return [line[:LINE] for line in lines[-LINES:]]
