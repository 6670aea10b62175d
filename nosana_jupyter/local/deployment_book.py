"""
What the deployment manager has on file: vaults with their keys, deployments and what happened.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import base58
import msgspec

from ..wire.definition import RunOperation, parse
from . import strategies
from .strategies import Plan, Seen

MOST_EVENTS = 500


class Vault(msgspec.Struct, kw_only=True):
    """A key that pays for deployments."""

    key: str
    owner: str
    created: float


class Revision(msgspec.Struct, kw_only=True):
    """A definition of a deployment."""

    revision: int
    cid: str
    definition: dict[str, Any]
    created: float


class Listed(msgspec.Struct, kw_only=True):
    """A job that was listed for a deployment."""

    job: str
    tx: str
    market: str
    revision: int
    timeout: int
    created: float
    updated: float
    state: str = strategies.QUEUED
    began: float = 0.0
    node: str = ""

    @property
    def seen(self) -> Seen:
        return Seen(
            job=self.job, state=self.state, listed=self.created, began=self.began,
            ended=self.updated, timeout=self.timeout,
        )  # fmt: skip


class Happened(msgspec.Struct, kw_only=True):
    """An event of a deployment."""

    category: str
    type: str
    message: str
    created: float
    tx: str = ""


class Deployment(msgspec.Struct, kw_only=True):
    """A deployment."""

    id: str
    name: str
    owner: str
    account: str
    """Account with credits that pays; empty: its vault does."""

    vault: str
    market: str
    strategy: str
    replicas: int
    timeout: int
    """In minutes."""

    rotation_time: int = 0
    """In minutes."""

    schedule: str = ""
    confidential: bool = True
    status: str = "DRAFT"
    active_revision: int = 1
    created: float
    updated: float
    started: float = 0.0
    ticked: float = 0.0
    failures: int = 0
    again: float = 0.0
    """Unix time before which nothing is listed, after a failure."""

    revisions: list[Revision] = []
    jobs: list[Listed] = []
    events: list[Happened] = []

    @property
    def plan(self) -> Plan:
        return Plan(
            strategy=self.strategy, replicas=self.replicas, timeout=60 * self.timeout,
            rotation=60 * self.rotation_time, schedule=self.schedule, started=self.started,
            ticked=self.ticked,
        )  # fmt: skip

    @property
    def open(self) -> list[Listed]:
        """Its jobs that are not over."""
        return [each for each in self.jobs if each.state in strategies.OPEN]

    def tell(self, type_: str, message: str, *, tx: str = "", category: str = "Event") -> None:
        """Note what happened."""
        happened = Happened(
            category=category, type=type_, message=message, created=time.time(), tx=tx
        )
        self.events = [*self.events, happened][-MOST_EVENTS:]

    def become(self, status: str, message: str = "") -> None:
        """Stand differently from now on."""
        self.status, self.updated = status, time.time()
        self.tell(f"DEPLOYMENT_{status}", message or status.lower(), category="Deployment")


class State(msgspec.Struct, kw_only=True):
    """What is on file."""

    vaults: dict[str, Vault] = {}
    deployments: dict[str, Deployment] = {}


class Book:
    """
    The file. One process writes it.

    Args:
        path: Where it lies; made with mode 0600.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.state = msgspec.json.decode(path.read_bytes(), type=State)
        except FileNotFoundError:
            self.state = State()
        self._was = b""

    def save(self) -> None:
        """Write down what has changed."""
        content = msgspec.json.encode(self.state)
        if content == self._was:
            return
        draft = self._path.with_suffix(".new")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        draft.replace(self._path)
        self._was = content


def endpoints(made: Deployment) -> list[tuple[str, str, int, int]]:
    """Return name, operation, its position and port of each service of a deployment."""
    active = next(each for each in made.revisions if each.revision == made.active_revision)
    return [
        (service_name(each.id, made.id, made.vault), each.id, index, service.port)
        for index, each in enumerate(parse(active.definition).ops)
        if isinstance(each, RunOperation)
        for service in each.args.services()
    ]


def service_name(operation: str, deployment: str, payer: str) -> str:
    """
    Return the name under which the tunnel leads to any of a deployment's jobs.

    Args:
        operation: Id of the operation; all of its ports have one name.
        deployment: Its id.
        payer: Its vault, or the project of its account.
    """
    return _name(f"{operation}:0:{_name(f'{deployment}:{payer}', 45)}", 44)


def _name(text: str, length: int) -> str:
    return base58.b58encode(hashlib.sha512(text.encode()).digest()).decode()[:length]
