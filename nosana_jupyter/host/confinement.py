"""
What a container may not do: the limits and refusals that every operation runs under.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.types

from ..engines import Engine

PROCESSES = 4096
"""Most processes and threads of one operation."""

MEMORY_SHARE = 0.9
PROCESSOR_SHARE = 0.9
"""How much of the machine one operation may have; the rest is for the host and its user."""

WEIGHT = 512
"""Share of processors when all want them. Others have 1,024."""

DISK = 64 << 30
"""Bytes that an operation may write into its own file system."""

SHARED = 4 << 30
"""Most bytes of shared memory, as on real nodes: the usual 64 MiB break PyTorch's loaders."""

TEMPORARY = 2 << 30
"""Most bytes of a temporary folder that is in memory."""

LOG = {"max-size": "64m", "max-file": "2"}
"""What the engine keeps of the output, for a host that comes back."""

KILL_FIRST = 500
"""Where memory runs out all the same, the job goes before the user's own programs."""

READ_ONLY = "NOSANA_READ_ONLY"
"""
A definition says by this variable that an operation needs no image it can write to: there is no
other word for it, and many need one. Runners of cells never do.
"""

# No way to this machine by its usual names: they lead to a public resolver, as on real nodes.
ELSEWHERE = {"host.docker.internal": "8.8.8.8", "host.containers.internal": "8.8.8.8"}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one operation may have."""

    memory: int
    """Bytes."""

    processors: float
    processes: int = PROCESSES
    disk: int = DISK
    """Bytes."""


def limits(info: dict[str, Any]) -> Limits:
    """Return what an operation may have of the machine that an engine runs on."""
    return Limits(
        memory=int(int(info["MemTotal"]) * MEMORY_SHARE),
        processors=round(int(info["NCPU"]) * PROCESSOR_SHARE, 2),
    )


def host_config(engine: Engine, limits: Limits, **more: Any) -> dict[str, Any]:
    """
    Return how a container is kept in.

    Root in a container is root of this machine, but without a single capability, and unable to
    gain one. Another user would not do: images are made to run as their own.

    Args:
        engine: Which creates it.
        limits: What it may have.
        more: What else is to be in it.
    """
    temporary = min(TEMPORARY, limits.memory // 4)
    if not engine.podman:
        # Podman forgets its own limits for the first, and knows not the others.
        more["ulimits"] = [docker.types.Ulimit(name="core", soft=0, hard=0)]
        more["log_config"] = docker.types.LogConfig(type="json-file", config=LOG)
        more["oom_score_adj"] = KILL_FIRST
    if more.get("read_only"):
        folders = ("/tmp", "/var/tmp", "/run")  # noqa: S108 - of the container
        more["tmpfs"] = dict.fromkeys(folders, f"size={temporary},mode=1777,exec")
    config: dict[str, Any] = engine.client.api.create_host_config(
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        pids_limit=limits.processes,
        mem_limit=limits.memory,
        memswap_limit=limits.memory,
        nano_cpus=int(limits.processors * 1e9),
        cpu_shares=WEIGHT,
        shm_size=min(SHARED, limits.memory // 2),
        extra_hosts=ELSEWHERE,
        ipc_mode="private",
        init=True,
        **more,
    )
    return config


def mtu() -> int:
    """
    Return the largest packet of this machine's way out; 0 if it is the usual one.

    An engine gives its own networks 1,500 bytes, and on a narrower line large answers never arrive.
    """
    try:
        for line in Path("/proc/net/route").read_text().splitlines()[1:]:
            name, destination = line.split()[:2]
            if destination == "00000000":
                found = int(Path("/sys/class/net", name, "mtu").read_text())
                return found if found < 1500 else 0
    except (OSError, ValueError):
        pass
    return 0
