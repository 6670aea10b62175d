"""
What a host is rented for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..market.choosing import Requirements
from ..units import Seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What a host is rented for."""

    wanted: Requirements
    timeout: Seconds
    """Longest run to pay for, in seconds."""

    image: str
    """With the version of Python in it."""

    title: str = ""
    """What lists of jobs show."""

    max_cost: str | None = None
    """Cap on deposit and fee, as written."""

    has_code: tuple[str, ...] = ()
    """Names whose values need a host with our Python."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """What installers are to know is taken from it."""
