"""
What is asked of a session, and how it stands.
"""

from __future__ import annotations

from dataclasses import dataclass

from .sessions import Order
from .units import Seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What a user asks of a session."""

    name: str
    order: Order
    """Its timeout is what is paid for at first, and at a time."""

    most: Seconds
    """Longest run in all, in seconds."""

    idle: Seconds
    """Time without a cell after which it ends, in seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """How a session stands."""

    name: str
    job: str
    node: str
    gpu: str
    state: str
    """`open`, `busy`, `opening`, or why it is over."""

    opened: float
    """Unix time of the runner's hello."""

    left: float
    """Seconds until the end of all that may be paid for."""

    idle: float
    """Seconds without a cell."""

    ends_idle: Seconds
    """Seconds without a cell after which it ends."""

    spent: str
    """What it has cost so far, in words."""

    cells: int
    trouble: str = ""
    """Why it cannot be given more time."""
