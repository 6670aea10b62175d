"""
What a host runs operations with, in words that hold for containers and for plain processes.

An operation is planned, written down, and only then started: whoever finds the record of a host
that died finds all that it had begun.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ..errors import NodeError
from ..wire.definition import Defaults, Run

GRACE = 3.0
"""Seconds between asking an operation to end and ending it."""

KILLED = 137
"""Exit code of what was killed."""


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """An operation, as it is written down before it runs."""

    folder: str
    """What the host itself keeps of it."""

    work: str = ""
    """Where a process has its current, home and temporary folders, each a folder of its own."""

    ports: dict[int, int]
    """Exposed ports, and where on this machine they really are."""

    container: str = ""
    """Name of its container."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """An operation that is to run."""

    run: Run
    """With its literals filled in."""

    defaults: Defaults | None
    """The definition's own."""

    job: str
    project: str
    operation: str
    index: int
    """Its place in the definition, counting every operation."""

    timeout: int
    """Seconds that the job may take."""

    folder: Path
    """Of the job, on the disk of the host."""

    cache: Path
    """Of the host."""

    @property
    def gpu(self) -> bool:
        """Whether it asks for cards."""
        return bool(self.run.gpu or (self.defaults and self.defaults.gpu))

    @property
    def command(self) -> list[str] | None:
        """What is run; nothing where that is left to the image."""
        if self.run.cmd is None:
            return None
        return ["/bin/sh", "-c", self.run.cmd] if isinstance(self.run.cmd, str) else self.run.cmd

    @property
    def entrypoint(self) -> list[str] | None:
        """What runs the command; nothing where that is left to the image."""
        entry = self.run.entrypoint or (self.defaults.entrypoint if self.defaults else None)
        return [entry] if isinstance(entry, str) else entry

    @property
    def work_dir(self) -> str:
        return self.run.work_dir or (self.defaults.work_dir if self.defaults else None) or ""

    @property
    def environment(self) -> dict[str, str]:
        """Variables that the definition gives it."""
        return {**((self.defaults.env or {}) if self.defaults else {}), **(self.run.env or {})}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an operation ended."""

    code: int
    starved: bool = False
    """Whether it, or a process in it, was killed for want of memory."""

    error: str = ""
    """What there is to say beside the code."""

    details: dict[str, Any] = field(default_factory=dict)
    """More of its last state, in Docker's words, as results have it."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What an operation takes of the machine, now."""

    processor: float
    """In percent of one core."""

    memory: int
    """Bytes."""

    most: int
    """Bytes that it may have."""

    read: int = 0
    written: int = 0
    received: int = 0
    sent: int = 0
    """Bytes since it began, on disk and network."""


class Unstartable(NodeError):
    """
    An operation cannot be started.

    Args:
        event: What failed, in the words of a result: `image-pull-error`, `resource-error`,
            `container-runtime-error`.
        text: Why, in a sentence.
        status: HTTP status of who refused; 0 where none did.
        code: Exit code of the operation.
    """

    def __init__(self, event: str, text: str, *, status: int = 0, code: int = 2) -> None:
        super().__init__(text, status=status)
        self.event = event
        self.code = code


class Running(Protocol):
    """An operation that was started, by this host or by an earlier life of it."""

    @property
    def started(self) -> Started: ...

    @property
    def ident(self) -> str:
        """Number of the process or id of the container."""

    @property
    def said(self) -> int:
        """Bytes of output so far."""

    def read(self) -> list[tuple[str, str]]:
        """Return what it has said since the last look: `stdout` or `stderr`, and texts."""

    def drain(self) -> Iterator[list[tuple[str, str]]]:
        """Yield the rest of what it has said, once it has ended."""

    def outcome(self) -> Outcome | None:
        """Return how it ended; nothing while it runs."""

    async def stop(self, grace: float = GRACE) -> None:
        """End it and everything it has started, by force after a grace."""

    async def clean(self) -> None:
        """Remove what it leaves."""

    def leave(self) -> None:
        """Listen no more; it goes on for the next life of this host."""


Tell = Callable[[str, dict[str, Any]], None]
"""Says how far a slow thing is: a kind, as in `process-bar-update`, and the event in question."""


class Executor(Protocol):
    """What starts operations."""

    def __str__(self) -> str:
        """Return what jobs run in, as `plain processes`."""

    def refuse(self, task: Task) -> str:
        """Say why an operation cannot run here; empty if it can."""

    def plan(self, task: Task) -> Started:
        """Choose names and ports for an operation, before it is started."""

    async def start(self, task: Task, started: Started, tell: Tell) -> Running:
        """
        Start an operation. Whoever cancels this finds nothing of it left.

        Raises:
            Unstartable: As it says.
        """

    async def resume(self, started: Started) -> Running | None:
        """Take up what was written down; nothing if it never began, and then nothing is left."""

    def hostname(self, job: str, index: int) -> str:
        """Return where other operations of the job find one."""

    async def create_volume(self, job: str, name: str) -> None:
        """
        Make a volume that the operations of one job share.

        Raises:
            Unstartable: As it says.
        """

    async def release(self, job: str, left: Collection[Started]) -> None:
        """End and remove what is left of a job: operations, volumes, its network."""

    async def end_strays(self, known: Collection[str], folders: Sequence[Path]) -> None:
        """
        End what an earlier life of this host has left running without a word that can be read.

        Args:
            known: Jobs of which something is known.
            folders: Those of the others.
        """

    async def sample(self, started: Started) -> Sample | None:
        """Measure an operation; nothing if it does not run."""

    async def holdings(self) -> dict[str, list[str]]:
        """Return the `images` that are here for anybody, and all `volumes`."""

    async def close(self) -> None:
        """Let go of everything; what runs goes on."""
