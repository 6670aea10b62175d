"""
Output of cells that are over, put under the cell it belongs to.

A page keeps listening for what a cell's own message asked for. So what a thread of the cell says
later is sent as an answer to that message, however many cells have run since.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ..events import SaidLate
from .display import Screen

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

MOST = 256
"""Most cells that are remembered."""

_cells: OrderedDict[str, tuple[dict[str, Any], str]] = OrderedDict()
"""What asked for each cell, and the label of its outputs, by the cell's name on its host."""


def remember(shell: InteractiveShell, cell: str, screen: Screen) -> None:
    """Note that the cell that runs here runs there under a name."""
    if _is_page(shell) and cell:
        _cells[cell] = shell.get_parent(), screen.label
        while len(_cells) > MOST:
            _cells.popitem(last=False)


def show(shell: InteractiveShell, said: SaidLate, here: Screen) -> None:
    """Show what a thread of an earlier cell said: there, or here if there is no such place."""
    if said.cell not in _cells or not _is_page(shell):
        here.show(said.message)
        return
    here.flush()
    parent, label = _cells[said.cell]
    before = shell.get_parent()
    # Where the streams and displays of this thread go.
    shell.set_parent(parent)
    try:
        there = Screen(shell, label)
        there.show(said.message)
        there.close()
    finally:
        shell.set_parent(before)


def _is_page(shell: InteractiveShell) -> bool:
    return getattr(shell, "kernel", None) is not None
