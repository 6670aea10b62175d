"""
One job on this host, from its definition to its result.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import string
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .. import ipfs
from ..chain.wallet import Wallet
from ..errors import NetworkError, RemoteProtocolError
from ..network import Network
from ..wire.definition import Definition, RunOperation, VolumeOperation
from . import delivery, order
from .executor import Executor, Unstartable
from .logs import MOST_TOLD, Bell, Book
from .operation import Operation, Site
from .record import COLLECTING, WAITING, OpState, Record, Shelf, now
from .tunnel import Names
from .unfetched import Unfetched

log = logging.getLogger("nosana_jupyter.host")

PATIENCE = {"": 60.0, "expired": 60.0, "stopped": 5.0, "shutdown": 0.0}
"""Seconds that a result waits for its poster, by why the flow was stopped."""

VERDICTS = {"": "success", "expired": "success", "stopped": "stopped", "shutdown": "failed"}
"""Status of a flow by why it was stopped. A failed operation does not show in it, as elsewhere."""

_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, kw_only=True)
class Host:
    """What all flows of one host share."""

    network: Network
    wallet: Wallet
    names: Names
    executor: Executor
    folder: Path
    shelf: Shelf
    unfetched: Unfetched
    patience: float
    """Seconds that a job waits for its definition."""

    wake: Callable[[], None]
    """Called when a flow has something for the agent to do."""


class Flow:
    """
    A job that this host works on.

    Args:
        host: Where.
        record: What is known of it.
    """

    def __init__(self, host: Host, record: Record) -> None:
        self.record = record
        self.book = Book()
        self.bell = Bell()
        """Rings when anything changes that the node API tells."""

        self.operations: list[Operation] = []
        self._host = host
        self._definition: Definition | None = None
        self._fetched = False
        self._urgent = ""
        self._broken = self._forsaken = False
        self._task: asyncio.Task[None] | None = None

    @property
    def job(self) -> str:
        return self.record.job

    @property
    def works(self) -> bool:
        """Whether it takes up room: not while its result only waits."""
        return self.record.ended is None

    @property
    def done(self) -> bool:
        """Whether the result is pinned."""
        return bool(self.record.cid)

    @property
    def broken(self) -> bool:
        """Whether it fell to an error of our own."""
        return self._broken

    @property
    def forsaken(self) -> bool:
        """Whether nobody has brought its definition for too long."""
        return self._forsaken and self.record.definition is None

    @property
    def urgent(self) -> str:
        """Why it was last told to stop, if it was."""
        return self._urgent

    def start(self) -> None:
        """Begin, or go on after a crash."""
        (self._host.folder / "cache").mkdir(mode=0o700, parents=True, exist_ok=True)
        for state in self.record.states:
            for line in state.logs:
                moment = int(datetime.fromisoformat(line["timestamp"]).timestamp() * 1000)
                said = (state.operation_id, state.group, line["type"], line["log"])
                self.book.add(*said, moment=moment)
        self._urgent = self.record.reason
        self._task = asyncio.create_task(self._run(), name=f"flow {self.job}")
        self._task.add_done_callback(self._look_back)

    def deliver(self, document: Any) -> None:
        """
        Take the real definition from the poster.

        Raises:
            RemoteProtocolError: It is no definition; the flow goes on waiting.
        """
        order.read(document)
        self.record.definition = document
        self._save()
        self.bell.ring()

    def collect(self) -> dict[str, Any]:
        """Return the result to the poster of a confidential job, which lets it be finished."""
        self._fetched = True
        self.bell.ring()
        return self.record.told()

    def stop(self, reason: str) -> None:
        """End the flow: `expired`, `stopped` by its poster, or `shutdown` of this host."""
        log.info("stopping job %s: %s", self.job, reason)
        self._urgent = reason
        if self.record.ended is None and not self.record.reason:
            self.record.reason = reason
            for operation in self.operations:
                operation.halt(reason)
        self.bell.ring()

    async def ended(self) -> None:
        """Wait until the flow has ended and its result is pinned."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def detach(self) -> None:
        """Leave the operations running for the next life of this host."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def endpoints(self) -> dict[str, dict[str, Any]]:
        """Return the services, by the name that leads to them."""
        up = {operation.id: operation.up for operation in self.operations}
        running = {s.operation_id for s in self.record.states if s.status == "running"}
        found = {}
        for service in self.record.services:
            status = "OFFLINE"
            if service.operation in running:
                online = up.get(service.operation, {}).get(service.port, False)
                status = ("ONLINE" if online else "OFFLINE") if service.checked else "UNKNOWN"
            found[service.ident] = {
                "opID": service.operation,
                "port": service.port,
                "url": self._host.network.address(service.ident),
                "status": status,
            }
        return found

    async def _run(self) -> None:
        record = self.record
        record.begun = record.begun or now()
        if record.ended is None:
            record.verdict = await self._work()
            record.ended = now()
            log.info("job %s ended: %s", self.job, record.verdict)
        self.book.close()
        if not self.done:
            await self._hand_over()
            record.status = record.verdict
            record.cid = await self._pin()
            self._save()
        self.bell.ring()
        self._host.wake()

    def _look_back(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            log.error("an error of ours in job %s", self.job, exc_info=error)
            self._broken = True
            self.book.close()
            self.bell.ring()
            self._host.wake()

    async def _work(self) -> str:
        """Run it; return the status it ends with."""
        record = self.record
        try:
            definition = await self._find_definition()
            if definition is None:
                record.errors.append("the definition never came")
                return "failed"
            order.check(definition)
            record.status = "running"
            hidden = {
                operation.id: "".join(secrets.choice(_ALPHABET) for _ in range(45))
                for operation in definition.ops
                if isinstance(operation, RunOperation) and operation.args.private
            }
            record.prepare(definition, hidden)
            self._save()
            await self._run_groups(definition)
        except order.InitError as error:
            record.errors.append(str(error))
            return "init error"
        except RemoteProtocolError as error:
            record.errors.append(str(error))
            return "validation-error"
        except delivery.Undelivered as error:
            record.errors.append(str(error))
            return "logistics-error"
        except NetworkError as error:
            record.errors.append(str(error))
            return "failed"
        return VERDICTS[record.reason]

    async def _find_definition(self) -> Definition | None:
        """Return what to run; nothing if the flow was stopped before it came."""
        record = self.record
        if record.definition is None and not record.sent:
            document = await delivery.read_public(self._host.network, record.public)
            delivery.note(record, order.read(document))
            if not record.sent:
                record.definition = document
        if record.definition is None and record.sent == "api":
            record.definition = await delivery.fetch(record, self._host.wallet)
        if record.definition is None:
            record.status = WAITING
            self._save()
            self.bell.ring()
            while record.definition is None and not self._urgent:
                patience = None if self._forsaken else self._host.patience
                try:
                    await asyncio.wait_for(self.bell.wait(), patience)
                except TimeoutError:
                    self._forsaken = True
                    self._host.wake()
        return None if record.definition is None else order.read(record.definition)

    async def _run_groups(self, definition: Definition) -> None:
        """Run the groups one after another, and the operations of each side by side."""
        record = self.record
        self.book.share = MOST_TOLD // len(definition.ops or "-")
        folder = self._host.shelf.folder(self.job)
        site = Site(
            executor=self._host.executor, names=self._host.names, record=record, book=self.book,
            bell=self.bell, folder=folder, cache=self._host.folder / "cache", save=self._save,
        )  # fmt: skip
        groups: dict[str, list[Operation]] = {}
        for index, (spec, state) in enumerate(zip(definition.ops, record.states, strict=True)):
            if isinstance(spec, RunOperation):
                operation = Operation(site, spec, definition.defaults, state, index=index)
                groups.setdefault(state.group, []).append(operation)
                self.operations.append(operation)
            elif not state.over:
                # Before all else: a volume has nothing to wait for, and others may need it.
                await self._create_volume(spec, state)
        for operation in self.operations:
            if record.reason:
                operation.halt(record.reason)
        for members in groups.values():
            async with asyncio.TaskGroup() as together:
                for operation in members:
                    together.create_task(self._run_one(operation, members, definition))

    async def _run_one(
        self, operation: Operation, members: list[Operation], definition: Definition
    ) -> None:
        """Run one operation when what it needs is ready."""
        others = [other for other in members if other.id in operation.needs]
        # What an earlier life of this host has started waits for nothing.
        while (
            operation.id not in self.record.started
            and not operation.state.over
            and any(not other.ready.is_set() for other in others)
        ):
            if self.record.reason:
                break
            broken = [o.id for o in others if o.over.is_set() and not o.ready.is_set()]
            if broken:
                operation.fail("operation-error", f"{', '.join(broken)} never became ready")
                break
            await self._next(*(e for other in others for e in (other.ready, other.over)))
        leash = [asyncio.create_task(_follow(operation, o)) for o in others if operation.follows]
        try:
            await operation.run(self._known(definition))
        finally:
            for task in leash:
                task.cancel()

    async def _create_volume(self, spec: VolumeOperation, state: OpState) -> None:
        state.start_time = now()
        try:
            await self._host.executor.create_volume(self.job, spec.args.name)
            state.status, state.exit_code = "success", 0
        except Unstartable as error:
            state.status, state.exit_code = "failed", error.code
            state.errors.append({"event": error.event, "message": str(error)})
        state.end_time = now()
        self._save()

    def _known(self, definition: Definition) -> dict[str, Any]:
        """Return the values of literals, as far as they are known now."""
        network = self._host.network
        known: dict[str, Any] = {
            "global.job": self.job,
            "global.host": self._host.wallet.address,
            "global.project": self.record.project,
            "global.frps_address": network.address("").split("//")[-1].strip("./"),
        }
        for name, value in ((definition.defaults and definition.defaults.variables) or {}).items():
            known[f"global.variables.{name}"] = value
        for index, state in enumerate(self.record.states):
            name = self._host.executor.hostname(self.job, index)
            known[f"ops.{state.operation_id}.host"] = name
            for name, found in state.results.items():
                known[f"ops.{state.operation_id}.results.{name}"] = found
        for service in self.record.services:
            path = f"ops.{service.operation}.endpoint.{service.port}"
            known[path] = network.address(service.ident)
        return known

    async def _hand_over(self) -> None:
        """Give the result of a confidential job to its poster."""
        record = self.record
        if record.received == "api" and record.definition is not None:
            try:
                await delivery.post(record, self._host.wallet, record.told())
            except delivery.Undelivered as error:
                record.errors.append(str(error))
        if record.received != "api-listen" or record.definition is None:
            return
        record.status = COLLECTING
        self._save()
        self.bell.ring()
        began = time.monotonic()
        while not self._fetched:
            left = began + PATIENCE[self._urgent] - time.monotonic()
            if left <= 0:
                record.errors.append("the result was not fetched in time")
                self._host.unfetched.keep(record)
                return
            await self._next(most=left)

    async def _pin(self) -> str:
        """Pin the result, however long it takes: without it the host is not paid."""
        # Nothing of a confidential job becomes public but that it was.
        final = self.record.blank() if self.record.received else self.record.told()
        pause = 0.5
        while True:
            try:
                return await ipfs.pin(self._host.network, final)
            except NetworkError as error:
                log.warning("the result of job %s cannot be pinned yet: %s", self.job, error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 30)

    async def _next(self, *events: asyncio.Event, most: float | None = None) -> None:
        """Wait until something changes, one of some events happens, or for so many seconds."""
        waits = [
            asyncio.ensure_future(each) for each in (self.bell.wait(), *(e.wait() for e in events))
        ]
        try:
            await asyncio.wait(waits, timeout=most, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _save(self) -> None:
        self._host.shelf.keep(self.record)


async def _follow(operation: Operation, other: Operation) -> None:
    """Stop an operation when another is over."""
    await other.over.wait()
    operation.halt("stopped")
