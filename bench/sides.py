"""
Two sides measured in turn, and what is told of it.

Ours and the peer's are asked alternately, A/B/A/B, so that what else the machine does falls on both
alike. A ratio is that of the medians; its spread is the interquartile range of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

UNITS = {"ms": 1e3, "µs": 1e6, "s": 1.0, "MB": 1e-6}
"""By which seconds, or bytes, are multiplied to be shown."""


class Row(msgspec.Struct, kw_only=True):
    """One line of the table."""

    what: str
    peer: str
    ours: float
    """Median, in seconds or bytes."""

    theirs: float
    ratio: float
    spread: tuple[float, float] | None = None
    """Interquartile range of the pairs' ratios."""

    aim: float | None = None
    """Largest ratio that was aimed at."""

    unit: str = "ms"
    pairs: int = 0
    note: str = ""

    @property
    def met(self) -> str:
        if self.aim is None:
            return ""
        return f"≤ {self.aim:g}: " + ("met" if self.ratio <= self.aim else "MISSED")

    def cells(self) -> list[str]:
        """Return it as the table shows it."""
        scale = UNITS[self.unit]
        spread = f" ({self.spread[0]:.2f} to {self.spread[1]:.2f})" if self.spread else ""
        return [
            self.what + (f" ({self.note})" if self.note else ""),
            self.peer,
            f"{self.ours * scale:.4g} {self.unit}",
            f"{self.theirs * scale:.4g} {self.unit}",
            f"{self.ratio:.2f}{spread}",
            self.met,
        ]


class Report(msgspec.Struct, kw_only=True):
    """What one measure found."""

    rows: list[Row]
    missing: list[str] = []
    """Peers that are not installed here."""


Measure = Callable[[bool, bool], Report]
"""Takes whether to measure in a tiny form, and whether peers take part."""


def compare(
    what: str,
    peer: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    aim: float | None = None,
    unit: str = "ms",
    note: str = "",
) -> Row:
    """Return the line of measurements that were taken in turn."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    quarters = statistics.quantiles(ratios, n=4) if len(ratios) > 3 else None
    mine, other = statistics.median(ours), statistics.median(theirs)
    return Row(
        what=what, peer=peer, ours=mine, theirs=other, ratio=mine / other, aim=aim, unit=unit,
        spread=(quarters[0], quarters[2]) if quarters else None, pairs=len(ratios), note=note,
    )  # fmt: skip


def alternate(
    sides: Mapping[str, Callable[[], float]], *, rounds: int, warm: int = 1
) -> dict[str, list[float]]:
    """Ask each side in turn, as often as `rounds` says; return what they took."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + warm):
        for name, ask in sides.items():
            took = ask()
            if turn >= warm:
                times[name].append(took)
    # A peer that ended on the way has measured nothing; ours must not.
    ended = [name for name, found in times.items() if any(map(math.isnan, found))]
    for name in ended:
        print(f"{name} ended while it was measured, and is left out", file=sys.stderr)
        del times[name]
    return times


def there(modules: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return which peers are installed here and which are not, by the modules they need."""
    found = [name for name, module in modules.items() if importlib.util.find_spec(module)]
    return found, [name for name in modules if name not in found]


@contextmanager
def network(*options: str, prepared: Callable[[Path], None] = lambda _: None) -> Iterator[None]:
    """Run a local network in a folder of its own, which the environment names meanwhile."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"NOSANA_JUPYTER_HOME": home, "NOSANA_EXECUTOR": "process"}
        local = [sys.executable, "-m", "nosana_jupyter.local"]
        prepared(Path(home))
        try:
            subprocess.run([*local, "start", *options], check=True, capture_output=True)
            try:
                yield
            finally:
                subprocess.run([*local, "stop"], check=True, capture_output=True)
        finally:
            os.environ.clear()
            os.environ.update(before)


def machine() -> str:
    """Say what this machine is, in words."""
    name = platform.processor() or platform.machine()
    for line in _read("/proc/cpuinfo"):
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{cores} cores of {name}, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _read(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def markdown(rows: Sequence[Row]) -> str:
    """Return the table."""
    head = ["what", "peer", "ours", "peer's", "ours / peer's (quartiles)", "aim"]
    lines = [head, ["-"] * len(head), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(measure: Measure, about: str | None) -> int:
    """Be the command line of one measure."""
    parser = argparse.ArgumentParser(description=(about or "").strip().splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="once, and small: does it work?")
    parser.add_argument("--alone", action="store_true", help="without peers")
    parser.add_argument("--json", metavar="FILE", help="leave the rows there as well")
    options = parser.parse_args()
    report = measure(options.tiny, not options.alone)
    print(markdown(report.rows))
    if report.missing:
        print(f"\nnot installed here: {', '.join(report.missing)}")
    if options.json:
        Path(options.json).write_bytes(msgspec.json.encode(report))
    return 0
