"""
What the cards of this machine do while a cell runs; its processors and memory, where it has none.

The driver's own program is asked, in one process that goes on for as long as cells run. A cell that
is over within a second never hears of any of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from ..wire.messages import Gauge
from .machine import cpus, memory

EVERY = 1.0
"""Seconds between two looks."""

IDLE = 60
"""Looks without a cell after which the driver's program is ended."""

OLD = 3.0
"""Seconds after which what it has said of a card is no longer so."""

_GROUP = Path("/sys/fs/cgroup")
_QUERY = "--query-gpu=index,memory.used,memory.total,utilization.gpu"


class Gauges:
    """
    Looks each second.

    Args:
        busy: Says whether a cell runs.
        tell: Takes what is seen, on a thread of ours.
    """

    def __init__(self, busy: Callable[[], bool], tell: Callable[[Gauge], None]) -> None:
        self._busy = busy
        self._tell = tell
        self._program = shutil.which("nvidia-smi")
        self._process: Optional[subprocess.Popen[str]] = None
        self._cards: dict[str, tuple[float, list[Optional[float]]]] = {}
        self._spent = (0.0, 0.0)

    def run(self) -> None:
        """Look until the process ends."""
        idle = IDLE
        while True:
            time.sleep(EVERY)
            if not self._busy():
                idle += 1
                if idle == IDLE and self._process is not None:
                    self._process.terminate()
                continue
            if idle >= IDLE:
                self._begin()
            idle = 0
            seen = self._of_cards()
            if seen is None and (self._process is None or self._process.poll() is not None):
                seen = self._of_machine()
            if seen is not None:
                self._tell(seen)

    def _begin(self) -> None:
        self._spent = _spent()
        if self._program is None:
            return
        command = [self._program, _QUERY, "--format=csv,noheader,nounits"]
        try:
            # In a session of its own: what interrupts a cell is none of its business.
            self._process = subprocess.Popen(
                [*command, f"--loop-ms={EVERY * 1000:.0f}"], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace",
                start_new_session=True,
            )  # fmt: skip
        except OSError:
            self._program = None
            return
        threading.Thread(target=self._read, args=[self._process], daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        with process as talk:
            for line in talk.stdout or ():
                card, *fields = line.split(",")
                if len(fields) == 3 and len(self._cards) < 64:
                    self._cards[card] = time.monotonic(), [_number(each) for each in fields]

    def _of_cards(self) -> Optional[Gauge]:
        """Return what all cards together do."""
        since = time.monotonic() - OLD
        seen = [each for at, each in list(self._cards.values()) if at > since]
        if not seen:
            return None
        used, total, busy = ([n for n in each if n is not None] for each in zip(*seen))
        return Gauge(
            sum(used) / 1024, sum(total) / 1024, sum(busy) / len(busy) if busy else None, True
        )

    def _of_machine(self) -> Optional[Gauge]:
        """Return what processors and memory do: of this container, where it says that."""
        before, self._spent = self._spent, _spent()
        passed = self._spent[1] - before[1]
        busy = 100 * (self._spent[0] - before[0]) / passed if passed > 0 and before[1] else None
        used = _used()
        return None if used is None else Gauge(used, memory(), busy, False)


def _number(text: str) -> Optional[float]:
    try:
        return float(text)
    except ValueError:  # As `[N/A]`.
        return None


def _lines(path: Path) -> dict[str, str]:
    """Return a file of names and numbers."""
    with contextlib.suppress(OSError):
        found = (line.split(None, 1) for line in path.read_text().splitlines())
        return {each[0].rstrip(":"): each[1] for each in found if len(each) == 2}
    return {}


def _used() -> Optional[float]:
    """Return the memory in use, in GiB, without what files have in it."""
    with contextlib.suppress(OSError, ValueError):
        whole = int((_GROUP / "memory.current").read_text())
        cached = int(_lines(_GROUP / "memory.stat").get("inactive_file", 0))
        return max(0, whole - cached) / (1 << 30)
    known = _lines(Path("/proc/meminfo"))
    with contextlib.suppress(KeyError, ValueError):
        total, free = (int(known[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
        return (total - free) / (1 << 20)
    return None


def _spent() -> tuple[float, float]:
    """Return the time that processors were at work, and all they had, in seconds."""
    own = _lines(_GROUP / "cpu.stat").get("usage_usec", "")
    if own.isdigit():
        return int(own) / 1e6, time.monotonic() * cpus()
    with contextlib.suppress(OSError, ValueError):
        ticks = [int(each) for each in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        second = os.sysconf("SC_CLK_TCK")
        return (sum(ticks) - ticks[3] - ticks[4]) / second, sum(ticks) / second
    return 0.0, 0.0
