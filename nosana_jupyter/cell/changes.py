"""
The names whose values a cell may change in place, itself or through functions that it calls.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import CellError
from .effects import Body, Call, read_body, read_function
from .embedded import parse
from .modules import is_own
from .reach import unwrapped

_MOST_FUNCTIONS = 200
"""Most functions of the notebook that are looked into for one cell."""


def find_changes(tree: ast.Module, namespace: Mapping[str, Any]) -> tuple[str, ...]:
    """
    Return the names whose values a cell may change in place.

    Args:
        tree: The cell.
        namespace: The notebook's: its functions are looked into as far as the cell calls them.
    """
    body = read_body(tree)
    return tuple(name for name in _Resolver(namespace).changed(body) if name not in body.own)


class _Resolver:
    """Follows calls from function to function."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._known: dict[int, dict[str, None]] = {}
        self._bodies: dict[types.CodeType, Body | None] = {}
        self._outside = Body()
        """What is around functions of the notebook."""

    def changed(self, body: Body) -> dict[str, None]:
        """Return the names that a body may change, its own and its parameters among them."""
        if id(body) in self._known:  # Maybe it is being worked on: a function may call itself.
            return self._known[id(body)]
        found = self._known[id(body)] = dict(body.changed)
        size = -1
        while size != len(found):
            size = len(found)
            for inner in body.functions.values():
                found.update(_outside_of(inner, self.changed(inner)))
            for call in body.calls:
                for function, is_bound in self._called(call, body):
                    found.update(dict.fromkeys(self._through(call, function, is_bound=is_bound)))
            for name in list(found):
                found.update(dict.fromkeys(body.aliases.get(name, ())))
        return found

    def _through(self, call: Call, function: Body, *, is_bound: bool) -> Iterable[str]:
        """Yield the names that a call changes."""
        changed = self.changed(function)
        if function.outer is self._outside:
            yield from _outside_of(function, changed)
        given = list(call.arguments)
        if is_bound:
            given.insert(0, call.on or frozenset())
        for parameter, names in zip(function.parameters, given, strict=False):
            if parameter in changed:
                yield from names
        for word, names in call.keywords.items():
            if word in changed and word in function.parameters:
                yield from names

    def _called(self, call: Call, body: Body) -> list[tuple[Body, bool]]:
        """Return the functions that a call may call, and whether they are given their object."""
        scope: Body | None = body
        while scope is not None:
            if call.on is None and call.function in scope.functions:
                return [(scope.functions[call.function], False)]
            if call.on is not None and call.function in scope.methods:
                return [(each, True) for each in scope.methods[call.function]]
            scope = scope.outer
        if call.on is None:
            found, is_bound = self._namespace.get(call.function), False
        else:
            holder = self._namespace.get(call.holder)
            is_bound = not isinstance(holder, types.ModuleType | type)
            found = inspect.getattr_static(
                type(holder) if is_bound else holder, call.function, None
            )
        known = self._read(found)
        return [] if known is None else [(known, is_bound)]

    def _read(self, function: Any) -> Body | None:
        """Return what a function of the user's own does, as far as its source is known."""
        function = unwrapped(function)
        if not isinstance(function, types.FunctionType) or len(self._bodies) > _MOST_FUNCTIONS:
            return None
        here = function.__globals__ is self._namespace
        if not here and not is_own(str(function.__module__).partition(".")[0]):
            return None
        code = function.__code__
        if code not in self._bodies:
            # What a function of a module does to the names there is no concern of the notebook.
            self._bodies[code] = _body_of(function, self._outside if here else Body())
        return self._bodies[code]


def _outside_of(body: Body, changed: Iterable[str]) -> dict[str, None]:
    return {name: None for name in changed if name not in body.own}


def _body_of(function: types.FunctionType, outer: Body) -> Body | None:
    try:
        tree, _ = parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, CellError, SyntaxError, IndexError):
        return None  # It has no source, or is a part of a line.
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return read_function(node, outer)
    return None
