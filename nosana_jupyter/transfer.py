"""
The buffers of a cell, on their way to a runner and back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .events import Event, Waiting
from .link import Link
from .units import size
from .wire.chunks import Assembly, Buffer, split

MOST_VALUES = 2 << 30
"""Most bytes of values that one cell may bring back."""

PROGRESS_ABOVE = 8_000_000
"""Bytes above which an upload says how far it is."""

Emit = Callable[[Event], None]


async def upload(link: Link, buffers: Sequence[Buffer], emit: Emit) -> None:
    """Send the buffers of what the cell reads, in pieces."""
    total = sum(len(buffer) for buffer in buffers)
    sent, told = 0, 0
    for chunk in split(buffers):
        await link.send(chunk)
        sent += len(chunk.data)
        if total > PROGRESS_ABOVE and sent - told > total // 20:
            emit(Waiting(f"sending data: {size(sent)} of {size(total)}"))
            told = sent


def incoming(files: int = 0) -> Assembly:
    """
    Return what puts the buffers of a cell's values together.

    Args:
        files: Most bytes of the files that come with them.
    """
    return Assembly(limit=MOST_VALUES + files, spill=bool(files))
