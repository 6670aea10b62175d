"""
What a host says that its cards do: numbers of a stranger's, of which only those are shown that can
be.
"""

from __future__ import annotations

import time

from ..events import Sampled
from ..units import GiB
from ..wire.messages import Gauge

OFTEN = 0.5
"""Seconds in which one is heard. A runner of ours tells each second."""

MOST = 1 << 17
"""GiB that no machine has."""


class Gauges:
    """Hears them while a cell runs."""

    def __init__(self) -> None:
        self.peak = 0.0
        """Most memory of cards that was seen in use, in GiB."""

        self._heard = float("-inf")

    def seen(self, gauge: Gauge) -> Sampled | None:
        """Return what can be shown of a word; nothing where it is too soon or cannot be true."""
        now = time.monotonic()
        # What is not a number is not less than anything.
        if now - self._heard < OFTEN or not 0 <= gauge.used <= gauge.total <= MOST:
            return None
        self._heard = now
        if gauge.card:
            self.peak = max(self.peak, gauge.used)
        busy = gauge.busy
        if busy is not None:
            busy = round(min(busy, 100.0), 1) if busy >= 0 else None
        return Sampled(
            used=GiB(gauge.used), total=GiB(gauge.total) if gauge.total else None,
            busy=busy, card=gauge.card,
        )  # fmt: skip
