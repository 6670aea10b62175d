"""
What processes hold while they work: memory, open files, threads, files on disk, and what is alive.

Whether they hold it steadily is said by a line fitted through the second half of the looks, and not
by one look: a first half may fill caches, and a last look may fall between a request and its end.

Resident memory is the poorest of these. Allocators keep what was free once, in pieces, and that
rises for thousands of jobs until it is level: the bound on it is wide. So what lives is counted
too, between jobs, where it should be the same each time: objects and blocks of Python one by one,
the bytes that malloc has given out, and open files, as amid jobs a slower machine has more lines.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MEBIBYTE = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Most:
    """How much a process may grow: by the fitted line, in a thousand pieces of work."""

    memory: float
    """Bytes."""

    files: float = 1.0
    threads: float = 1.0
    objects: float = 200.0
    """Objects of Python that refer to others."""

    blocks: float = 1500.0
    """Pieces of memory that Python has given out, up to 512 bytes each."""

    allocated: float = 0.5 * MEBIBYTE
    """Bytes that malloc has given out: larger pieces, and what is not Python's."""


ALIVE = ("files", "objects", "blocks", "allocated")
"""What is counted between pieces of work."""

PATIENCE = 20.0
"""Seconds in which a process says what is alive in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What a process held at one moment."""

    done: int
    """Pieces of work that were done by then."""

    memory: int
    """Resident, in bytes."""

    threads: int


@dataclass
class Watched:
    """A process, and what it held."""

    pid: int
    looks: list[Held] = field(default_factory=list)
    alive: list[tuple[int, dict[str, int]]] = field(default_factory=list)
    """What lived in it, after so many pieces of work."""

    def look(self, done: int) -> None:
        """Note what it holds now; nothing, if it is gone."""
        try:
            process = psutil.Process(self.pid)
            with process.oneshot():
                self.looks.append(
                    Held(
                        done=done, memory=process.memory_info().rss, threads=process.num_threads()
                    )
                )  # fmt: skip
        except psutil.Error:
            pass

    def count(self, done: int) -> None:
        """Ask it what is alive in it, while nothing is under way. It was begun in `told_alive`."""
        answer = Path(os.environ[PLACE]) / f"{self.pid}.json"
        answer.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR2)
        deadline = time.monotonic() + PATIENCE
        while not answer.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} does not say what is alive in it")
            time.sleep(0.01)
        files = psutil.Process(self.pid).num_fds()
        self.alive.append((done, {"files": files, **json.loads(answer.read_text())}))

    def growth(self, what: str) -> float:
        """Return how much it grew, per thousand pieces of work, once it was warm."""
        if what in ALIVE:
            # These are exact: what is left out are the caches that fill at first.
            first = self.alive[-1][0] / 4 if self.alive else 0
            return slope([(done, each[what]) for done, each in self.alive if done >= first]) * 1e3
        return slope([(each.done, getattr(each, what)) for each in second_half(self.looks)]) * 1e3

    def grown(self, most: Most) -> list[str]:
        """Say in words what grew more than it may; nothing, if nothing did."""
        found = []
        for what in ("memory", "threads", *ALIVE):
            growth = self.growth(what)
            # Of a short run a line is mostly noise: what it says of all that was done counts.
            if growth > getattr(most, what) and growth * self.span / 1e3 > LEAST[what]:
                found.append(f"{what}: {growth:+,.1f} per 1,000, {self.told(what)}")
        return found

    @property
    def span(self) -> int:
        """Pieces of work from the first look to the last."""
        return self.looks[-1].done - self.looks[0].done if self.looks else 0

    def told(self, what: str) -> str:
        """Return the middle of the first quarter of the looks and of the last, in words."""
        if what in ALIVE:
            counts = [each[what] for _, each in self.alive] or [0]
            one, other = counts[0], counts[-1]
            if what == "allocated":
                return f"{one / MEBIBYTE:.1f} → {other / MEBIBYTE:.1f} MiB"
            return f"{one:,} → {other:,}"
        values = [getattr(each, what) for each in self.looks]
        quarter = max(1, len(values) // 4)
        first, last = statistics.median(values[:quarter]), statistics.median(values[-quarter:])
        if what == "memory":
            return f"{first / MEBIBYTE:.1f} → {last / MEBIBYTE:.1f} MiB"
        return f"{first:g} → {last:g}"

    def row(self, name: str) -> str:
        """Return it as a line of a table."""
        cells = [
            f"{self.told('memory')}, {self.growth('memory') / 1024:+.1f} KiB per 1,000",
            f"{self.told('threads')}, {self.growth('threads'):+.2f}",
            f"{self.told('files')}, {self.growth('files'):+.2f}",
            f"{self.told('objects')}, {self.growth('objects'):+.1f}",
            f"{self.told('blocks')}, {self.growth('blocks'):+.1f}",
            f"{self.told('allocated')}, {self.growth('allocated') / 1024:+.1f} KiB",
        ]
        return f"| {name} | " + " | ".join(cells) + " |"


LEAST: Mapping[str, float] = {
    "memory": 8 * MEBIBYTE, "files": 8.0, "threads": 1.0,
    "objects": 1500.0, "blocks": 5000.0, "allocated": 4 * MEBIBYTE,
}  # fmt: skip
"""
What a process may grow by in the whole of a run, however short it is: what allocators keep, lines
that are kept open for the next question, and the two MiB of pages that SQLite keeps of a file.
"""

HEAD = (
    "| process | memory, first → last quarter | threads | open files "
    "| objects alive | blocks alive | malloc has given out |\n| - | - | - | - | - | - | - |"
)

PLACE = "NOSANA_SOAK_ALIVE"
"""Names the folder in which processes say what is alive in them."""


@contextmanager
def told_alive() -> Iterator[None]:
    """Let processes that are begun meanwhile be asked what is alive in them."""
    before = dict(os.environ)
    inside = str(Path(__file__).with_name("inside"))
    with tempfile.TemporaryDirectory() as place:
        path = os.pathsep.join([inside, *filter(None, [before.get("PYTHONPATH")])])
        os.environ.update({PLACE: place, "PYTHONPATH": path})
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def second_half(looks: Sequence[Held]) -> Sequence[Held]:
    """Return the looks from half of the work on."""
    half = looks[-1].done / 2 if looks else 0
    return [each for each in looks if each.done >= half]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return how steeply a line through points rises, by least squares; 0 through fewer than 3."""
    if len(points) < 3 or len({x for x, _ in points}) < 2:
        return 0.0
    return float(statistics.linear_regression(*zip(*points, strict=True)).slope)
