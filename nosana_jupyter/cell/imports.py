"""
Modules that code imports, without importing anything.
"""

from __future__ import annotations

import ast
import importlib.util

from ..errors import CellError
from .embedded import magic_of
from .packages import OURS
from .travel import is_left_here

MAGIC = "nosana"


def find_imports(tree: ast.AST, *, package: str = "") -> tuple[str, ...]:
    """
    Return the modules a tree may import, wherever in it, by their full names.

    `from a import b` gives `a` and `a.b`, since `b` may be a module.

    Args:
        tree: A module or a cell.
        package: Package the code is in, which relative imports start from.
    """
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                found.update(dict.fromkeys(alias.name for alias in node.names))
            case ast.ImportFrom():
                base = _absolute("." * node.level + (node.module or ""), package)
                if base:
                    found[base] = None
                    found.update({f"{base}.{alias.name}": None for alias in node.names
                                  if alias.name != "*"})  # fmt: skip
            case ast.Call(
                ast.Name("import_module" | "__import__") | ast.Attribute(_, "import_module"),
                [ast.Constant(str(name)), *_],
            ):
                if base := _absolute(name, package):
                    found[base] = None
    return tuple(found)


def refuse_ours(tree: ast.AST) -> None:
    """
    Refuse a cell that uses what of this package is not on hosts: its magic, and most modules.

    Raises:
        CellError: It does; says in which line.
    """
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                wrong = any(
                    is_left_here(each.name)
                    # To import it works; there is nothing in it.
                    and ("." in each.name or (each.asname or each.name) in used)
                    for each in names
                )
            case ast.ImportFrom(module=str(module), names=names, level=0):
                wrong = is_left_here(module) and any(
                    is_left_here(f"{module}.{each.name}") for each in names
                )
            case ast.Call() if magic_of(node)[0].lstrip("%") == MAGIC:
                raise CellError(
                    f"line {node.lineno} has %{MAGIC}, which works in the notebook and not on a "
                    "host. Nothing was spent",
                    hint="Put it into a cell of its own.",
                )
            case _:
                continue
        if wrong:
            raise CellError(
                f"line {node.lineno} imports {OURS}, of which a host has only the runner's part. "
                "Nothing was spent",
                hint="Leave it out: on the host the code runs where it is.",
            )


def imports_by_name(tree: ast.AST) -> bool:
    """Say whether code imports modules whose names are not written in it."""
    return any(
        isinstance(node, ast.Call)
        and (
            getattr(node.func, "attr", getattr(node.func, "id", ""))
            in {"import_module", "__import__", "iter_modules", "walk_packages"}
        )
        and not (node.args and isinstance(node.args[0], ast.Constant))
        for node in ast.walk(tree)
    )


def _absolute(name: str, package: str) -> str:
    if not name.startswith("."):
        return name
    try:
        return importlib.util.resolve_name(name, package) if package else ""
    except ImportError:  # It leads above the top package.
        return ""
