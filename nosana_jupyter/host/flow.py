"""
One job on this host, from its definition to its result.

What is needed to take it up again after a crash is on disk before it happens: the definition, and
each operation that was started.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from .. import ipfs
from ..errors import NetworkError, RemoteProtocolError
from ..network import Network
from ..wire.definition import Definition, RunOperation, parse
from . import process

log = logging.getLogger("nosana_jupyter.host")

RESULT_WAIT = 60.0
"""Seconds that the result of a confidential job waits for its poster."""

MOST_LOGS = 24_999
"""Most log lines of an operation in its result; the oldest go first."""

TICK = 0.05


class OpState(msgspec.Struct, kw_only=True):
    """An operation, in the words of the node API."""

    operationId: str
    group: str
    status: str = "init"
    providerId: str | None = None
    startTime: int | None = None
    """Unix milliseconds."""

    endTime: int | None = None
    exitCode: int | None = None
    logs: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    diagnostics: dict[str, Any] = {}


class Record(msgspec.Struct, kw_only=True):
    """What is on disk of a flow."""

    job: str
    project: str
    public: str
    """Content id of the public definition, which may be a stub."""

    confidential: bool = False
    definition: Any = None
    status: str = "init"
    started: dict[str, process.Started] = {}
    """Operations that run or ran, by id."""

    states: list[OpState] = []
    begun: int = 0
    ended: int | None = None
    errors: list[Any] = []
    reason: str = ""
    """Why it was stopped: `expired`, `stopped`, `shutdown`; empty if it was not."""

    cid: str = ""
    """Content id of the pinned result."""


class Flow:
    """
    A job that this host works on.

    Args:
        network: Where.
        folder: The host's own; the flow makes one of its own in it.
        record: What is known of it.
        token: Bearer token of the pin service.
    """

    def __init__(self, network: Network, folder: Path, record: Record, *, token: str = "") -> None:
        self.record = record
        self._network = network
        self._token = token
        self._folder = folder / "flows" / record.job
        self._cache = folder / "cache"
        self._delivered = asyncio.Event()
        self._fetched = asyncio.Event()
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.on_ports: Callable[[Flow], None] = lambda _: None
        """Called when the ports of the job are known."""

        self.on_end: Callable[[], None] = lambda: None
        """Called when the result is pinned."""

    @property
    def job(self) -> str:
        return self.record.job

    @property
    def done(self) -> bool:
        """Whether the result is pinned."""
        return bool(self.record.cid)

    @property
    def waiting_for_definition(self) -> bool:
        return self.record.status == "waiting-for-job-definition"

    def start(self) -> None:
        """Begin, or go on after a crash."""
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._task = asyncio.create_task(self._run(), name=f"flow {self.job}")

    def deliver(self, document: Any) -> None:
        """
        Take the real definition from the poster.

        Raises:
            RemoteProtocolError: It is no definition; the flow goes on waiting.
        """
        parse(document)
        self.record.definition = document
        self._save()
        self._delivered.set()

    def fetch(self) -> dict[str, Any]:
        """Return the result to the poster of a confidential job, which lets it be finished."""
        self._fetched.set()
        return self.result()

    def stop(self, reason: str) -> None:
        """End the flow: `expired`, `stopped` by its poster, or `shutdown` of this host."""
        if not self.record.reason:
            self.record.reason = reason
        self._stopped.set()

    async def ended(self) -> None:
        """Wait until the flow has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def detach(self) -> None:
        """Leave the operations running for the next life of this host."""
        if self._task is not None:
            self._task.cancel()

    def forget(self) -> None:
        """Remove everything of this flow from the disk."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def ports(self) -> list[tuple[int, int, int]]:
        """Return position of the operation, exposed port and real port of all services."""
        if self.record.definition is None:
            return []
        found = []
        for index, operation in enumerate(parse(self.record.definition).ops):
            started = self.record.started.get(operation.id)
            if started is not None:
                found += [(index, port, real) for port, real in started.ports.items()]
        return found

    def result(self) -> dict[str, Any]:
        """Return the flow's state as the node API tells it."""
        record = self.record
        for state in record.states:
            self._read_logs(state)
        return {
            "status": record.status,
            "startTime": record.begun,
            "endTime": record.ended,
            "errors": record.errors,
            "secrets": {},
            "opStates": msgspec.to_builtins(record.states),
        }

    def logs(self, state: OpState) -> list[dict[str, Any]]:
        """Return the log lines of an operation so far."""
        self._read_logs(state)
        return state.logs

    async def _run(self) -> None:
        record = self.record
        record.begun = record.begun or _now()
        try:
            definition = await self._definition()
            if definition is not None:
                record.status = "running"
                self._prepare(definition)
                self._save()
                await self._operations(definition)
                record.status = self._verdict()
        except RemoteProtocolError as error:
            record.status = "validation-error"
            record.errors.append(str(error))
        except NetworkError as error:
            record.status = "failed"
            record.errors.append(str(error))
        record.ended = _now()
        await self._publish()
        self._save()
        log.info("job %s ended: %s", self.job, record.status)
        self.on_end()

    async def _definition(self) -> Definition | None:
        """Return what to run; nothing if the flow was stopped before it came."""
        record = self.record
        if record.definition is None:
            document = await ipfs.fetch(self._network, record.public)
            definition = parse(document)
            record.confidential = definition.logistics is not None
            if not record.confidential:
                record.definition = document
                return definition
            record.status = "waiting-for-job-definition"
            self._save()
            await self._either(self._delivered)
            if self._stopped.is_set():
                record.status = "stopped"
                return None
        return parse(record.definition)

    def _prepare(self, definition: Definition) -> None:
        """List the operations, unless an earlier life has done so."""
        if self.record.states:
            return
        for operation in definition.ops:
            execution = operation.execution
            group = execution.group if execution and execution.group else operation.id
            self.record.states.append(OpState(operationId=operation.id, group=group))

    async def _operations(self, definition: Definition) -> None:
        """Run the groups one after another, and the operations of each side by side."""
        groups: dict[str, list[tuple[RunOperation, OpState]]] = {}
        for operation, state in zip(definition.ops, self.record.states, strict=True):
            if isinstance(operation, RunOperation):
                groups.setdefault(state.group, []).append((operation, state))
            else:
                state.status = "success"
        for members in groups.values():
            if self._stopped.is_set():
                for _, state in members:
                    state.status = "stopped" if state.status == "init" else state.status
                continue
            ready = {operation.id: asyncio.Event() for operation, _ in members}
            async with asyncio.TaskGroup() as together:
                for operation, state in members:
                    together.create_task(self._operate(definition, operation, state, ready))

    async def _operate(
        self,
        definition: Definition,
        operation: RunOperation,
        state: OpState,
        ready: dict[str, asyncio.Event],
    ) -> None:
        if state.status not in ("init", "running"):
            ready[operation.id].set()
            return
        needs = (operation.execution.depends_on if operation.execution else None) or []
        for name in needs:
            if name in ready:
                await self._either(ready[name])
        started = self.record.started.get(operation.id)
        if started is None and not self._stopped.is_set():
            started = await self._begin(definition, operation, state)
        ready[operation.id].set()
        if started is None:
            state.status = "stopped" if self._stopped.is_set() else "failed"
            state.endTime = _now()
            return
        self.on_ports(self)
        while (code := process.exit_code(started)) is None and not self._stopped.is_set():
            await asyncio.sleep(TICK)
        await process.stop(started)
        self._close(state, code)

    async def _begin(
        self, definition: Definition, operation: RunOperation, state: OpState
    ) -> process.Started | None:
        try:
            started = await process.start(
                operation.args,
                definition.defaults,
                job=self.job,
                folder=self._folder / f"{operation.id}-{secrets.token_hex(4)}",
                cache=self._cache,
            )
        except OSError as error:
            state.exitCode = 2
            text = f"{type(error).__name__}: {error.strerror}"
            state.errors.append({"event": "container-runtime-error", "message": text})
            return None
        state.status, state.startTime = "running", _now()
        state.providerId = str(started.pid)
        self.record.started[operation.id] = started
        self._save()
        log.info("job %s runs operation %s", self.job, operation.id)
        return started

    def _close(self, state: OpState, code: int | None) -> None:
        reason = self.record.reason
        state.endTime, state.exitCode = _now(), code
        if code is not None:
            state.status = "success" if code == 0 else "failed"
        else:
            state.status = {"expired": "success", "shutdown": "failed"}.get(reason, "stopped")
        state.diagnostics = {
            "reason": {
                "hostShutDown": reason == "shutdown",
                "jobStopped": reason == "stopped",
                "jobExpired": reason == "expired",
            },
            "state": {"Running": False, "OOMKilled": False, "ExitCode": code},
        }
        self._save()

    def _verdict(self) -> str:
        by_reason = {"stopped": "stopped", "shutdown": "failed", "expired": "success"}
        return by_reason.get(self.record.reason, "success")

    async def _publish(self) -> None:
        """Hand the result to the poster, or to everybody; pin what the chain will name."""
        final = self.result()
        if self.record.confidential:
            if self.record.definition is not None and self.record.reason != "shutdown":
                verdict, self.record.status = self.record.status, "waiting-for-result"
                await self._either(self._fetched, most=RESULT_WAIT)
                if not self._fetched.is_set() and not self._stopped.is_set():
                    self.record.errors.append("the results were not fetched in time")
                self.record.status = verdict
            # Nothing of a confidential job becomes public but that it was.
            blank = {"status": self.record.status, "errors": self.record.errors, "opStates": []}
            final = {**blank, "startTime": self.record.begun, "endTime": self.record.ended}
        pause = 0.5
        while True:
            try:
                self.record.cid = await ipfs.pin(self._network, final, token=self._token)
            except NetworkError as error:
                log.warning("the result of job %s cannot be pinned yet: %s", self.job, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 30)
            else:
                return

    async def _either(self, event: asyncio.Event, *, most: float | None = None) -> None:
        """Wait for an event, for the flow to be stopped, or for so many seconds."""
        waits = [asyncio.create_task(each.wait()) for each in (event, self._stopped)]
        await asyncio.wait(waits, timeout=most, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _read_logs(self, state: OpState) -> None:
        started = self.record.started.get(state.operationId)
        if started is None:
            return
        lines = []
        for name in ("stdout", "stderr"):
            path = Path(started.folder) / name
            if not path.exists():
                continue
            moment = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()
            text = path.read_bytes()[-(8 << 20) :].decode(errors="replace")
            lines += [
                {"type": name, "log": line, "timestamp": moment}
                for line in text.splitlines(keepends=True)
            ]
        if lines:
            state.logs = lines[-MOST_LOGS:]

    def _save(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / "record.new"
        draft.touch(mode=0o600)
        draft.write_bytes(msgspec.json.encode(self.record))
        draft.replace(self._folder / "record.json")


def load(folder: Path) -> list[Record]:
    """Return the flows that an earlier life of this host has left."""
    records = []
    for path in sorted((folder / "flows").glob("*/record.json")):
        try:
            records.append(msgspec.json.decode(path.read_bytes(), type=Record))
        except msgspec.DecodeError:
            log.warning("%s is unreadable and left alone", path)
    return records


def _now() -> int:
    return int(time.time() * 1000)
