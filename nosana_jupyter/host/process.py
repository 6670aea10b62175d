"""
Operations as plain subprocesses, where there is no container engine.

This is no sandbox: a job can do what the user can. So it is for loopback networks only, and there
for wallets that the host was told to trust. An operation outlives the host that started it: its
number, its output and its exit code go to files, and the next host takes it up again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from ..errors import UsageError
from ..loopback import is_loopback
from ..network import Network
from ..settings import environment_value
from ..wire import launch
from ..wire.definition import Defaults, Run
from . import surroundings
from .executor import GRACE, KILLED, Started

MOST_FILES = 4096
MOST_BYTES = 64 << 30
"""Largest file that an operation may write."""

MEMORY_SHARE = 0.9
"""How much of this machine's memory one process of an operation may have."""

SPARE = 86_400
"""CPU seconds that each core has on top of a job's timeout, which its poster may still extend."""

CERTIFICATES = (
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT",
)  # fmt: skip
"""Where certificates lie: behind a proxy of a company nothing can be installed without."""

NICENESS = 5

PREFIX = "nosana-"
"""How the names of operations' folders begin."""

CURRENT, HOME, TEMPORARY = "work", "home", "tmp"
"""An operation's folders. What unpacks itself into the last is not seen by who looks around."""

PYTHON = "python"
"""Folder of its Python, beside its output: what it installs may be too much for the others."""

LOST = KILLED
"""Exit code of an operation that was killed together with the shell that watched it."""

# Says its number before anything else, bounds itself, and leaves the exit code where a host finds
# it that did not start it. The trap keeps the shell alive while what it runs is asked to end. Where
# memory runs out all the same, the job goes first and not the user's notebook.
_WRAPPER = """\
echo $$ > "$0/pid"
trap : TERM INT HUP
ulimit -c 0; ulimit -n {files}; ulimit -f {blocks}; ulimit -t {seconds}
ulimit -d {kibibytes} 2> /dev/null
{{ echo 1000 > /proc/self/oom_score_adj; }} 2> /dev/null
"$@"
code=$?
echo $code > "$0/exit"
exit $code
"""


def refuse_strangers(network: Network) -> None:
    """
    Refuse a network that others can reach.

    Raises:
        UsageError: It is not this machine's own.
    """
    addresses = (
        network.rpc, network.websocket, network.pin, network.gateway, network.api, network.tunnel,
    )  # fmt: skip
    if not is_loopback(*addresses):
        raise UsageError(
            f"without containers a host serves only its own machine, not {network.name}",
            hint="Install Docker or podman.",
        )


def refuse(run: Run, network: Network) -> str:
    """Say what of an operation needs containers; empty if nothing does."""
    if run.resources:
        return "resources need containers"
    if run.volumes:
        return "volumes need containers"
    if run.gpu and not network.stand_in:
        return "cards need containers"
    if not run.cmd and not run.entrypoint:
        return "without its image nobody knows what to run: give a cmd"
    return ""


def plan(run: Run, parent: Path, name: str) -> Started:
    """
    Choose folders and ports for an operation, before it is started.

    Args:
        run: What will run.
        parent: Where its folder is made.
        name: What the folder is called, more or less: it may hold anything but spaces.
    """
    folder = parent / f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)[:40]}-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700, parents=True)
    return Started(
        folder=str(folder),
        # Short: a socket's path may have no more than 108 characters.
        work=tempfile.mkdtemp(prefix=PREFIX),
        ports=dict(zip(run.ports(), free_ports(len(run.ports())), strict=True)),
    )


class Process:
    """
    A running operation, started by this host or by an earlier life of it.

    Args:
        started: What was written down.
        child: The process, if it is ours.
    """

    def __init__(self, started: Started, child: subprocess.Popen[bytes] | None = None) -> None:
        self.started = started
        self._child = child
        self._folder = Path(started.folder)
        self._process = self._identify()

    @property
    def pid(self) -> int | None:
        """Number of the process; nothing if it has never begun or is gone."""
        return self._process.pid if self._process else None

    @property
    def began(self) -> bool:
        """Whether it was ever started."""
        return (self._folder / "pid").exists() or self._child is not None

    @property
    def alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return _lives(self._process)

    def exit_code(self) -> int | None:
        """Return the exit code; nothing while it runs."""
        code = self._written()
        if code is not None or self.alive:
            return code
        # It may have been written between the two looks.
        return LOST if (code := self._written()) is None else code

    async def stop(self, grace: float = GRACE) -> None:
        """End it and everything it has started, within twice the grace."""
        family = await asyncio.to_thread(self._family)
        self._signal(signal.SIGTERM, family)
        deadline = time.monotonic() + grace
        while (self.alive or any(map(_lives, family))) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        deadline = time.monotonic() + grace
        # Again and again: who is asked to end may have forked meanwhile.
        while (family := await asyncio.to_thread(self._family)) or self.alive:
            self._signal(signal.SIGKILL, family)
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.02)
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(0)

    def clean(self) -> None:
        """Remove what it left on the disk."""
        for folder in (self.started.folder, self.started.work):
            shutil.rmtree(folder, ignore_errors=True)

    def _identify(self) -> psutil.Process | None:
        """Find the process by the number it left; numbers of processes are used again."""
        try:
            if self._child is not None:
                return psutil.Process(self._child.pid)
            process = psutil.Process(int((self._folder / "pid").read_text()))
            return process if self.started.folder in process.cmdline() else None
        except (OSError, ValueError, psutil.Error):
            return None

    def _written(self) -> int | None:
        try:
            text = (self._folder / "exit").read_text()
        except (OSError, UnicodeDecodeError):
            return None
        # The job itself can write there: what is no exit code is none.
        return int(text) if re.fullmatch(r"[0-9]{1,3}\n", text, re.ASCII) else None

    def _family(self) -> list[psutil.Process]:
        """
        Return what lives of all it has started.

        Its children's children; and who left them but is of its session, or has the home or the
        folder that it was given.
        """
        found = {}
        if self._process is not None:
            with contextlib.suppress(psutil.Error):
                found = {child.pid: child for child in self._process.children(recursive=True)}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if self._belongs(process):
                    found[process.pid] = process
        return [process for process in found.values() if _lives(process)]

    def _belongs(self, process: psutil.Process) -> bool:
        work = self.started.work
        if self._process is not None and os.getsid(process.pid) == self._process.pid:
            return bool(process.pid != self._process.pid)
        environment = process.environ()
        places = [environment.get("TMPDIR"), environment.get("HOME"), process.cwd()]
        return any(place and Path(place).is_relative_to(work) for place in places)

    def _signal(self, number: signal.Signals, family: Iterable[psutil.Process]) -> None:
        if self.alive and self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)


def start(
    run: Run,
    defaults: Defaults | None,
    started: Started,
    *,
    job: str,
    timeout: int,
    cache: Path,
    keep: int = 0,
) -> Process:
    """
    Start an operation.

    Args:
        run: What to run.
        defaults: The definition's own.
        started: Where, from `plan`.
        job: Address of the job.
        timeout: Seconds that the job may take.
        cache: Where the host keeps what later jobs can use.
        keep: Bytes that it keeps of that.

    Raises:
        OSError: It cannot be started.
    """
    folder = Path(started.folder)
    (folder / "work").write_text(started.work)
    for name in (HOME, TEMPORARY):
        Path(started.work, name).mkdir(mode=0o700, exist_ok=True)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wrapper = _WRAPPER.format(
        files=MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard),
        blocks=MOST_BYTES // 512,
        seconds=(timeout + SPARE) * (os.cpu_count() or 1),
        kibibytes=int(psutil.virtual_memory().total * MEMORY_SHARE) >> 10,
    )
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        child = subprocess.Popen(
            ["/bin/sh", "-c", wrapper, started.folder, *_command(run, defaults)],
            cwd=_current(run, defaults, started),
            env=_environment(run, defaults, started, job=job, cache=cache, keep=keep),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PGRP, child.pid, NICENESS)
    return Process(started, child)


def strays(parent: Path) -> list[Process]:
    """Return operations that run in a job's folder, though nothing that can be read says so."""
    found = []
    for path in parent.glob("*/pid"):
        folder = str(path.parent)
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(int(path.read_text()))
            work = (path.parent / "work").read_text()
            # It will be removed: nothing but what `plan` has made may be.
            if folder in process.cmdline() and Path(work).name.startswith(PREFIX):
                found.append(Process(Started(folder=folder, work=work, ports={})))
    return found


def _lives(process: psutil.Process | None) -> bool:
    try:
        return bool(
            process is not None
            and process.is_running()
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.Error:
        return False


def _command(run: Run, defaults: Defaults | None) -> list[str]:
    entry = run.entrypoint or (defaults.entrypoint if defaults else None) or []
    command = run.cmd or []
    if isinstance(command, str):
        command = ["/bin/sh", "-c", command]
    return [*([entry] if isinstance(entry, str) else entry), *command]


def _current(run: Run, defaults: Defaults | None, started: Started) -> Path:
    """Return the working folder: the one asked for, but inside the operation's own."""
    asked = run.work_dir or (defaults.work_dir if defaults else None) or ""
    root = Path(started.work, CURRENT).resolve()
    path = (root / asked.lstrip("/")).resolve()
    if not path.is_relative_to(root):
        path = root
    path.mkdir(parents=True, exist_ok=True)
    return path


def _environment(
    run: Run, defaults: Defaults | None, started: Started, *, job: str, cache: Path, keep: int
) -> dict[str, str]:
    """Return the environment of an operation: of the host's own only whom it trusts."""
    return {
        **{name: path for name in CERTIFICATES if (path := environment_value(name))},
        **surroundings.make(Path(started.folder, PYTHON), cache),
        "LANG": "C.UTF-8",
        "HOME": str(Path(started.work, HOME)),
        "TMPDIR": str(Path(started.work, TEMPORARY)),
        **((defaults.env or {}) if defaults else {}),
        **(run.env or {}),
        launch.JOB: job,
        launch.CACHE: str(cache),
        launch.CACHE_BYTES: str(keep),
        launch.NOT_ISOLATED: "1",
        **{launch.port_variable(port): str(real) for port, real in started.ports.items()},
    }


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody listens on, for now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
