"""
Whether all that a cell binds can be seen in it. Only then a name that nobody has is an error.
"""

from __future__ import annotations

import ast
import dis
import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from .embedded import CODE_MAGICS, is_namespace, load
from .reach import all_code, all_names, unwrapped

_BIND_NOTHING = frozenset(
    (
        "matplotlib config precision cd pwd pushd popd env set_env pip conda uv mkdir ls who whos "
        "html javascript js markdown latex svg writefile file bash sh"
    ).split()
)
"""Magics that bind no names, so long as nothing says that they shall."""

_BINDING = frozenset(
    {"exec", "globals", "locals", "vars", "user_ns", "push", "run_cell", "setattr"}
)
"""What a function may use to bind a name that does not stand in it."""


def binds_unseen(tree: ast.Module) -> bool:
    """Say whether a cell may bind names that cannot be seen in it."""
    shells = plain = 0
    for node in ast.walk(tree):
        match node:
            case ast.Name(id="get_ipython"):
                shells += 1
            case ast.Call(ast.Name("exec"), args=[code, *_]) if not isinstance(code, ast.Constant):
                return True
            case ast.Call(ast.Name("install") | ast.Attribute(_, "install")):
                return True  # As `gettext.install()`, which makes a builtin.
            case ast.Import(names=names) if any(_is_shared(each.name) for each in names):
                return True
            case ast.ImportFrom(module=str(name)) if _is_shared(name):
                return True
            case ast.Call(ast.Attribute(ast.Call(ast.Name("get_ipython")))):
                plain += _binds_nothing(node)
            case ast.expr() if is_namespace(node):
                return True
    return shells != plain


def may_bind(name: str, namespace: Mapping[str, Any]) -> bool:
    """Say whether a function of the notebook may bind a name when it is called."""
    for code in _codes(namespace):
        if all_names(code) & _BINDING:
            return True
        for part in all_code(code):
            if any(
                step.opname == "STORE_GLOBAL" and step.argval == name
                for step in dis.get_instructions(part)
            ):
                return True
    return False


def is_automagic(tree: ast.Module, name: str) -> bool:
    """Say whether a cell is one word that IPython takes for a magic, as in `ls`."""
    match tree.body:
        case [ast.Expr(ast.Name(word))]:
            return word == name and name in _automagics()
    return False


def _is_shared(module: str) -> bool:
    """Say whether what is set in a module is seen by the cell as a name of its own."""
    return module in {"builtins", "__main__"}


def _binds_nothing(call: ast.Call) -> bool:
    match call:
        case ast.Call(ast.Attribute(_, "system" | "getoutput")):
            return True
        case ast.Call(
            ast.Attribute(_, "run_line_magic" | "run_cell_magic"),
            [ast.Constant(str(name)), ast.Constant(str(line)), *_],
        ):
            if name in ("bash", "sh"):  # `%%bash --out x` binds.
                return not line.strip()
            return name in _BIND_NOTHING or name in CODE_MAGICS
    return False


def _codes(namespace: Mapping[str, Any]) -> Iterator[types.CodeType]:
    """Yield the code of the notebook's functions and methods."""
    for value in list(namespace.values()):
        parts = [value]
        if isinstance(value, type) and vars(value).get("__module__") == namespace.get("__name__"):
            parts = [getattr(part, "__func__", part) for part in vars(value).values()]
        for part in parts:
            function = unwrapped(part)
            if isinstance(function, types.FunctionType):
                yield function.__code__


@cache
def _automagics() -> frozenset[str]:
    load()
    from IPython.core import magics
    from IPython.core.alias import default_aliases

    found = {name for name, _ in default_aliases()}
    for kind in vars(magics).values():
        found.update(getattr(kind, "magics", {}).get("line", ()))
    return frozenset(found)
