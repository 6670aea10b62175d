"""
Nosana's job definition, version 0.1, as the strict official validator takes it.

Unknown keys are errors, as there: a definition that reads here reads on the network. On purpose we
refuse three things that the official validator takes and no host could run: the arguments of one
type of operation under the name of the other, and ports and statuses that are no whole numbers.

Markers such as `{"__spread__": …}`, whose place the results of other operations take, are checked
and left out of what is read here: a host fills them in before it reads the arguments again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Literal

import base58
import msgspec

from ..errors import RemoteProtocolError
from . import markers
from .markers import Literally


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class HealthCheck(_Strict, frozen=True, kw_only=True):
    """A check that says when an exposed port is up."""

    type: Literal["http", "websocket"]
    continuous: bool
    path: str | None = None
    method: Literal["GET", "POST", "PUT", "DELETE"] | None = None
    expected_status: int | None = None
    expected_response: str | None = None
    headers: dict[str, str] | None = None
    body: Any = None

    def __post_init__(self) -> None:
        for_http = {
            "path": self.path, "method": self.method, "expected_status": self.expected_status,
        }  # fmt: skip
        if self.type == "http":
            if missing := [name for name, value in for_http.items() if value is None]:
                raise ValueError(f"an http check lacks {', '.join(missing)}")
            if self.expected_response is not None:
                raise ValueError("an http check has no expected_response")
            return
        if self.expected_response is None:
            raise ValueError("a websocket check lacks expected_response")
        if any(value is not None for value in (*for_http.values(), self.headers, self.body)):
            raise ValueError("a websocket check has expected_response and nothing else")


class Expose(_Strict, frozen=True, kw_only=True):
    """A port that the tunnel publishes."""

    port: int
    type: Literal["web", "api", "webapi", "websocket", "none"] | None = None
    health_checks: list[HealthCheck] | None = None


class Volume(_Strict, frozen=True, kw_only=True):
    name: str
    dest: str


class Credentials(_Strict, frozen=True, kw_only=True):
    """Keys of an S3 bucket. Readable by all in a public definition."""

    region: str = msgspec.field(name="REGION")
    access_key: str = msgspec.field(name="ACCESS_KEY_ID")
    secret: str = msgspec.field(name="SECRET_ACCESS_KEY")

    def __repr__(self) -> str:
        return f"Credentials(region={self.region!r})"


class Bucket(_Strict, frozen=True, kw_only=True):
    url: str
    files: list[str] | None = None


class S3(_Strict, frozen=True, kw_only=True, tag_field="type", tag="S3"):
    """Files from a bucket, from several, or from a plain address."""

    target: str
    url: str | None = None
    files: list[str] | None = None
    bucket: str | None = None
    buckets: list[Bucket] | None = None
    allow_write: bool | None = msgspec.field(default=None, name="allowWrite")
    credentials: Credentials | None = msgspec.field(default=None, name="IAM")

    def __post_init__(self) -> None:
        if sum(each is not None for each in (self.files, self.bucket, self.buckets)) > 1:
            raise ValueError("S3 takes files, a bucket or buckets: one of them")


class HuggingFace(_Strict, frozen=True, kw_only=True, tag_field="type", tag="HF"):
    """A model or data set of the Hugging Face hub."""

    repo: str
    target: str
    revision: str | None = None
    files: list[str] | None = None
    token: str | None = msgspec.field(default=None, name="accessToken")

    def __repr__(self) -> str:
        return f"HuggingFace(repo={self.repo!r}, target={self.target!r})"


class Ollama(_Strict, frozen=True, kw_only=True, tag_field="type", tag="Ollama"):
    """A model of the Ollama registry."""

    model: str
    target: str | None = None


Resource = S3 | HuggingFace | Ollama


class RestartPolicy(_Strict, frozen=True, kw_only=True):
    policy: Literal["on-failure"]
    restart_tries: int | None = None


class Login(_Strict, frozen=True, kw_only=True):
    """Who pulls a private image."""

    username: str | None = None
    password: str | None = None
    email: str | None = None
    server: str | None = None

    def __repr__(self) -> str:
        return f"Login(username={self.username!r}, server={self.server!r})"


class Authentication(_Strict, frozen=True, kw_only=True):
    docker: Login | None = None


class Run(_Strict, frozen=True, kw_only=True):
    """Arguments of `container/run`."""

    image: str
    cmd: str | list[str] | None = None
    """A string runs as `/bin/sh -c`; a list is passed unchanged."""

    entrypoint: str | list[str] | None = None
    env: dict[str, str] | None = None
    gpu: bool | None = None
    expose: int | Expose | Literally | list[int | Expose | Literally] | None = None
    private: bool | None = None
    """Whether its services have names that cannot be guessed."""

    volumes: list[Volume] | None = None
    work_dir: str | None = None
    resources: list[Resource | Literal["__remove-if-empty__"]] | None = None
    aliases: str | list[str] | None = None
    restart_policy: (
        Literal["no", "always", "unless-stopped", "on-failure"] | RestartPolicy | None
    ) = None
    authentication: Authentication | None = None

    def __post_init__(self) -> None:
        if len(set(self.ports())) < len(self.ports()):
            raise ValueError("a port is exposed twice")

    def services(self) -> list[Expose]:
        """Return what this operation exposes, without the literals a host fills in."""
        listed = self.expose if isinstance(self.expose, list) else [self.expose]
        return [
            Expose(port=item) if isinstance(item, int) else item
            for item in listed
            if isinstance(item, int | Expose)
        ]

    def ports(self) -> list[int]:
        """Return the ports this operation exposes."""
        return [service.port for service in self.services()]


class Execution(_Strict, frozen=True, kw_only=True):
    group: str | None = None
    depends_on: list[str] | None = None
    stop_if_dependent_stops: bool | None = None

    def __post_init__(self) -> None:
        if self.stop_if_dependent_stops is not None and self.depends_on is None:
            raise ValueError("stop_if_dependent_stops goes with depends_on")


class Capture(_Strict, frozen=True, kw_only=True):
    """What to keep of an operation's output."""

    regex: str
    sources: list[Literal["stdin", "stdout", "stderr", "nodeerr"]] = msgspec.field(name="logType")

    def __post_init__(self) -> None:
        if not self.sources or len(set(self.sources)) < len(self.sources):
            raise ValueError("logType names one to four sources, each once")


class RunOperation(_Strict, frozen=True, kw_only=True, tag_field="type", tag="container/run"):
    id: str
    args: Run
    results: dict[str, str | Capture] | None = None
    execution: Execution | None = None


class CreateVolume(_Strict, frozen=True, kw_only=True):
    name: str


class VolumeOperation(
    _Strict, frozen=True, kw_only=True, tag_field="type", tag="container/create-volume"
):
    id: str
    args: CreateVolume
    results: dict[str, str | Capture] | None = None
    execution: Execution | None = None


Operation = RunOperation | VolumeOperation


class LogisticsArgs(_Strict, frozen=True, kw_only=True):
    endpoint: str | None = None


class Logistic(_Strict, frozen=True, kw_only=True):
    """How a definition or a result travels."""

    type: Literal["api", "api-listen"]
    args: LogisticsArgs


class Logistics(_Strict, frozen=True, kw_only=True):
    send: Logistic
    """How the poster sends the definition to the node."""

    receive: Logistic
    """How the poster receives the result."""


class Defaults(_Strict, frozen=True, kw_only=True):
    image: str | None = None
    gpu: bool | None = None
    entrypoint: str | list[str] | None = None
    env: dict[str, str] | None = None
    work_dir: str | None = None
    variables: dict[str, str] | None = None


Scalar = str | int | float
Flat = Scalar | list[Scalar]


class Definition(_Strict, frozen=True, kw_only=True):
    """What a host is asked to run."""

    version: Literal["0.1"]
    type: Literal["container"]
    ops: list[Operation]
    meta: dict[str, Any] | None = None
    """Texts, numbers, lists of these, and dictionaries of all that; nothing deeper."""

    defaults: Defaults | None = msgspec.field(default=None, name="global")
    logistics: Logistics | None = None
    deployment_id: str | None = None

    def __post_init__(self) -> None:
        if self.meta is not None:
            msgspec.convert(self.meta, dict[str, Flat | dict[str, Flat]])
            msgspec.convert(self.meta.get("trigger", ""), str)
            msgspec.convert(self.meta.get("system_resources", {}), dict[str, Scalar])


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
        for place in _nulls(document, "$"):
            raise RemoteProtocolError(f"not a job definition: null at `{place}`")
        definition = msgspec.convert(markers.without(document), Definition)
    except msgspec.ValidationError as error:
        raise RemoteProtocolError(f"not a job definition: {error}") from error
    except RecursionError:
        raise RemoteProtocolError("not a job definition: nested too deeply") from None
    seen = set()
    for name in [operation.id for operation in definition.ops]:
        if " " in name:
            raise RemoteProtocolError(f"not a job definition: operation id {name!r} has a space")
        if name in seen:
            raise RemoteProtocolError(f"not a job definition: operation id {name!r} comes twice")
        seen.add(name)
    return definition


def document(definition: Definition) -> dict[str, Any]:
    """Return a definition as JSON-able data, without what is unset and without markers."""
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


def _nulls(value: object, place: str) -> Iterator[str]:
    """Yield where a document says null: it may be nowhere but in the body of a check."""
    if value is None:
        yield place
    elif isinstance(value, dict):
        for key, item in value.items():
            if key != "body":
                yield from _nulls(item, f"{place}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nulls(item, f"{place}[{index}]")


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
