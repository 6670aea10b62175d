"""
A script as one remote cell: with its arguments, its file's name, and the modules beside it.
"""

from __future__ import annotations

import ast
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import UsageError

if TYPE_CHECKING:
    from .events import Cell


def source_of(text: str, path: str, arguments: Sequence[str]) -> str:
    """
    Return a script as a cell that finds `sys.argv` and `__file__` as a script does.

    What sets them stands where no line of the script moves, wherever there is such a place.

    Raises:
        UsageError: The script is not Python.
    """
    sets = (
        f"import sys as _sys; _sys.argv[:] = {[path, *arguments]!r}; __file__ = {path!r}; del _sys"
    )
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise UsageError(f"{path} is not Python{where}: {error}", hint="Mend it.") from None
    lines: list[str] = text.split("\n")
    head = [node for node in body[:1] if _is_text(node)]
    head += [node for node in body[len(head) :] if _is_future(node)]
    first = body[len(head)] if len(body) > len(head) else None
    before = head[-1].end_lineno or 0 if head else 0
    begins = len(lines) + 1 if first is None else _begins(first)
    if begins - before > 1:  # A line with nothing, or a comment.
        lines[before : before + 1] = [sets]
    elif head and "#" not in lines[before - 1]:
        lines[before - 1] += f"; {sets}"
    elif first is not None and before == 0 and not hasattr(first, "body"):
        lines[0] = f"{sets}; {lines[0]}"
    else:
        lines.insert(before, sets)
    return "\n".join(lines)


def cell_of(asked: Cell, path: Path, arguments: Sequence[str]) -> Cell:
    """
    Return a script as one cell, which asks for what another does.

    Raises:
        UsageError: It cannot be read, or is not Python.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}", hint="Name a Python file.") from None
    # Modules are found as Python finds those of a script: beside it.
    sys.path.insert(0, str(path.absolute().parent))
    source = source_of(text, str(path), arguments)
    return dataclasses.replace(asked, source=source, returns=())


def _begins(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", ())
    return min([node.lineno, *(int(each.lineno) for each in decorators)])


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"
