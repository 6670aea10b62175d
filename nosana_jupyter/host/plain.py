"""
Operations as plain subprocesses of this machine: the executor without containers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from ..network import Network
from . import kept, process
from .executor import GRACE, Outcome, Sample, Started, Task, Tell, Unstartable
from .logs import Tail
from .process import Process
from .usage import sample

log = logging.getLogger("nosana_jupyter.host")


class RunningProcess:
    """
    An operation as a process, with the files it writes to.

    Args:
        process: It.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._tails = {
            kind: Tail(Path(self.started.folder) / kind) for kind in ("stdout", "stderr")
        }

    @property
    def started(self) -> Started:
        return self._process.started

    @property
    def ident(self) -> str:
        return str(self._process.pid)

    @property
    def said(self) -> int:
        return max(tail.size() for tail in self._tails.values())

    def read(self) -> list[tuple[str, str]]:
        """Return what it has said since the last look."""
        return [(kind, text) for kind, tail in self._tails.items() for text in tail.read()]

    def drain(self) -> Iterator[list[tuple[str, str]]]:
        """Yield the rest of what it has said."""
        for kind, tail in self._tails.items():
            for texts in tail.drain():
                yield [(kind, text) for text in texts]

    def outcome(self) -> Outcome | None:
        """Return how it ended; nothing while it runs."""
        code = self._process.exit_code()
        if code is None:
            return None
        return Outcome(code=code, error="its process was killed" if code == process.LOST else "")

    async def stop(self, grace: float = GRACE) -> None:
        """End it and everything it has started."""
        await self._process.stop(grace)

    async def clean(self) -> None:
        """Remove its folders."""
        await asyncio.to_thread(self._process.clean)

    def leave(self) -> None:
        """Leave it alone: it writes to files."""


class Plain:
    """
    Runs operations as subprocesses.

    Args:
        network: Whose jobs; it has to be this machine's own.
        keep: Bytes that may be kept for later jobs.
    """

    def __init__(self, network: Network, *, keep: int | None = None) -> None:
        process.refuse_strangers(network)
        self._network = network
        self._keep = keep
        self._cache: Path | None = None
        self._using: set[str] = set()
        """Folders of jobs that run: who is trusted here shares one cache."""

        self._lock = asyncio.Lock()
        """No job begins while what it may want is removed."""

    def __str__(self) -> str:
        return "plain processes"

    def refuse(self, task: Task) -> str:
        """Say what of an operation needs containers; empty if nothing does."""
        run = msgspec.structs.replace(task.run, gpu=task.gpu)
        return process.refuse(run, self._network)

    def plan(self, task: Task) -> Started:
        """Choose folders and ports."""
        try:
            return process.plan(task.run, task.folder, task.operation)
        except OSError as error:
            raise _unstartable(error) from None

    async def start(self, task: Task, started: Started, tell: Tell) -> RunningProcess:  # noqa: ARG002 - nothing here is slow
        """Start an operation."""
        async with self._lock:
            self._using.add(_job(started))
            self._cache = task.cache
        try:
            running = process.start(
                task.run, task.defaults, started, job=task.job, timeout=task.timeout,
                cache=task.cache, keep=self._most(task.cache),
            )  # fmt: skip
        except (OSError, ValueError) as error:
            Process(started).clean()
            raise _unstartable(error) from None
        return RunningProcess(running)

    async def resume(self, started: Started) -> RunningProcess | None:
        """Take up what was written down; nothing if it never began."""
        found = Process(started)
        if found.began:
            self._using.add(_job(started))
            return RunningProcess(found)
        found.clean()
        return None

    def hostname(self, job: str, index: int) -> str:  # noqa: ARG002 - all are at one place
        """Return where operations find each other: all share this machine."""
        return "127.0.0.1"

    async def create_volume(self, job: str, name: str) -> None:  # noqa: ARG002 - there are none
        """Refuse: there are no volumes."""
        raise Unstartable("container-runtime-error", "volumes need containers")

    async def release(self, job: str, left: Collection[Started]) -> None:  # noqa: ARG002
        """End and clean what is left of a job."""
        for started in left:
            if Path(started.folder).exists():
                found = Process(started)
                await found.stop()
                found.clean()
        async with self._lock:
            self._using.difference_update(map(_job, left))
            if (cache := self._cache) is not None and not self._using:
                await asyncio.to_thread(kept.shrink, cache, self._most(cache))

    def _most(self, cache: Path) -> int:
        return kept.most(cache) if self._keep is None else self._keep

    async def end_strays(self, known: Collection[str], folders: Sequence[Path]) -> None:  # noqa: ARG002
        """End what runs in folders of which nothing is known."""
        for folder in folders:
            for stray in process.strays(folder):
                log.warning("ending process %s, of which nothing else is known", stray.pid)
                await stray.stop()
                stray.clean()

    async def sample(self, started: Started) -> Sample | None:
        """Measure an operation and its children."""
        pid = Process(started).pid
        return None if pid is None else await asyncio.to_thread(sample, pid)

    async def holdings(self) -> dict[str, list[str]]:
        """Return nothing: without containers there are neither images nor volumes."""
        return {"images": [], "volumes": []}

    async def close(self) -> None:
        """Do nothing: what runs has been left to itself from the beginning."""


def _job(started: Started) -> str:
    """Return the folder of an operation's job."""
    return str(Path(started.folder).parent)


def _unstartable(error: OSError | ValueError) -> Unstartable:
    text = getattr(error, "strerror", None) or str(error)
    return Unstartable("container-runtime-error", f"{type(error).__name__}: {text}")
