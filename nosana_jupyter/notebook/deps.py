"""
`%nosana deps`: what a host would get of the packages of this notebook.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from .. import settings
from ..cell.embedded import parse
from ..cell.imports import find_imports
from ..errors import CellError
from ..events import Cell
from ..money.journal import Journal
from ..project import find
from ..travel.planning import plan
from ..units import Seconds
from . import grammar
from .tables import Table, counted

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

HEAD = ("package", "here", "wanted by", "on the host", "what is done", "size here")


def of_notebook(shell: InteractiveShell, rest: str) -> Table:
    """Show the plan for all that the notebook has imported so far."""
    options = grammar.deps_grammar().read(rest)
    names = sorted({*_imported(shell), *_used(shell.user_ns)})
    cell = Cell(
        source="\n".join(f"import {name}" for name in names),
        namespace={},
        timeout=Seconds(60),
        image=options.image,
        pip=tuple(options.pip),
        deps=options.deps or find.AUTO,
        secrets=dict.fromkeys(options.secret, ""),
        returns=(),
    )
    return of_cell(cell)


def of_cell(cell: Cell) -> Table:
    """Show the plan for one cell."""
    with closing(Journal()) as journal:
        found = plan(cell, settings.load(), journal)
    rows = [(row.name, row.here, row.wanted, row.host, row.action, row.size) for row in found.rows]
    title = f"Packages: {counted(len(rows), 'package')}" if rows else "Packages: none are needed"
    return Table(head=HEAD, rows=rows, title=title, note="\n".join(found.notes))


def _imported(shell: InteractiveShell) -> Iterator[str]:
    """Yield the modules that cells import, those for a host among them."""
    for text in shell.history_manager.input_hist_raw:
        first, _, below = text.partition("\n")
        source = below if first.startswith("%%nosana") else text
        if source.startswith("%%"):
            continue
        try:
            tree, _ = parse(source)
        except CellError:
            continue
        yield from (name for name in find_imports(tree) if name.split(".")[0] != "nosana_jupyter")


def _used(namespace: Mapping[str, Any]) -> Iterator[str]:
    """Yield the modules of what has a name; handles and receipts of ours stay here."""
    for name, value in namespace.items():
        if name.startswith("_") or name in ("In", "Out", "exit", "quit", "get_ipython", "open"):
            continue
        if isinstance(value, types.ModuleType):
            yield value.__name__
            continue
        module = getattr(type(value), "__module__", None)
        if isinstance(module, str) and not module.startswith("nosana_jupyter."):
            yield module if "<" not in module else "builtins"
