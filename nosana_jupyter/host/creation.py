"""
How a container is made of a task, and why an engine may not start it, in words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import docker.types

from ..engines import Engine
from ..wire import launch
from ..wire.definition import Run
from . import confinement
from .belongings import OPERATION
from .confinement import Limits
from .container import AGAIN, PRIVATE
from .executor import Started, Task, Unstartable
from .resources import Ready, archive

FAILED = "container-runtime-error"

WORK, KEEP = "/nosana", "/nosana-cache"
"""Where a runner has its files, on the disk and not in memory, and what outlives its job."""

_NO_COMMAND = re.compile("executable file not found|no such file or directory", re.IGNORECASE)
_NO_RIGHT = re.compile("permission denied|is a directory", re.IGNORECASE)


def create(
    engine: Engine,
    task: Task,
    started: Started,
    *,
    network: str,
    labels: Mapping[str, str],
    limits: Limits,
    ready: Sequence[Ready] = (),
    cards: bool,
    quota: bool,
    cache: str,
    keep: int,
    home: str,
) -> str:
    """
    Create a container; return its id. Blocks.

    Args:
        engine: Where.
        task: What it is to run.
        started: Its name and ports.
        network: That of its job.
        labels: Whose it is.
        limits: What it may have.
        ready: Its resources.
        cards: Whether it gets the machine's.
        quota: Whether the engine can limit what it writes.
        cache: The volume of its project, where it is a runner of cells.
        keep: Bytes that are kept of it for later jobs.
        home: Where its user is at home.

    Raises:
        APIError: The engine does not take it.
    """
    api, run = engine.client.api, task.run
    environment = {**task.environment, launch.JOB: task.job}
    # Whose cache it is, is for this host to know.
    environment.pop(launch.CACHE_KEY, None)
    mounts = [
        # One that no operation has made is made now, and goes with the job all the same.
        docker.types.Mount(
            volume.dest, f"{task.job}-{volume.name}", type="volume", labels=dict(labels)
        )
        for volume in run.volumes or ()
    ]
    for number, each in enumerate(ready):
        mounts.append(each.mount(f"{started.container}-resource-{number}", labels))
    if cache:
        # All it may write to beside what is in memory, so that its image can stay as it is. The
        # first begins with what the image has there.
        writable = {home: f"{started.container}-home", WORK: f"{started.container}-work"}
        mounts += [
            docker.types.Mount(path, name, type="volume", labels=dict(labels))
            for path, name in {**writable, KEEP: cache}.items()
        ]
        environment = {"TMPDIR": WORK, **environment, launch.CACHE: KEEP}
        environment[launch.CACHE_BYTES] = str(keep)
    every = [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])]
    made = api.create_container(
        run.image,
        task.command,
        name=started.container,
        hostname=started.container,
        entrypoint=task.entrypoint,
        working_dir=task.work_dir or None,
        environment=environment,
        labels={**labels, OPERATION: task.operation, **_own_labels(run)},
        ports=list(started.ports),
        host_config=confinement.host_config(
            engine,
            limits,
            network_mode=network,
            port_bindings={port: ("127.0.0.1", real) for port, real in started.ports.items()},
            mounts=mounts,
            read_only=bool(cache) or confinement.READ_ONLY in environment,
            storage_opt={"size": str(limits.disk)} if quota else None,
            device_requests=every if cards else None,
        ),
        networking_config=api.create_networking_config(
            {network: api.create_endpoint_config(aliases=_aliases(task))}
        ),
    )
    for each in ready:
        if each.writable:
            api.put_archive(made["Id"], each.target, archive(each.folder))
    return str(made["Id"])


def is_runner(task: Task, image: Mapping[str, Any]) -> bool:
    """
    Say whether an operation runs cells, and as a user who may write to volumes.

    Args:
        task: It.
        image: What the engine knows of its image.
    """
    config = image.get("Config") or {}
    root = str(config.get("User") or "").partition(":")[0] in ("", "0", "root")
    made_for_it = (config.get("Labels") or {}).get(launch.RUNNER_LABEL) == "1"
    return launch.SOURCES in task.environment and (root or made_for_it)


def home_of(image: Mapping[str, Any]) -> str:
    """Return where root is at home in an image."""
    lines = (image.get("Config") or {}).get("Env") or ()
    return next((line[5:] for line in lines if line.startswith("HOME=/")), "/root")


def explained(said: str, task: Task, status: int) -> Unstartable:
    """Return the error of a container that an engine did not start, from what it said."""
    program = next(iter([*(task.entrypoint or ()), *(task.command or ())]), "")
    if "exec" in said and _NO_COMMAND.search(said):
        text, code = f"the image {task.run.image} has no program {program!r}", 127
    elif "exec" in said and _NO_RIGHT.search(said):
        text, code = f"{program!r} cannot be executed", 126
    elif "could not select device driver" in said:
        text = "the job asks for a card; Docker lacks NVIDIA's container toolkit to give it one"
        code = 2
    elif "no command specified" in said.lower():
        text, code = f"neither the job nor the image {task.run.image} says what to run", 2
    else:
        text, code = f"the engine says: {said.strip()[:300]}", 2
    return Unstartable(FAILED, text, status=status, code=code)


def failed(error: Exception, what: str) -> Unstartable:
    """Return the error of what an engine did not do."""
    said = str(getattr(error, "explanation", "") or type(error).__name__)
    status = getattr(error, "status_code", None) or 0
    return Unstartable(FAILED, f"{what}: {said.strip()[:300]}", status=status)


def _own_labels(run: Run) -> dict[str, str]:
    """Return what of a definition has to be known when its container has ended."""
    found = {}
    if run.authentication and run.authentication.docker:
        found[PRIVATE] = "1"
    policy = run.restart_policy
    if policy in ("always", "unless-stopped"):
        found[AGAIN] = "always"
    elif policy == "on-failure":
        found[AGAIN] = str(1 << 30)
    elif policy is not None and not isinstance(policy, str):
        found[AGAIN] = str(policy.restart_tries)
    return found


def _aliases(task: Task) -> list[str]:
    """Return the names under which an operation is found by others of its job."""
    asked = task.run.aliases or []
    names = asked.split(",") if isinstance(asked, str) else asked
    return [name.strip() for name in [task.operation, *names] if name.strip()]
