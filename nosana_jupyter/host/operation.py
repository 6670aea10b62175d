"""
One operation of a job: started or taken up again, listened to, checked, ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from ..errors import RemoteProtocolError
from ..network import Network
from ..wire.definition import Defaults, Run, RunOperation
from . import health, process
from .captures import capture
from .literals import fill
from .logs import Bell, Book, Tail
from .process import Process
from .record import OpState, Record, now
from .tunnel import Names

log = logging.getLogger("nosana_jupyter.host")

TICK = 0.05
"""Seconds between two looks at an operation's output."""

MOST_SAID = 1 << 30
"""Bytes of output after which an operation is ended, so that it does not fill the disk."""

HASTE = 1.0
"""Seconds in place of the usual grace when this host has to go."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """What all operations of one job share."""

    network: Network
    names: Names
    record: Record
    book: Book
    bell: Bell
    """Rings when anything about the job changes."""

    folder: Path
    """Of the job."""

    cache: Path
    """Of the host."""

    save: Callable[[], None]


class Operation:
    """
    One operation of a job.

    Args:
        site: What it shares with the others.
        spec: What the definition says.
        defaults: The definition's own.
        state: What is known of it; changed here.
    """

    def __init__(
        self, site: Site, spec: RunOperation, defaults: Defaults | None, state: OpState
    ) -> None:
        self.spec = spec
        self.state = state
        self.ready = asyncio.Event()
        """Set when others that depend on it may start."""

        self.over = asyncio.Event()
        self.up: dict[int, bool] = {}
        """Whether each checked port answers."""

        self._site = site
        self._defaults = defaults
        self._halt = asyncio.Event()
        self._why = ""
        self._again = False
        self._flooded = False
        if state.over and state.start_time is not None:
            # In an earlier life of this host. What needs it must not wait for what has been.
            self.ready.set()

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def needs(self) -> list[str]:
        """Operations that have to be ready before this one starts."""
        execution = self.spec.execution
        return (execution.depends_on if execution else None) or []

    @property
    def follows(self) -> bool:
        """Whether it stops when one that it needs stops."""
        return bool(self.spec.execution and self.spec.execution.stop_if_dependent_stops)

    def halt(self, why: str, *, again: bool = False) -> None:
        """End it: because the flow ends (`expired`, `stopped`, `shutdown`), or for itself."""
        self._why, self._again = why, again
        self._halt.set()

    async def run(self, known: Mapping[str, Any]) -> None:
        """
        Run to the end.

        Args:
            known: Values of literals.
        """
        while not self.state.over:
            running = await self._begin(known)
            if running is not None:
                await self._attend(running)
            if not self._again:
                break
            self._again, self._why = False, ""
            self._halt.clear()
            self._site.record.started.pop(self.id, None)
            self.state.status, self.state.exit_code = "init", None
        self.over.set()
        self._site.bell.ring()

    def fail(self, event: str, text: str, *, code: int = 2) -> None:
        """Say that it cannot run."""
        state = self.state
        state.status, state.exit_code = "failed", code
        state.end_time = now()
        state.errors.append({"event": event, "message": text})
        self._say("nodeerr", f"{text}\n")
        state.logs = [line.told() for line in self._site.book.of(self.id)]
        log.info("operation %s of job %s fails: %s", self.id, self._site.record.job, text)
        self._site.save()

    async def _begin(self, known: Mapping[str, Any]) -> Process | None:
        """Take it up where it runs already, or start it."""
        record = self._site.record
        started = record.started.get(self.id)
        if started is not None:
            found = Process(started)
            if found.began:
                self.state.status = "running"
                log.info("job %s still runs operation %s", record.job, self.id)
                return found
            found.clean()
        if self._halt.is_set():
            self.state.status = "stopped"
            return None
        try:
            run = msgspec.convert(fill(record.args(self.id), known), Run)
        except (RemoteProtocolError, msgspec.ValidationError) as error:
            # As on a real node: the operation has failed, though nothing ran.
            self.fail("operation-error", str(error), code=0)
            return None
        if missing := process.refuse(run, self._site.network):
            self.fail("container-runtime-error", missing)
            return None
        try:
            started = process.plan(run, self._site.folder, self.id)
        except OSError as error:
            self.fail("container-runtime-error", f"{type(error).__name__}: {error.strerror}")
            return None
        record.started[self.id] = started
        self._site.save()
        try:
            running = process.start(
                run, self._defaults, started, job=record.job, timeout=record.timeout,
                cache=self._site.cache,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            Process(started).clean()
            self.fail("container-runtime-error", f"{type(error).__name__}: {error}")
            return None
        self.state.status, self.state.start_time = "running", now()
        self.state.provider_id = str(running.pid)
        log.info("job %s runs operation %s, process %s", record.job, self.id, running.pid)
        return running

    async def _attend(self, running: Process) -> None:
        """Listen until it ends or has to, then end all of it."""
        self._site.save()
        self._site.bell.ring()
        self._flooded = False
        sides = [asyncio.create_task(self._publish(running))]
        sides += [asyncio.create_task(each) for each in self._checks(running)]
        tails = {kind: Tail(Path(running.started.folder) / kind) for kind in ("stdout", "stderr")}
        try:
            while (code := running.exit_code()) is None and not self._halt.is_set():
                self._read(tails)
                if any(tail.size() > MOST_SAID for tail in tails.values()):
                    self._flooded = True
                    break
                await asyncio.sleep(TICK)
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)
        await running.stop(HASTE if self._why == "shutdown" else process.GRACE)
        for kind, tail in tails.items():
            for texts in tail.drain():
                for text in texts:
                    self._say(kind, text)
                await asyncio.sleep(0)
        for ident in self._idents():
            await self._site.names.remove(ident)
        lines = [(line.kind, line.text) for line in self._site.book.of(self.id)]
        self.state.results = await capture(self.spec.results, lines)
        self._close(running.exit_code(), ended_itself=code is not None)
        await asyncio.to_thread(running.clean)

    def _read(self, tails: Mapping[str, Tail]) -> None:
        for kind, tail in tails.items():
            for text in tail.read():
                self._say(kind, text)

    def _say(self, kind: str, text: str) -> None:
        self._site.book.add(self.id, self.state.group, kind, text)

    def _idents(self) -> dict[str, int]:
        """Return the names of its services and their ports, as written in the definition."""
        mine = [each for each in self._site.record.services if each.operation == self.id]
        return {each.ident: each.port for each in mine}

    async def _publish(self, running: Process) -> None:
        for ident, port in self._idents().items():
            if port in running.started.ports:
                await self._site.names.add(ident, running.started.ports[port])

    def _checks(self, running: Process) -> list[Coroutine[Any, Any, None]]:
        """Return what watches the services; without checks it is ready when it runs."""
        found: list[Coroutine[Any, Any, None]] = []
        self.up = {}
        for service in self.spec.args.services():
            port = service.port
            if not isinstance(port, int) or port not in running.started.ports:
                continue
            for check in service.health_checks or []:
                self.up[port] = False
                tell = partial(self._tell, port)
                found.append(health.watch(check, running.started.ports[port], tell))
        if not found:
            self.ready.set()
        return found

    def _tell(self, port: int, up: bool) -> None:
        self.up[port] = up
        if all(self.up.values()):
            self.ready.set()
        self._site.bell.ring()

    def _close(self, code: int | None, *, ended_itself: bool) -> None:
        state = self.state
        state.end_time, state.exit_code = now(), code
        if ended_itself:
            state.status = "success" if code == 0 else "failed"
        elif self._flooded:
            state.status = "failed"
            text = f"it said more than {MOST_SAID >> 20} MiB"
            state.errors.append({"event": "container-runtime-error", "message": text})
        else:
            state.status = {"expired": "success", "shutdown": "failed"}.get(self._why, "stopped")
        if code == process.LOST and ended_itself:
            state.errors.append(
                {"event": "container-runtime-error", "message": "its process was killed"}
            )
        why = "" if ended_itself else self._why
        state.diagnostics = {
            "reason": {
                "hostShutDown": why == "shutdown",
                "jobStopped": why == "stopped",
                "jobExpired": why == "expired",
            },
            "state": {"Running": False, "OOMKilled": False, "ExitCode": code},
        }
        self.up = dict.fromkeys(self.up, False)
        state.logs = [line.told() for line in self._site.book.of(self.id)]
        self._site.save()
