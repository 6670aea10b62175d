"""
The hosts that run beside the local network: each a process with a key and a folder of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from .. import engines, settings
from ..locks import holder
from ..network import Network

log = logging.getLogger("nosana_jupyter.local")


def places(count: int) -> list[Path]:
    """Return the folders of so many hosts: `host`, `host-2`, `host-3` and so on."""
    home = settings.home()
    return [home / ("host" if number == 1 else f"host-{number}") for number in range(1, count + 1)]


def known() -> list[Path]:
    """Return the folders of all hosts that there ever were; the first one's comes first."""
    more = [each for each in settings.home().glob("host-*") if each.name[5:].isdecimal()]
    return [*places(1), *sorted(more, key=lambda each: int(each.name[5:]))]


def recall(memory: Path, network: Network) -> None:
    """
    End hosts that outlived the network they were started for, if that was not where this one is, or
    was of another Python.

    Those of the same one go on with their jobs. Others would ask at the old addresses for minutes.
    """
    try:
        before = msgspec.json.decode(memory.read_bytes(), type=Network)
    except (FileNotFoundError, msgspec.DecodeError):
        before = network
    draft = memory.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(network))
    draft.replace(memory)
    if before == network:
        return
    for place in known():
        pid = holder(place / "lock")
        if pid is not None:
            log.warning("it is another network now: the host of before ends, process %s", pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


async def keep(
    folder: Path, place: Path, trusted: tuple[str, ...], *, executor: str, alone: bool
) -> None:
    """
    Run a host, and run it again when it dies; leave one alone that outlived us.

    Args:
        folder: The network's.
        place: The host's own.
        trusted: Addresses whose jobs it runs without a container.
        executor: What it runs jobs with: `docker` or `process`.
        alone: Whether it is the only one. Of several each takes one job at a time, as real ones do.
    """
    pause = 0.5
    command = [
        sys.executable, "-m", "nosana_jupyter.host", "run",
        "--network", str(folder / "network.json"), "--key", str(place / "key.json"),
        "--all-markets", "--executor", executor, *([] if alone else ["--capacity", "1"]),
    ]  # fmt: skip
    # Containers keep all jobs apart from this machine: they may be anybody's.
    if executor == engines.DOCKER:
        command.append("--trust-anyone")
    else:
        command += [word for each in trusted for word in ("--trust", each)]
    while True:
        if holder(place / "lock") is not None:
            await asyncio.sleep(1)
            continue
        began = asyncio.get_running_loop().time()
        with (place / "log.txt").open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await _end(process)
            raise
        log.warning("the host ended with code %s", code)
        lasted = asyncio.get_running_loop().time() - began
        pause = 0.5 if lasted > 10 else min(pause * 2, 4)
        await asyncio.sleep(pause)


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 8)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
