"""
Ctrl-C while a cell runs elsewhere: counted, then acted upon, and shown as the host's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..portal import Presses
from ..sanitize import terminal

if TYPE_CHECKING:
    from ..wire.messages import Error

__all__ = ["Interrupted", "Presses"]


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
