"""
What a cell will fetch on its host, as markets are asked whether it lies there already.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..links.link import Link
from ..vram.fetched import fetched
from ..wire.keeping import LINK

if TYPE_CHECKING:
    from ..events import Cell
    from ..market.caches import Want
    from ..market.choosing import Requirements


def of(cell: Cell | None, asked: Requirements) -> Requirements:
    """Return what is asked of a host, with the models and links that a cell names."""
    return asked if cell is None else replace(asked, wants=wants_of(cell))


def wants_of(cell: Cell) -> tuple[Want, ...]:
    """Return kinds and names of what a cell fetches, as far as its text tells."""
    taken = cell.source if cell.takes is None else " ".join((cell.source, *cell.takes))
    links = {
        (LINK, value.source): None
        for name, value in cell.namespace.items()
        if isinstance(value, Link) and name in taken
    }
    return (*fetched(cell.source, cell.namespace), *links)
