"""
The names that a cell reads and binds through the notebook's functions and classes that it names.
"""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .reach import all_code, is_made_by_shell, read_names, unwrapped
from .travel import Elsewhere


def reads(
    values: Mapping[str, Any], namespace: Mapping[str, Any], follow: Callable[[str, Any], bool]
) -> dict[str, Any]:
    """
    Return the values that functions and classes read, beside those that are given.

    Args:
        values: By name.
        namespace: The notebook's.
        follow: Says whether to look into what has this name and value.
    """
    found = dict(values)
    waiting = list(values.items())
    while waiting:
        name, value = waiting.pop()
        if not follow(name, value):
            continue
        for code in _codes(value, namespace):
            for read in _read(code):
                if read in namespace and read not in found:
                    if is_made_by_shell(read, namespace):
                        continue
                    found[read] = namespace[read]
                    waiting.append((read, namespace[read]))
    return {name: value for name, value in found.items() if name not in values}


def binds(values: Mapping[str, Any], namespace: Mapping[str, Any]) -> list[str]:
    """Return the names of the notebook that functions and classes declare `global` and bind."""
    reached = {**values, **reads(values, namespace, lambda *_: True)}
    codes = [code for value in reached.values() for code in _codes(value, namespace)]
    return [name for name in dict.fromkeys(_bound_by(codes)) if name in namespace]


def _bound_by(codes: Iterable[types.CodeType]) -> Iterator[str]:
    for code in codes:
        yield from _stored(code)


def _codes(value: Any, namespace: Mapping[str, Any]) -> Iterator[types.CodeType]:
    """Yield the code of a function or of a class of the notebook, or of the class of an object."""
    if isinstance(value, Elsewhere):
        value = namespace.get(value.made_by)
    if isinstance(value, functools.partial):
        value = value.func
    if isinstance(value, types.MethodType):
        value = value.__func__
    if type(value).__module__ == namespace.get("__name__", ""):
        value = type(value)
    if isinstance(value, type):
        for base in value.__mro__[:-1]:
            if base.__module__ == namespace.get("__name__"):
                for part in vars(base).values():
                    yield from _of_method(part, namespace)
    elif callable(value):
        yield from _of_method(value, namespace)


def _of_method(part: Any, namespace: Mapping[str, Any]) -> Iterator[types.CodeType]:
    parts = [part.fget, part.fset] if isinstance(part, property) else [part]
    for each in parts:
        function = unwrapped(getattr(each, "func", each))
        if isinstance(function, types.FunctionType) and function.__globals__ is namespace:
            yield function.__code__


@functools.lru_cache(maxsize=1000)
def _read(code: types.CodeType) -> tuple[str, ...]:
    return tuple(read_names(code)[0])


@functools.lru_cache(maxsize=1000)
def _stored(code: types.CodeType) -> tuple[str, ...]:
    return tuple(
        step.argval
        for part in all_code(code)
        for step in dis.get_instructions(part)
        if step.opname == "STORE_GLOBAL"
    )
