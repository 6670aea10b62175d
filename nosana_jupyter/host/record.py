"""
What a host knows of a job, in the words of the node API, and on disk.

A record is written before what it describes happens, so that a host that dies at any point finds
on the disk all that it has to take up again.
"""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec

from ..errors import RemoteProtocolError
from ..wire import attest
from ..wire.definition import Definition, RunOperation, parse, service_id
from .executor import Started

log = logging.getLogger("nosana_jupyter.host")

WAITING = "waiting-for-job-definition"
COLLECTING = "waiting-for-result"
"""States of a confidential job before and after its run."""


class OpState(msgspec.Struct, kw_only=True, rename="camel"):
    """An operation, in the words of the node API."""

    operation_id: str
    group: str
    status: str = "init"
    """`init`, `running`, `success`, `failed` or `stopped`."""

    provider_id: str | None = None
    start_time: int | None = None
    """Unix milliseconds."""

    end_time: int | None = None
    exit_code: int | None = None
    logs: list[dict[str, Any]] = []
    """Filled in when the operation is over."""

    results: dict[str, str | list[str]] = {}
    errors: list[dict[str, Any]] = []
    diagnostics: dict[str, Any] = {}

    @property
    def over(self) -> bool:
        return self.status not in ("init", "running")


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A port of a job, under the name that leads to it."""

    ident: str
    operation: str
    port: int
    """As the definition has it."""

    private: bool = False
    checked: bool = False
    """Whether a check says when it is up."""


class Record(msgspec.Struct, kw_only=True):
    """What is on disk of a flow."""

    job: str
    project: str
    timeout: int
    """Seconds; the poster may raise it."""

    public: str
    """Content id of the public definition, which may be a stub."""

    sent: str = ""
    """How the definition comes: `api-listen`, `api`, or empty if it is the public one."""

    received: str = ""
    """How the result goes, likewise."""

    endpoints: tuple[str, str] = ("", "")
    """Where `api` fetches the definition, and where it leaves the result."""

    definition: Any = None
    """The real one, once it is here."""

    verdict: str = ""
    """How it ended; empty until then."""

    status: str = "init"
    started: dict[str, Started] = {}
    """Operations that were about to start, or did, by id."""

    services: list[Service] = []
    states: list[OpState] = []
    begun: int = 0
    """Unix milliseconds."""

    ended: int | None = None
    errors: list[Any] = []
    reason: str = ""
    """Why it was stopped: `expired`, `stopped`, `shutdown`; empty if it was not."""

    cid: str = ""
    """Content id of the pinned result."""

    def told(self) -> dict[str, Any]:
        """Return the flow's state as the node API tells it."""
        return {
            "status": self.verdict or self.status,
            "startTime": self.begun,
            "endTime": self.ended,
            "errors": self.errors,
            "secrets": {},
            "opStates": msgspec.to_builtins(self.states),
        }

    def blank(self) -> dict[str, Any]:
        """
        Return what becomes public of a confidential job: no word of what was said.

        But where its runner signs that, the digest all of it ends in: so it is on chain.
        """
        logs = (line["log"] for state in self.states for line in state.logs)
        signed = attest.from_log(text for text in logs if isinstance(text, str))
        return {**self.told(), "opStates": [], **({"attested": signed} if signed else {})}

    def prepare(self, definition: Definition, private: dict[str, str]) -> None:
        """
        List operations and services, unless an earlier life of the host has done so.

        Args:
            definition: What will run.
            private: Names for the services of those operations that want no public one, by id.
        """
        if self.states:
            return
        for index, operation in enumerate(definition.ops):
            execution = operation.execution
            group = execution.group if execution and execution.group else operation.id
            self.states.append(OpState(operation_id=operation.id, group=group))
            if not isinstance(operation, RunOperation):
                continue
            for number, service in enumerate(operation.args.services()):
                assert isinstance(service.port, int)
                hidden = private.get(operation.id)
                public = service_id(operation=index, port=service.port, job=self.job)
                self.services.append(
                    Service(
                        ident=f"{hidden[:-2]}{number:02d}" if hidden else public,
                        operation=operation.id,
                        port=service.port,
                        private=bool(hidden),
                        checked=bool(service.health_checks),
                    )
                )

    def state(self, operation: str) -> OpState:
        """Return the state of an operation by its id."""
        return next(state for state in self.states if state.operation_id == operation)

    def args(self, operation: str) -> dict[str, Any]:
        """Return the arguments of an operation as they are written, with literals and markers."""
        found: dict[str, Any] = next(
            each["args"] for each in self.definition["ops"] if each["id"] == operation
        )
        return found


class Shelf:
    """
    Records on the disk of one host, readable by its owner only.

    Args:
        folder: The host's own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "flows"

    def folder(self, job: str) -> Path:
        """Return the folder of one job."""
        path = self._folder / job
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def keep(self, record: Record) -> None:
        """Write a record down."""
        draft = self.folder(record.job) / "record.new"
        draft.touch(mode=0o600)
        draft.write_bytes(msgspec.json.encode(record))
        draft.replace(draft.with_name("record.json"))

    def remove(self, job: str) -> None:
        """Forget a job."""
        # The record first: what is left without one is never taken up again.
        (self._folder / job / "record.json").unlink(missing_ok=True)
        shutil.rmtree(self._folder / job, ignore_errors=True)

    def unread(self) -> list[Path]:
        """Return folders of jobs of which nothing is known that can be read."""
        known = {record.job for record in self.load()}
        return [folder for folder in self._folder.glob("*/") if folder.name not in known]

    def load(self) -> list[Record]:
        """Return what an earlier life of this host has left, as far as it can be read."""
        records = []
        for folder in sorted(self._folder.glob("*/")):
            path = folder / "record.json"
            try:
                record = msgspec.json.decode(path.read_bytes(), type=Record)
                if record.definition is not None:
                    parse(record.definition)
                records.append(record)
            except FileNotFoundError:
                shutil.rmtree(folder, ignore_errors=True)
            except (OSError, ValueError, RecursionError, msgspec.DecodeError) as error:
                log.warning("%s cannot be read: %s", path, error)
            except RemoteProtocolError as error:
                log.warning("%s holds %s", path, error)
        return records


def now() -> int:
    """Return Unix milliseconds."""
    return int(time.time() * 1000)
