"""
What this machine is: processor, memory, disk, cards, and what jobs run in.
"""

from __future__ import annotations

import asyncio
import platform
import shutil
from pathlib import Path
from typing import Any

import msgspec
import psutil

from .. import __version__


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU of this machine."""

    index: int
    name: str
    uuid: str
    memory: float
    """In MiB; 0 where the driver does not say, as of cards that use the machine's."""

    driver: str


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
    cards: tuple[Card, ...]
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
        cards=await cards(),
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
                        "memory": {"total_mb": card.memory},
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


async def cards() -> tuple[Card, ...]:
    """Ask the driver's own tool; no tool, no cards."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    asked = "--query-gpu=index,name,uuid,memory.total,driver_version"
    process = await asyncio.create_subprocess_exec(
        tool, asked, "--format=csv,noheader,nounits",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 10)
    except TimeoutError:
        process.kill()
        return ()
    found = []
    for line in output.decode(errors="replace").splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 5 and parts[0].isdigit():
            found.append(
                Card(
                    index=int(parts[0]), name=parts[1], uuid=parts[2],
                    memory=_number(parts[3]), driver=parts[4],
                )
            )  # fmt: skip
    return tuple(found)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
