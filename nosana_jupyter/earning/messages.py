"""
Between an owner and the host that runs: what it has last written of itself, and the word to end.
"""

from __future__ import annotations

import contextlib
import os
import signal

import msgspec

from .place import Place
from .showing import Glance

DRAIN, NOW = signal.SIGUSR1, signal.SIGUSR2
"""What `host drain` sends: unlike SIGTERM, twice the same is once."""

STATE = "state.json"


def glance(place: Place) -> Glance | None:
    """Return how the host that runs here was a moment ago; nothing if none runs."""
    pid = place.runs
    try:
        found = msgspec.json.decode((place.folder / STATE).read_bytes(), type=Glance)
    except (OSError, msgspec.DecodeError):
        return None
    return found if found.pid == pid else None


def drain(place: Place, *, now: bool) -> bool:
    """
    Tell the host that runs here to end; say whether one did.

    Args:
        place: Which.
        now: Stop its job, too.
    """
    found = glance(place)
    if found is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(found.pid, NOW if now else DRAIN)
    return True
