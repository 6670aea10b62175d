"""
What the operations of a job take of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
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
