"""
What the operations of a job take of the machine.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import psutil

from .process import Process
from .record import Record, now

SAMPLE = 0.1
"""Seconds over which the use of processors is measured."""


def usage(record: Record) -> list[dict[str, Any]]:
    """Return one sample for each operation that runs. Takes a tenth of a second for each."""
    found = []
    for state in record.states:
        started = record.started.get(state.operation_id)
        if state.status != "running" or started is None:
            continue
        pid = Process(started).pid
        if pid is None:
            continue
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
        whole = psutil.virtual_memory().total
        found.append(
            {
                "opId": state.operation_id,
                "timestamp": now(),
                "cpu": {"cpu_percent": processor},
                "memory": {
                    "memory_usage": memory,
                    "memory_limit": whole,
                    "memory_percent": round(100 * memory / whole, 2),
                },
                "disk": {"read": read, "write": written},
                "network": {"received": 0, "sent": 0},
            }
        )
    return found


def _family(pid: int) -> list[psutil.Process]:
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.Error:
        return []
