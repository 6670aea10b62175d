"""
Operations as plain subprocesses, where there is no container engine.

This is no sandbox: a job can do what the user can. So it is for loopback networks only, and there
for wallets that the host was told to trust. An operation outlives the host that started it: its
output and its exit code go to files, and the next host takes it up again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil

from ..errors import UsageError
from ..loopback import is_loopback
from ..network import Network
from ..wire import launch
from ..wire.definition import Defaults, Run

ISOLATED = False
"""What runs here is not kept from the rest of the machine."""

MOST_FILES = 4096
MOST_BYTES = 64 << 30
"""Largest file that an operation may write."""

GRACE = 3.0
"""Seconds between asking an operation to end and ending it."""

# Writes the exit code where a host finds it that did not start the process.
_WRAPPER = '"$@"; code=$?; echo $code > "$0.new"; mv "$0.new" "$0"; exit $code'


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A running operation, as it is written down."""

    pid: int
    born: float
    """When the process was made, in Unix seconds: numbers of processes are used again."""

    folder: str
    ports: dict[int, int]
    """Exposed ports, and where they really are."""


def refuse_strangers(network: Network) -> None:
    """
    Refuse a network that others can reach.

    Raises:
        UsageError: It is not this machine's own.
    """
    if not is_loopback(network.rpc, network.pin, network.tunnel):
        raise UsageError(
            f"without containers a host serves only its own machine, not {network.name}",
            hint="Install Docker or podman.",
        )


async def start(
    run: Run, defaults: Defaults | None, *, job: str, folder: Path, cache: Path
) -> Started:
    """
    Start an operation.

    Args:
        run: What to run.
        defaults: The definition's own.
        job: Address of the job.
        folder: A new folder for the operation alone.
        cache: Where the host keeps what later jobs can use.

    Raises:
        OSError: Its program cannot be started.
    """
    work = folder / "work"
    work.mkdir(mode=0o700, parents=True)
    ports = {port: _free_port() for port in run.ports()}
    environment = _environment(run, defaults, job=job, work=work, cache=cache)
    environment |= {launch.port_variable(port): str(real) for port, real in ports.items()}
    command = _command(run, defaults)
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", _WRAPPER, str(folder / "exit"), *command,
            cwd=work, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=err,
            start_new_session=True, preexec_fn=_limit,
        )  # fmt: skip
    born = psutil.Process(process.pid).create_time()
    return Started(pid=process.pid, born=born, folder=str(folder), ports=ports)


def exit_code(started: Started) -> int | None:
    """Return the exit code of an operation; nothing while it runs; -9 if it was killed."""
    with contextlib.suppress(OSError, ValueError):
        return int((Path(started.folder) / "exit").read_text())
    return None if alive(started) else -9


def alive(started: Started) -> bool:
    """Say whether the process we started still runs."""
    try:
        process = psutil.Process(started.pid)
        same = abs(process.create_time() - started.born) < 1
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def stop(started: Started) -> None:
    """End an operation and everything it has started."""
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        if not alive(started):
            break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, number)
        deadline = time.monotonic() + patience
        while alive(started) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(started.pid, signal.SIGKILL)


def clean(started: Started) -> None:
    """Remove what an operation left on the disk."""
    shutil.rmtree(started.folder, ignore_errors=True)


def _command(run: Run, defaults: Defaults | None) -> list[str]:
    entry = run.entrypoint or (defaults.entrypoint if defaults else None) or []
    command = run.cmd or []
    if isinstance(command, str):
        command = ["/bin/sh", "-c", command]
    return [*([entry] if isinstance(entry, str) else entry), *command] or ["true"]


def _environment(
    run: Run, defaults: Defaults | None, *, job: str, work: Path, cache: Path
) -> dict[str, str]:
    """Return the environment of an operation: nothing of the host's own."""
    programs = str(Path(sys.executable).parent)
    given: Mapping[str, str] = {
        **((defaults.env or {}) if defaults else {}),
        **(run.env or {}),
    }
    return {
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(work),
        "LANG": "C.UTF-8",
        **given,
        launch.JOB: job,
        launch.CACHE: str(cache),
        launch.NOT_ISOLATED: "1",
    }


def _limit() -> None:
    """Bound what the process may take. Runs in the child, before the program."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_BYTES, MOST_BYTES))
    os.nice(5)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
