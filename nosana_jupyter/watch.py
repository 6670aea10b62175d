"""
Looks after a job while its cell runs, and tells when the cell can no longer end.

The conversation itself cannot tell a lost runner from a lost connection, which it mends: the chain
knows whether the job is open, and the host whether the runner lives.
"""

from __future__ import annotations

import asyncio
import logging
import time

from .errors import HostFailed, NetworkError, NodeError
from .jobs import Job, Jobs
from .node import Node

log = logging.getLogger("nosana_jupyter.watch")

EVERY = 5.0
"""Seconds between looks at the chain."""

GRACE = 1.0
"""Seconds in which the last words of a runner that has ended may still arrive."""

PAUSE = 2.0
"""Seconds before a host that does not answer is asked again."""

ENDED = ("success", "failed", "stopped")
"""States of an operation that runs no more."""

LINES = 20
"""Lines of a runner's log that are shown when it fails."""


async def watch_chain(jobs: Jobs, job: Job) -> None:
    """
    Look at the chain until the job is closed there.

    Raises:
        HostFailed: The job is closed although the cell has not ended.
        NetworkError: The chain cannot be reached any more.
    """
    while True:
        await asyncio.sleep(EVERY)
        if await jobs.is_open(job):
            continue
        passed = time.time() - job.started
        late = passed >= job.intent.timeout
        raise HostFailed(
            f"job {job.address} ended before its cell did, after {int(passed)} s",
            hint="Give it more time with --timeout."
            if late
            else "Run the cell again: another host may take it.",
        )


async def watch_host(host: Node) -> None:
    """
    Follow the host's own account of the job until the runner has ended.

    Raises:
        HostFailed: The runner has ended, though nobody has said goodbye to it.
    """
    while True:
        try:
            async for told in host.info():
                if (state := _ended(told)) is not None:
                    await asyncio.sleep(GRACE)
                    raise HostFailed(await _account(host, state), hint="Run the cell again.")
        except NodeError as error:
            # It may be starting again, with the runner alive beside it: the chain decides.
            log.debug("%s", error)
        await asyncio.sleep(PAUSE)


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
    if isinstance(code := state.get("exitCode"), int):
        text += f" with exit code {code}"
    errors = state.get("errors")
    for each in errors if isinstance(errors, list) else ():
        if isinstance(each, dict) and isinstance(message := each.get("message"), str):
            text += f": {message[:500]}"
    try:
        result = await host.results()
    except NetworkError:
        return text
    lines = _log(result)
    return "\n".join([text, *lines]) if lines else text


def _log(result: dict[str, object]) -> list[str]:
    """Return the last lines that the runner's operation said, whatever their stream."""
    states = result.get("opStates")
    if not isinstance(states, list) or not states or not isinstance(states[0], dict):
        return []
    entries = states[0].get("logs")
    said = [
        str(each.get("log", "")) for each in entries or () if isinstance(each, dict)
    ] if isinstance(entries, list) else []  # fmt: skip
    return "".join(said).splitlines()[-LINES:]
