"""
Ctrl-C while a cell runs elsewhere: counted, then acted upon, and shown as the host's.

A kernel that is to end gets the same signal first, and only then the question to end. So where a
kernel can be asked, a signal is Ctrl-C when that has not come a moment later.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .. import portal
from ..sanitize import terminal
from . import ending

if TYPE_CHECKING:
    from ..wire.messages import Error

__all__ = ["Interrupted", "Presses"]

MOMENT = 0.003
"""Seconds after the signal in which the question comes, where the processors are not busy."""

LONGEST = 0.1
"""The same where they are: to interrupt a cell in vain costs more than a wait for Ctrl-C."""

BUSY = 0.75
"""Threads that want to run, for each processor, from which on they are busy."""


class Presses(portal.Presses):
    """Counts Ctrl-C, and tells it from the end of the kernel."""

    @property
    def ended(self) -> bool:
        """Whether the kernel is to end."""
        return ending.asked.is_set()

    def ends(self) -> bool:
        return ending.watched() and ending.asked.wait(_moment())


def _moment() -> float:
    """Return how long the question may take: longer where others want to run as well."""
    busy = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else BUSY
    return LONGEST if busy >= BUSY else MOMENT


class Interrupted(KeyboardInterrupt):
    """
    Ctrl-C, shown with the lines of the host it reached and with what the job cost, not with ours.

    Args:
        error: What the interrupted cell raised, if it came to that.
        cost: The receipt as one line.
    """

    def __init__(self, error: Error | None, cost: str) -> None:
        super().__init__(cost)
        self._error = error
        self._cost = cost

    def _render_traceback_(self) -> list[str]:
        lines = [terminal(line) for line in self._error.traceback] if self._error else []
        lines = lines or ["KeyboardInterrupt"]
        return [*lines, "", self._cost] if self._cost else lines


Interrupted.__name__ = "KeyboardInterrupt"  # What front ends and users know it as.
