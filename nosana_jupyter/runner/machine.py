"""
What this machine is: the runner's hello.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import cloudpickle

from ..wire import pieces
from ..wire.messages import VERSION, Gpu, Hello

_GIB = 1 << 30
_PATIENCE = 20.0


def hello(*, isolated: bool) -> Hello:
    """Describe this machine. Asks the driver, which may take seconds."""
    return Hello(
        version=VERSION,
        python=platform.python_version(),
        implementation=sys.implementation.name,
        platform=sys.platform,
        machine=platform.machine(),
        cloudpickle=cloudpickle.__version__,
        cpus=cpus(),
        memory=memory(),
        disk=shutil.disk_usage(Path.cwd()).free / _GIB,
        gpus=_gpus(),
        isolated=isolated,
        unpacks=pieces.packers(),
    )


def peak_memory() -> float:
    """Return the most memory this process has held, in GiB."""
    try:
        import resource
    except ImportError:  # Windows.
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _GIB if sys.platform == "darwin" else peak * 1024 / _GIB


def cpus() -> int:
    """Return the number of processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Of Linux.
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def memory() -> float:
    """Return the memory that this process may have, in GiB."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    except (AttributeError, ValueError, OSError):
        return 0.0
    # A container sees the whole machine's memory and gets the limit of its group.
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            whole = min(whole, int(Path("/sys/fs/cgroup", name).read_text()) / _GIB)
        except (OSError, ValueError):
            continue
    return whole


def _gpus() -> list[Gpu]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            [program, *query],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return []
    cards = []
    for line in answer.stdout.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 3 and fields[1].isdigit():
            cards.append(Gpu(name=fields[0], memory=int(fields[1]) / 1024, driver=fields[2]))
    return cards
