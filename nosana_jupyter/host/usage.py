"""
What the operations of a job take of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any

import psutil

from .executor import Executor, Sample
from .record import Record, now

SAMPLE = 0.1
"""Seconds over which the use of processors is measured."""


async def usage(record: Record, executor: Executor) -> list[dict[str, Any]]:
    """Return one sample for each operation that runs, in the words of the node API."""
    running = {
        state.operation_id: started
        for state in record.states
        if state.status == "running"
        and (started := record.started.get(state.operation_id)) is not None
    }
    samples = await asyncio.gather(*(executor.sample(started) for started in running.values()))
    return [
        _told(operation, found)
        for operation, found in zip(running, samples, strict=True)
        if found is not None
    ]


def sample(pid: int) -> Sample:
    """Measure a process and its children. Takes a tenth of a second."""
    family = _family(pid)
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.cpu_percent()
    time.sleep(SAMPLE)
    processor, memory, read, written = 0.0, 0, 0, 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            processor += process.cpu_percent()
            memory += process.memory_info().rss
            if hasattr(process, "io_counters"):
                counted = process.io_counters()
                read, written = read + counted.read_bytes, written + counted.write_bytes
    most = psutil.virtual_memory().total
    return Sample(processor=processor, memory=memory, most=most, read=read, written=written)


def of_container(found: Mapping[str, Any]) -> Sample | None:
    """Read what an engine has measured of a container; nothing if it does not run."""
    memory = found.get("memory_stats") or {}
    if not memory.get("limit"):
        return None
    now, before = found["cpu_stats"], found["precpu_stats"]
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    # What is only cached is given back when it is needed.
    kinds = memory.get("stats", {})
    cached = kinds.get("total_inactive_file", kinds.get("inactive_file", 0))
    blocks = (found.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    disk = {
        kind: sum(each["value"] for each in blocks if each["op"].lower() == kind)
        for kind in ("read", "write")
    }
    lines = (found.get("networks") or {}).values()
    cores = now.get("online_cpus") or 1
    return Sample(
        processor=round(100 * cores * used / passed, 2) if passed > 0 else 0.0,
        memory=max(0, memory.get("usage", 0) - cached),
        most=memory["limit"],
        read=disk["read"],
        written=disk["write"],
        received=sum(line["rx_bytes"] for line in lines),
        sent=sum(line["tx_bytes"] for line in lines),
    )


def _told(operation: str, found: Sample) -> dict[str, Any]:
    return {
        "opId": operation,
        "timestamp": now(),
        "cpu": {"cpu_percent": found.processor},
        "memory": {
            "memory_usage": found.memory,
            "memory_limit": found.most,
            "memory_percent": round(100 * found.memory / found.most, 2),
        },
        "disk": {"read": found.read, "write": found.written},
        "network": {"received": found.received, "sent": found.sent},
    }


def _family(pid: int) -> list[psutil.Process]:
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.Error:
        return []
