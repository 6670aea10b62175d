"""
Nosana's job definition, version 0.1, as the strict official validator takes it.

Unknown keys are errors, as there: a definition that reads here reads on the network.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import base58
import msgspec

from ..errors import RemoteProtocolError


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class HealthCheck(_Strict, kw_only=True):
    """A check that says when an exposed port is up."""

    type: Literal["http", "websocket"]
    continuous: bool
    path: str | None = None
    method: Literal["GET", "POST", "PUT", "DELETE"] | None = None
    expected_status: int | None = None
    expected_response: str | None = None
    headers: dict[str, str] | None = None
    body: Any = None


class Expose(_Strict, kw_only=True):
    """A port that the tunnel publishes."""

    port: int
    type: Literal["web", "api", "webapi", "websocket", "none"] | None = None
    health_checks: list[HealthCheck] | None = None


class Volume(_Strict, kw_only=True):
    name: str
    dest: str


class Run(_Strict, kw_only=True):
    """Arguments of `container/run`."""

    image: str
    cmd: str | list[str] | None = None
    """A string runs as `/bin/sh -c`; a list is passed unchanged."""

    entrypoint: str | list[str] | None = None
    env: dict[str, str] | None = None
    gpu: bool | None = None
    expose: int | Expose | list[int | Expose] | None = None
    private: bool | None = None
    volumes: list[Volume] | None = None
    work_dir: str | None = None
    resources: list[dict[str, Any]] | None = None
    aliases: str | list[str] | None = None
    restart_policy: str | dict[str, Any] | None = None
    authentication: dict[str, Any] | None = None

    def ports(self) -> list[int]:
        """Return the ports this operation exposes."""
        if self.expose is None:
            return []
        listed = self.expose if isinstance(self.expose, list) else [self.expose]
        return [item if isinstance(item, int) else item.port for item in listed]


class Execution(_Strict, kw_only=True):
    group: str | None = None
    depends_on: list[str] | None = None
    stop_if_dependent_stops: bool | None = None


class RunOperation(_Strict, kw_only=True, tag_field="type", tag="container/run"):
    id: str
    args: Run
    results: dict[str, Any] | None = None
    execution: Execution | None = None


class CreateVolume(_Strict, kw_only=True):
    name: str


class VolumeOperation(_Strict, kw_only=True, tag_field="type", tag="container/create-volume"):
    id: str
    args: CreateVolume
    execution: Execution | None = None


Operation = RunOperation | VolumeOperation


class LogisticsArgs(_Strict, kw_only=True):
    endpoint: str | None = None


class Logistic(_Strict, kw_only=True):
    """How a definition or a result travels."""

    type: Literal["api", "api-listen"]
    args: LogisticsArgs


class Logistics(_Strict, kw_only=True):
    send: Logistic
    """How the poster sends the definition to the node."""

    receive: Logistic
    """How the poster receives the result."""


class Defaults(_Strict, kw_only=True):
    image: str | None = None
    gpu: bool | None = None
    entrypoint: str | list[str] | None = None
    env: dict[str, str] | None = None
    work_dir: str | None = None
    variables: dict[str, str] | None = None


class Definition(_Strict, kw_only=True):
    """What a host is asked to run."""

    version: Literal["0.1"]
    type: Literal["container"]
    ops: list[Operation]
    meta: dict[str, Any] | None = None
    defaults: Defaults | None = msgspec.field(default=None, name="global")
    logistics: Logistics | None = None
    deployment_id: str | None = None


STUB: dict[str, Any] = {
    "version": "0.1",
    "type": "container",
    "meta": {"trigger": "cli"},
    "logistics": {
        "send": {"type": "api-listen", "args": {}},
        "receive": {"type": "api-listen", "args": {}},
    },
    "ops": [],
}
"""What is public of a confidential job: the same for everybody, so that it tells nothing."""


def parse(document: object) -> Definition:
    """
    Read a definition.

    Args:
        document: The decoded JSON.

    Raises:
        RemoteProtocolError: It is not one; the message names the place, as in `$.ops[0].args`.
    """
    try:
        definition = msgspec.convert(document, Definition)
    except msgspec.ValidationError as error:
        raise RemoteProtocolError(f"not a job definition: {error}") from error
    names = [operation.id for operation in definition.ops]
    for name in names:
        if not name or any(letter.isspace() for letter in name):
            raise RemoteProtocolError(f"not a job definition: operation id {name!r} has a space")
        if names.count(name) > 1:
            raise RemoteProtocolError(f"not a job definition: operation id {name!r} comes twice")
    return definition


def document(definition: Definition) -> dict[str, Any]:
    """Return a definition as JSON-able data, without what is unset."""
    data: dict[str, Any] = _without_none(msgspec.to_builtins(definition))
    return data


def service_id(*, operation: int, port: int, job: str) -> str:
    """
    Return the id under which the tunnel publishes a port of a job.

    Args:
        operation: Position of the operation in the definition's list, counting every one.
        port: The exposed port, as written in the definition.
        job: Address of the job.
    """
    digest = hashlib.sha512(f"{operation}:{port}:{job}".encode()).digest()
    return base58.b58encode(digest).decode()[:44]


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
