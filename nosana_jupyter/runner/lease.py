"""
How long a runner waits for a client that it does not hear of.
"""

from __future__ import annotations

import time

from ..wire.messages import Lease as Terms


class Lease:
    """
    Runs while there is no client.

    Args:
        seconds: How long.
    """

    def __init__(self, seconds: float) -> None:
        self.terms = Terms(seconds)
        self._since = time.monotonic()

    def lapsed(self, *, connected: bool, busy: bool) -> bool:
        """
        Say whether it is over. To be asked every now and then.

        Args:
            connected: Whether there is a client.
            busy: Whether a cell runs.
        """
        now = time.monotonic()
        if connected or (busy and self.terms.detached):
            self._since = now
        return now - self._since >= self.terms.seconds

    @property
    def tick(self) -> float:
        """Seconds until it is to be asked again."""
        return min(1.0, max(self.terms.seconds, 0.1) / 4)
