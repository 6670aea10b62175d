"""
How long a runner is sought to which the line is down, and what is said of that meanwhile.

A line that is down says nothing of the runner: a laptop was closed, a cable pulled, a tunnel began
anew. Whoever watches the job hears its host and the chain, and knows whether there is hope.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import HostFailed
from ..settings import Settings
from ..units import duration, parse_seconds

SILENT = 60.0
"""Most seconds without a host's answer in the middle of a job."""

HOLLOW = 15
"""Connections in a row that break at once and bring nothing before the other side is given up."""

BRIEF = 5.0
"""Seconds that a connection lasts at least that does not break at once."""

EAGER = 10.0
"""Seconds in which a runner that nobody has heard of yet is looked for often."""

NOTICE = 1.0
"""Seconds without a connection before that is told."""

EVERY = 5.0
"""Seconds between two words on it."""


def allowed(chosen: Settings) -> float:
    """Return for how many seconds a host may be silent in the middle of a job."""
    return min(SILENT, parse_seconds(chosen.answer))


class Patience:
    """
    The patience of one link.

    Args:
        job: Address of the job.
        seconds: Without a connection, after which the host is given up where there is no hope.
        first: Seconds for the first connection.
    """

    def __init__(self, job: str, seconds: float, first: float) -> None:
        self._job = job
        self._seconds, self._first = seconds, first
        self.hopes: Callable[[], str] = lambda: ""
        """Says in words why the runner may live all the same; nothing if nothing speaks for it."""

        self.tell: Callable[[str], None] | None = None
        """Takes in words that the line is down, and nothing when it is back."""

        self._since = self._solid = time.monotonic()
        """When the line was last there, and when it last brought anything or lasted."""

        self._hollow = 0
        self._met = False
        self._pause = 0.02
        self._told = 0.0

    def met(self) -> None:
        """Note that there is a connection on which the runner has answered."""
        self._met = True
        if self._told and self.tell is not None:
            self.tell("")
        self._told = 0.0

    def broke(self, *, began: float, moved: bool) -> None:
        """Note that this connection is no more: when it began, and whether it brought anything."""
        self._since = time.monotonic()
        if moved or self._since - began > BRIEF:
            self._hollow, self._solid, self._pause = 0, self._since, 0.02
        else:
            self._hollow += 1

    def ends(self) -> HostFailed | None:
        """Return why the host is to be given up now, if it is; else say that it is sought."""
        now = time.monotonic()
        silent = now - self._since
        hint = "Run the cell again: another host may take it."
        hope = self.hopes() if self._met else ""
        if self._hollow >= HOLLOW and not (hope and now - self._solid < self._seconds):
            return HostFailed(f"the runner of job {self._job} hangs up again and again", hint=hint)
        if silent > (self._seconds if self._met else self._first) and not hope:
            text = f"the host of job {self._job} has not answered for {duration(silent)}"
            return HostFailed(text, hint=hint)
        if self._met and silent > NOTICE and now - self._told > EVERY and self.tell is not None:
            self._told = now
            why = hope or "its host does not answer either, trying again"
            self.tell(f"the line to the runner is down: {why}")
        return None

    def pause(self) -> float:
        """Return how many seconds to wait before the next attempt."""
        pause = self._pause
        # A runner that starts at once is to be met at once.
        soon = not self._met and time.monotonic() - self._since < EAGER
        self._pause = min(pause * 1.5, 0.2 if soon else 2.0)
        return pause
