"""
Cells that are made ready in a moment: on the loop itself, which another thread would keep waiting.
"""

from __future__ import annotations

import asyncio
import re

from ..cell.held import Held
from ..cell.travel import Elsewhere
from ..events import Cell
from ..settings import Settings
from .prepare import Prepared, at_once, prepare

SHORT = 2_000
"""Characters of a cell that is read in a moment."""

_LIGHT = frozenset({type(None), bool, int, float})
"""Types of what takes no time to pack."""

_HEAVY = frozenset({"import", "pip", "run", "conda"})
"""Words of cells that need more than this notebook: packages, or files."""


async def make_ready(cell: Cell, settings: Settings, held: Held | None) -> Prepared:
    """
    Find out what a cell needs and pack it, without keeping the loop for longer than a moment.

    Raises:
        CellError: The cell is not Python, reads what nobody has, or what cannot travel.
        UsageError: An option names what does not exist.
    """
    if is_light(cell) and (prepared := at_once(cell, settings, held)) is not None:
        return prepared
    return await asyncio.to_thread(prepare, cell, settings, held)


def is_light(cell: Cell) -> bool:
    """Say whether a cell is short, imports nothing, and reads little that is here."""
    source, namespace = cell.source, cell.namespace
    if len(source) > SHORT or cell.pip or cell.files or cell.takes is not None:
        return False
    # All its words, be they names or not: to tell them apart is most of what is to be done.
    words = set(re.findall(r"\w+", source))
    values = [namespace[word] for word in words if word in namespace]
    return not words & _HEAVY and all(
        # What lives on the host may be made by something here that reads more.
        type(value) in _LIGHT or (isinstance(value, Elsewhere) and value.made_by not in namespace)
        for value in values
    )
