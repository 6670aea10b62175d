"""
The hosts that run beside the local network: each a process with a key and a folder of its own.

There is one, until somebody asks for more, as who compares the results of several.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from .. import engines, settings
from ..locks import holder
from ..network import Network
from .guard import Guarded

log = logging.getLogger("nosana_jupyter.local")

TRUST = "trusted"
"""File, in the folder of a network, of the vaults whose jobs its hosts run as their owner's."""

MORE = 4
"""Most hosts that are there for the asking: each is a process."""


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


class Hosts:
    """
    The hosts of one network.

    Args:
        folder: The network's.
        executor: What they run jobs with: `docker` or `process`.
        found: Takes the places of new ones, and gives each a key, money and a stake.
        trusted: Addresses whose jobs they run without a container.
    """

    def __init__(
        self,
        folder: Path,
        executor: str,
        found: Callable[[Sequence[Path]], None],
        trusted: tuple[str, ...],
    ) -> None:
        self._folder = folder
        self._executor = executor
        self._found = found
        self._trusted = trusted
        self._kept: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def grow(self, count: int) -> None:
        """Run so many, if there are fewer."""
        new = places(count)[len(self._kept) :]
        self._found(new)
        for place in new:
            work = keep(
                self._folder, place, self._trusted, executor=self._executor, alone=count == 1
            )
            self._kept.append(asyncio.create_task(work))

    async def close(self) -> None:
        """End them."""
        for each in self._kept:
            each.cancel()
        await asyncio.gather(*self._kept, return_exceptions=True)


class More(Guarded):
    """`POST /hosts {hosts}`: so many are to be there; answers how many there are."""

    def initialize(self, hosts: Hosts) -> None:
        self.hosts = hosts

    def post(self) -> None:
        """Start what lacks."""
        try:
            count = json.loads(self.request.body)["hosts"]
        except (ValueError, KeyError, TypeError, RecursionError):
            self.fail(400, "the body is {hosts}: how many there are to be")
        if type(count) is not int or not 0 < count <= MORE:
            self.fail(400, f"hosts is a whole number up to {MORE}")
        self.hosts.grow(count)
        self.finish({"hosts": len(self.hosts)})


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
        command += ["--trust-file", str(folder / TRUST)]
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
