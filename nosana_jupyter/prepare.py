"""
A cell made ready to travel. Spends nothing, and touches no network.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from .cell import bundle
from .cell.names import find_names
from .conversation import Load
from .errors import UsageError
from .events import Cell, Row
from .settings import Settings
from .wire import messages as say


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """All that a cell needs on a host."""

    load: Load
    image: str
    title: str
    """First line of the cell, for lists."""

    packages: tuple[str, ...]
    """As in `pandas==3.1.1`."""

    modules: tuple[str, ...]
    notes: tuple[str, ...]


def prepare(cell: Cell, settings: Settings) -> Prepared:
    """
    Find out what a cell needs and pack it.

    Raises:
        CellError: The cell is not Python, or something it reads cannot travel.
        UsageError: An option names what does not exist.
    """
    names = find_names(cell.source)
    values = bundle.collect(names, cell.namespace, only=cell.takes)
    packed = bundle.pack(values, cell.namespace)
    notes = [
        f"nobody has {name}: the cell will raise NameError"
        for name in bundle.missing(names, cell.namespace)
    ]
    made = tuple(name for name in names.binds if name not in names.imports)
    returns = cell.returns if cell.returns is not None else made
    for name in returns:
        if not name.isidentifier():
            raise UsageError(f"--out: {name!r} is not a name")
    load = Load(
        code=cell.source,
        count=cell.count,
        header=packed.header,
        buffers=packed.buffers,
        has_code=packed.has_code,
        packages=(),
        extras=cell.pip,
        modules=(),
        sources=[say.Source(each.filename, each.text, each.count) for each in packed.sources],
        returns=returns,
        explicit=cell.returns is not None,
        environment=dict(cell.environment),
    )
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    image = (cell.image or settings.image).replace("{python}", version)
    first = next((line.strip() for line in cell.source.splitlines() if line.strip()), "")
    return Prepared(
        load=load,
        image=image,
        title=first[:80],
        packages=(),
        modules=(),
        notes=tuple(notes),
    )


def rows(cell: Cell) -> tuple[Row, ...]:
    """Say what travels, name by name."""
    values = bundle.collect(find_names(cell.source), cell.namespace, only=cell.takes)
    return tuple(
        Row(name=each.name, type=each.type, size=each.size, via=each.via)
        for each in bundle.describe(values, cell.namespace)
    )
