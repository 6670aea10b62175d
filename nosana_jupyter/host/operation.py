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
from typing import Any, TypeVar

import msgspec

from ..errors import RemoteProtocolError
from ..wire.definition import Defaults, Run, RunOperation
from . import health, order
from .captures import capture
from .executor import GRACE, Executor, Outcome, Running, Task, Unstartable
from .literals import fill
from .logs import SYSTEM, Bell, Book
from .record import OpState, Record, now
from .tunnel import Names

log = logging.getLogger("nosana_jupyter.host")

TICK = 0.05
"""Seconds between two looks at an operation's output."""

MOST_SAID = 1 << 30
"""Bytes of output after which an operation is ended, so that it does not fill the disk."""

HASTE = 1.0
"""Seconds in place of the usual grace when this host has to go."""


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Site:
    """What all operations of one job share."""

    executor: Executor
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
        index: Its place in the definition, counting every operation.
    """

    def __init__(
        self,
        site: Site,
        spec: RunOperation,
        defaults: Defaults | None,
        state: OpState,
        *,
        index: int,
    ) -> None:
        self.spec = spec
        self.index = index
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

    def fail(self, event: str, text: str, *, code: int = 2, status: int = 0) -> None:
        """Say that it cannot run; `status` is that of the HTTP answer that says so, if any."""
        state = self.state
        state.status, state.exit_code = "failed", code
        state.end_time = now()
        error = {"event": event, "message": text}
        state.errors.append({**error, "code": status} if status else error)
        self._say("nodeerr", f"{text}\n")
        state.logs = [line.told() for line in self._site.book.of(self.id)]
        log.info("operation %s of job %s fails: %s", self.id, self._site.record.job, text)
        self._site.save()

    async def _begin(self, known: Mapping[str, Any]) -> Running | None:
        """Take it up where it runs already, or start it."""
        record, executor = self._site.record, self._site.executor
        if (started := record.started.get(self.id)) is not None:
            try:
                found = await executor.resume(started)
            except Unstartable as error:
                self.fail(error.event, str(error), code=error.code, status=error.status)
                return None
            if found is not None:
                record.started[self.id] = found.started
                self.state.status = "running"
                log.info("job %s still runs operation %s", record.job, self.id)
                return found
        if self._halt.is_set():
            self.state.status = "stopped"
            return None
        try:
            task = self._task(known)
        except (RemoteProtocolError, msgspec.ValidationError) as error:
            # As on a real node: the operation has failed, though nothing ran.
            self.fail("operation-error", str(error), code=0)
            return None
        if missing := executor.refuse(task):
            self.fail("container-runtime-error", missing)
            return None
        try:
            planned = record.started[self.id] = executor.plan(task)
            self._site.save()
            running = await self._unless_halted(executor.start(task, planned, self._show))
        except Unstartable as error:
            self.fail(error.event, str(error), code=error.code, status=error.status)
            return None
        if running is None:
            return None
        record.started[self.id] = running.started
        self.state.status, self.state.start_time = "running", now()
        self.state.provider_id = running.ident
        log.info("job %s runs operation %s as %s", record.job, self.id, running.ident)
        return running

    def _task(self, known: Mapping[str, Any]) -> Task:
        record = self._site.record
        run = msgspec.convert(fill(record.args(self.id), known), Run)
        order.check_run(self.id, run)
        return Task(
            run=run, defaults=self._defaults, job=record.job,
            project=record.project, operation=self.id, index=self.index, timeout=record.timeout,
            folder=self._site.folder, cache=self._site.cache,
        )  # fmt: skip

    async def _unless_halted(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do what may take long, as pulling an image; nothing comes of it if the flow ends."""
        starting = asyncio.ensure_future(work)
        halted = asyncio.ensure_future(self._halt.wait())
        try:
            await asyncio.wait([starting, halted], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                return starting.result()
            self._close(None, ended_itself=False)
            self.state.status = "stopped"
            return None
        finally:
            for task in (starting, halted):
                task.cancel()
            await asyncio.gather(starting, halted, return_exceptions=True)

    async def _attend(self, running: Running) -> None:
        """Listen until it ends or has to, then end all of it."""
        self._site.save()
        self._site.bell.ring()
        self._flooded = False
        sides = [asyncio.create_task(self._publish(running))]
        sides += [asyncio.create_task(each) for each in self._checks(running)]
        try:
            while (outcome := running.outcome()) is None and not self._halt.is_set():
                self._read(running)
                if running.said > MOST_SAID:
                    self._flooded = True
                    break
                await asyncio.sleep(TICK)
        except asyncio.CancelledError:
            running.leave()
            raise
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)
        await running.stop(HASTE if self._why == "shutdown" else GRACE)
        for said in running.drain():
            for kind, text in said:
                self._say(kind, text)
            await asyncio.sleep(0)
        for ident in self._idents():
            await self._site.names.remove(ident)
        lines = [(line.kind, line.text) for line in self._site.book.of(self.id)]
        self.state.results = await capture(self.spec.results, lines)
        self._close(running.outcome(), ended_itself=outcome is not None)
        await running.clean()

    def _read(self, running: Running) -> None:
        for kind, text in running.read():
            self._say(kind, text)

    def _show(self, kind: str, event: dict[str, Any]) -> None:
        """Say how far a pull or a download is, as a real node does."""
        self._site.book.show(SYSTEM, self.state.group, kind, event)

    def _say(self, kind: str, text: str) -> None:
        self._site.book.add(self.id, self.state.group, kind, text)

    def _idents(self) -> dict[str, int]:
        """Return the names of its services and their ports, as written in the definition."""
        mine = [each for each in self._site.record.services if each.operation == self.id]
        return {each.ident: each.port for each in mine}

    async def _publish(self, running: Running) -> None:
        for ident, port in self._idents().items():
            if port in running.started.ports:
                await self._site.names.add(ident, running.started.ports[port])

    def _checks(self, running: Running) -> list[Coroutine[Any, Any, None]]:
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

    def _close(self, outcome: Outcome | None, *, ended_itself: bool) -> None:
        state = self.state
        code = outcome.code if outcome else None
        state.end_time, state.exit_code = now(), code
        if ended_itself:
            state.status = "success" if code == 0 else "failed"
        elif self._flooded:
            state.status = "failed"
            self._blame(f"it said more than {MOST_SAID >> 20} MiB")
        else:
            state.status = {"expired": "success", "shutdown": "failed"}.get(self._why, "stopped")
        if outcome and outcome.error and ended_itself:
            self._blame(outcome.error)
        elif outcome and outcome.starved:
            # It went on without it: no error of the operation, and yet what one wants to know.
            self._say("nodeerr", "a process in it was killed (out of memory)\n")
        why = "" if ended_itself else self._why
        state.diagnostics = {
            "reason": {
                "hostShutDown": why == "shutdown",
                "jobStopped": why == "stopped",
                "jobExpired": why == "expired",
            },
            "state": {
                **(outcome.details if outcome else {}),
                "Running": False,
                "OOMKilled": bool(outcome and outcome.starved),
                "ExitCode": code,
            },
        }
        self.up = dict.fromkeys(self.up, False)
        state.logs = [line.told() for line in self._site.book.of(self.id)]
        self._site.save()

    def _blame(self, text: str) -> None:
        """Note an error of an operation that ran, for the result and for who reads its output."""
        self.state.errors.append({"event": "container-runtime-error", "message": text})
        self._say("nodeerr", f"{text}\n")
