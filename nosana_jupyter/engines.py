"""
Which container engine answers on this machine, and with what a host runs its jobs.

Docker first: where `DOCKER_HOST` says, else where Docker's current context does, else the usual
sockets; then podman, whose socket speaks the same language.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .errors import UsageError
from .loopback import is_loopback
from .settings import environment_value

if TYPE_CHECKING:
    import docker

log = logging.getLogger("nosana_jupyter.host")

PROCESS, DOCKER = "process", "docker"
EXECUTORS = (DOCKER, PROCESS)
"""What `--executor` may say. By default containers where an engine answers."""

VARIABLE = "NOSANA_EXECUTOR"
"""Says the same in the environment."""

NODE = "nosana.node"
"""Label of all that a host makes in an engine: the address of its node."""

OLDEST = (1, 41)
"""The first API that all we ask for is in, that of Docker 20.10."""

PATIENCE = 120
"""Seconds that an engine may take for one answer."""


class NoEngine(UsageError):
    """No container engine can be used."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An engine that answers, and keeps containers apart as we need it."""

    client: docker.DockerClient
    name: str
    """`Docker` or `podman`."""

    version: str

    @property
    def podman(self) -> bool:
        return self.name == "podman"

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def asked(option: str | None) -> str:
    """
    Return what a host was told to run jobs with: an option, else the environment, else nothing.

    Raises:
        UsageError: The environment names what there is not.
    """
    wanted = option or environment_value(VARIABLE) or ""
    if wanted and wanted not in EXECUTORS:
        raise UsageError(
            f"{VARIABLE} is {wanted!r}, which is no executor", hint=f"Use {' or '.join(EXECUTORS)}."
        )
    return wanted


def chosen(option: str | None) -> str:
    """
    Return what a host of this machine would run jobs with: `docker` or `process`.

    Args:
        option: What it was told.

    Raises:
        UsageError: It was told what cannot be.
    """
    engine = find(asked(option))
    if engine is None:
        return PROCESS
    engine.client.close()
    return DOCKER


def find(wanted: str) -> Engine | None:
    """
    Return the engine to run jobs with; nothing where they run as plain processes.

    Args:
        wanted: `docker`, `process`, or empty for containers where an engine answers.

    Raises:
        NoEngine: Containers are wanted, and no engine that could run them answers.
    """
    if wanted == PROCESS:
        return None
    reasons = []
    for address in _addresses():
        try:
            return _open(address)
        except NoEngine as error:
            reasons.append(str(error))
    if wanted == DOCKER:
        raise NoEngine(
            "; ".join(reasons) or "no container engine answers on this machine",
            hint="Start Docker or podman. A local network runs without: --executor process.",
        )
    if reasons:
        log.warning("jobs run without containers: %s", "; ".join(reasons))
    return None


def sweep(engine: Engine, node: str, wanted: Callable[[Mapping[str, str]], bool]) -> None:
    """
    Remove what a node has made: containers first, which hold on to the rest. Blocks.

    Args:
        engine: Where.
        node: Address of the node.
        wanted: Says by its labels whether something goes.
    """
    import docker.errors

    api, ours = engine.client.api, {"label": f"{NODE}={node}"}
    for found in api.containers(all=True, filters=ours):
        if wanted(found.get("Labels") or {}):
            log.info("removing container %s", found["Names"][0].strip("/"))
            with contextlib.suppress(docker.errors.NotFound):
                api.remove_container(found["Id"], v=True, force=True)
    for found in api.volumes(ours).get("Volumes") or ():
        if wanted(found.get("Labels") or {}):
            with contextlib.suppress(docker.errors.NotFound):
                api.remove_volume(found["Name"], force=True)
    for found in api.networks(filters=ours):
        if wanted(found.get("Labels") or {}):
            with contextlib.suppress(docker.errors.NotFound):
                api.remove_network(found["Id"])


def _addresses() -> Iterator[str]:
    """Yield where engines may be, the likely first: nothing is asked where no socket is."""
    if named := environment_value("DOCKER_HOST"):
        yield named
        return
    runtime = environment_value("XDG_RUNTIME_DIR")
    sockets = [Path("/var/run/docker.sock"), Path.home() / ".docker/run/docker.sock"]
    if runtime:
        sockets += [Path(runtime, "docker.sock"), Path(runtime, "podman/podman.sock")]
    sockets.append(Path("/run/podman/podman.sock"))
    found = [f"unix://{path}" for path in sockets if path.is_socket()]
    context = _context()
    yield from dict.fromkeys([context, *found] if context else found)


def _context() -> str:
    """Return the address in Docker's current context, unless that is the default one."""
    if not (Path(environment_value("DOCKER_CONFIG") or Path.home() / ".docker")).is_dir():
        return ""
    import docker.errors
    from docker.context import ContextAPI

    try:
        current = ContextAPI.get_current_context()
    except (docker.errors.ContextException, OSError, ValueError):
        return ""
    return str(current.Host) if current is not None and current.name != "default" else ""


def _open(address: str) -> Engine:
    """
    Connect to an engine and see whether it can be used.

    Raises:
        NoEngine: It does not answer, is not of this machine, or lacks what keeps containers apart.
    """
    import docker
    import docker.errors
    import requests.exceptions

    parts = urlsplit(address)
    where = f"the engine at {parts.scheme}://{parts.hostname or parts.path}"
    if parts.scheme not in ("unix", "http+unix", "npipe") and not is_loopback(
        address.replace("tcp://", "http://", 1)
    ):
        # What containers publish, and what is mounted into them, would be there and not here.
        raise NoEngine(f"{where} is not of this machine")
    try:
        if address == environment_value("DOCKER_HOST"):
            # With its certificates, of which the environment speaks too.
            client = docker.from_env(timeout=PATIENCE)
        else:
            client = docker.DockerClient(base_url=address, timeout=PATIENCE)
        version, info = client.version(), client.info()
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise NoEngine(f"{where} does not answer ({_reason(error)})") from None
    except (ValueError, LookupError, TypeError):
        raise NoEngine(f"what is at {parts.scheme}://{parts.hostname} is no engine") from None
    engine = Engine(client=client, name=_name(version), version=str(version.get("Version", "?")))
    try:
        _check(engine, version, info)
    except NoEngine:
        client.close()
        raise
    return engine


def _check(engine: Engine, version: dict[str, Any], info: dict[str, Any]) -> None:
    spoken = tuple(int(part) for part in str(version.get("ApiVersion", "0")).split("."))
    if spoken < OLDEST and not engine.podman:
        raise NoEngine(f"{engine} is too old: it lacks the API of Docker 20.10")
    if info.get("OSType", "linux") != "linux":
        raise NoEngine(f"{engine} runs no Linux containers")
    options = [str(option) for option in info.get("SecurityOptions") or []]
    seccomp = next((option for option in options if "name=seccomp" in option), "")
    if not seccomp or "unconfined" in seccomp:
        raise NoEngine(f"{engine} does not filter system calls: it is without seccomp")


def _name(version: dict[str, Any]) -> str:
    parts = [str(part.get("Name", "")) for part in version.get("Components") or []]
    return "podman" if any("podman" in part.lower() for part in parts) else "Docker"


def _reason(error: Exception) -> str:
    """Say in few words why a connection failed: the library's own sentence is a page."""
    while (cause := error.__cause__ or error.__context__) and isinstance(cause, Exception):
        error = cause
    return str(getattr(error, "strerror", "") or type(error).__name__)
