"""
Modules that code imports, and modules that values come from, without importing anything.
"""

from __future__ import annotations

import ast
import dis
import importlib.util
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

ITEMS = 1000
"""Most items of a container that are looked at: what follows is mostly like what came before."""


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


def reached_modules(values: Mapping[str, Any], namespace: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modules that values need on the other side: of their types, and of their code."""
    found: dict[str, None] = {}
    seen: set[int] = set()
    waiting = list(values.values())
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, types.ModuleType):
            found[value.__name__] = None
            continue
        kind = value if isinstance(value, type | types.FunctionType) else type(value)
        found[str(kind.__module__)] = None
        if isinstance(value, types.FunctionType) and _travels(value, namespace):
            found.update(dict.fromkeys(code_imports(value.__code__)))
        waiting += _parts(value, namespace)
    return tuple(name for name in found if name not in {"builtins", "__main__", "None"})


def code_imports(code: types.CodeType) -> Iterator[str]:
    """Yield the modules that compiled code imports when it runs."""
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME" and step.argval:
            yield step.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_imports(constant)


def _parts(value: Any, namespace: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what belongs to a value."""
    if isinstance(value, types.FunctionType):
        if _travels(value, namespace):
            around = value.__globals__
            yield from (around[name] for name in _names(value.__code__) if name in around)
        for cell in value.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # Not bound yet.
                continue
    elif isinstance(value, types.MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, type):
        if value.__module__ == "__main__":
            yield from value.__bases__
            for part in vars(value).values():
                yield getattr(part, "__func__", None) or getattr(part, "fget", None) or part
    elif isinstance(value, dict):
        for key, item in list(value.items())[:ITEMS]:
            yield from (key, item)
    elif isinstance(value, list | tuple | set | frozenset):
        yield from list(value)[:ITEMS]
    elif type(value).__module__ == "__main__":
        yield type(value)
        yield from vars(value).values() if hasattr(value, "__dict__") else ()


def _travels(function: types.FunctionType, namespace: Mapping[str, Any]) -> bool:
    """Say whether a function travels by value, with what it reads."""
    return function.__globals__ is namespace or function.__module__ == "__main__"


def _names(code: types.CodeType) -> Iterable[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _absolute(name: str, package: str) -> str:
    if not name.startswith("."):
        return name
    try:
        return importlib.util.resolve_name(name, package) if package else ""
    except ImportError:  # It leads above the top package.
        return ""
