"""
What is said of jobs that go on without this kernel.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..money.journal import DETACHED, Entry
from ..rent.logbook import mine


def alone(entry: Entry) -> str:
    """Say so where a job goes on that no process follows."""
    if entry.intent.owner == DETACHED:
        return "; detached: %nosana attach brings it back"
    if entry.followed or entry.intent.owner == mine():
        return ""
    if entry.state != "running":
        return "; its kernel ended before it began: %nosana sweep ends it, or the next cell"
    return "; nobody follows it: %nosana attach brings it back, or %nosana sweep ends it"


def state_of(entry: Entry) -> str:
    """Return how an open job stands, in a word."""
    return "detached" if entry.intent.owner == DETACHED and entry.followed else entry.state


def spared(followed: Iterable[Entry]) -> list[str]:
    """Say which jobs a sweep has left alone, and why."""
    entries = list(followed)
    detached = [each.intent.job for each in entries if each.intent.owner == DETACHED]
    names = [each.intent.job for each in entries if each.intent.owner != DETACHED]
    said = []
    if names:
        what = "it" if len(names) == 1 else "them"
        said.append(f"Left alone, as a kernel that runs follows {what}: {', '.join(names)}.")
    if detached:
        said.append(
            f"Left alone, being detached: {', '.join(detached)}; %nosana attach brings back what "
            "it says, %nosana stop JOB ends it."
        )
    return said
