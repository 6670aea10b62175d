"""
What this machine is: processor, memory, disk, cards, and what jobs run in.
"""

from __future__ import annotations

import platform
import shutil
from pathlib import Path
from typing import Any

import msgspec
import psutil

from .. import __version__
from . import driver
from .driver import Gpu


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What a host offers."""

    cpu: str
    cores: int
    threads: int
    memory: int
    """In MiB."""

    disk: int
    """Free, in GiB."""

    system: str
    cards: tuple[Gpu, ...]
    engine: str
    """What jobs run in: the name and version of an engine, or `plain processes`."""


async def inspect(folder: Path, *, engine: str) -> Machine:
    """
    Look at this machine.

    Args:
        folder: On the disk that jobs will use.
        engine: What jobs run in.
    """
    return Machine(
        cpu=_cpu(),
        cores=psutil.cpu_count(logical=False) or 1,
        threads=psutil.cpu_count() or 1,
        memory=psutil.virtual_memory().total >> 20,
        disk=shutil.disk_usage(folder).free >> 30,
        system=platform.platform(),
        cards=await driver.cards(),
        engine=engine,
    )


def node_info(
    machine: Machine, *, node: str, state: str, uptime: float, images: list[str]
) -> dict[str, Any]:
    """Return what `GET /node/info` answers."""
    return {
        "node": node,
        "uptime": int(uptime),
        "state": state,
        "info": {
            "version": __version__,
            "country": None,
            "system_environment": machine.system,
            "protocol": "nosana_jupyter",
            "engine": machine.engine,
            "disk_gb": machine.disk,
            "ram_mb": machine.memory,
            "cpu": {
                "model": machine.cpu,
                "physical_cores": machine.cores,
                "logical_cores": machine.threads,
            },
            "network": {"ping_ms": None, "download_mbps": None, "upload_mbps": None},
            "gpus": {
                "devices": [
                    {
                        "index": card.index,
                        "name": card.name,
                        "uuid": card.uuid,
                        "memory": {"total_mb": card.memory * 1024},
                        "network_architecture": None,
                    }
                    for card in machine.cards
                ],
                "nvml_driver_version": machine.cards[0].driver if machine.cards else None,
            },
        },
        # Volumes are of jobs: their names are nobody's business.
        "resources": {"images": images, "volumes": []},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
