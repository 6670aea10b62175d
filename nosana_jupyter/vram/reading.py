"""
A cell read: its own text, and that of the notebook's functions which it may call. Nothing is run.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import types
import warnings
from collections.abc import Iterator, Mapping

from ..cell.embedded import parse, strip_cell_magic
from ..errors import CellError
from .calls import Reading
from .walking import Walker

MOST_SOURCES = 20
"""Most functions of the notebook that are looked into."""

_OWN_LINE = re.compile(r"\s*%%nosana\b([^\n]*)(?:\n|$)")
_SAID = re.compile(r"--vram(?:\s+|=)['\"]?([\d.,_]+\s*[a-zA-Z]*)")


def read(code: str, namespace: Mapping[str, object]) -> Reading:
    """Read a cell, and those functions of the notebook that it may call."""
    found = Reading()
    own = _OWN_LINE.match(code)
    if own is not None:
        said = _SAID.search(own[1])
        found.said = said[1].strip() if said else ""
        code = code[own.end() :]
    try:
        tree = _parsed(code)
        reader = Walker(found, namespace)
        for source in _sources(tree, namespace):
            reader.visit(_parsed(source))
        reader.visit(tree)
    except (CellError, SyntaxError, ValueError, RecursionError, MemoryError):
        found.broken = True
    return found


def _parsed(code: str) -> ast.Module:
    """Return the tree of a cell. IPython is asked, which takes time, only where it is needed."""
    body, _ = strip_cell_magic(code)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(body)
    except SyntaxError:
        return parse(code)[0]


def _sources(tree: ast.AST, namespace: Mapping[str, object]) -> Iterator[str]:
    """Give the sources of functions and classes of the notebook that a tree reaches."""
    waiting = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    seen: set[str] = set()
    given = 0
    while waiting and given < MOST_SOURCES:
        name = waiting.pop()
        value = namespace.get(name)
        if name in seen or not isinstance(value, types.FunctionType | type):
            continue
        seen.add(name)
        if getattr(value, "__module__", "") != "__main__":
            continue
        try:
            source = textwrap.dedent(inspect.getsource(value))
            inner = ast.parse(source)
        except (OSError, TypeError, SyntaxError, ValueError):
            continue
        waiting += [node.id for node in ast.walk(inner) if isinstance(node, ast.Name)]
        given += 1
        yield source
