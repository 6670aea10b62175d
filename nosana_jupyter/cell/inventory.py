"""
What travels, name by name, in words.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .pickler import MAIN, Pickler, Sink
from .reach import is_made_by_shell, read_names


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A name that travels."""

    name: str
    type: str
    size: int
    """In bytes."""

    via: str
    """Who reads it, in words."""


def describe(values: Mapping[str, Any], namespace: Mapping[str, Any]) -> list[Item]:
    """Return what travels: the names the cell reads, and those that its functions read."""
    items: dict[str, Item] = {}
    for name, value in values.items():
        items[name] = Item(
            name=name, type=spell_type(value), size=measure(value, namespace), via="the cell"
        )
    for name, value in values.items():
        for inner, via in _reached(name, value, namespace, seen=set(items)):
            part = namespace[inner]
            items[inner] = Item(
                name=inner, type=spell_type(part), size=measure(part, namespace), via=via
            )
    return list(items.values())


def measure(value: Any, namespace: Mapping[str, Any]) -> int:
    """Return the bytes a value takes by itself, without the notebook's names it refers to."""
    sizes: list[int] = []
    sink = Sink()
    pickler = Pickler(
        sink, namespace, keep=lambda view: sizes.append(view.nbytes), shallow=True, trial=True
    )
    try:
        pickler.dump(value)
    except Exception:  # noqa: BLE001 - to pickle runs code of the user's, which may raise anything
        return 0  # `pack` says what is wrong with it.
    return sink.size + sum(sizes)


def spell_type(value: Any) -> str:
    """Return the type of a value in few words, with its shape where it has one."""
    if isinstance(value, types.ModuleType):
        return "module"
    kind = type(value)
    # As users know it: `pandas.DataFrame`, not `pandas.core.frame.DataFrame`.
    module = "" if kind.__module__ == "builtins" else kind.__module__.partition(".")[0] + "."
    name = f"{module}{kind.__name__}"
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape and all(isinstance(each, int) for each in shape):
        return f"{name} {'×'.join(map(str, shape))}"
    if isinstance(value, list | tuple | dict | set | str | bytes):
        return f"{name} of {len(value)}"
    return name


def _reached(
    name: str, value: Any, namespace: Mapping[str, Any], *, seen: set[str]
) -> Iterator[tuple[str, str]]:
    """Yield the notebook's names that functions and classes read, with who reads them."""
    for function in _functions(value):
        if function.__globals__ is not namespace:
            continue
        surely, _ = read_names(function.__code__)
        for inner in surely:
            if inner in namespace and inner not in seen and not is_made_by_shell(inner, namespace):
                seen.add(inner)
                yield inner, f"{type(value).__name__} {name}"
                yield from _reached(inner, namespace[inner], namespace, seen=seen)


def _functions(value: Any) -> Iterator[types.FunctionType]:
    """Yield the functions that a value is made of."""
    if isinstance(value, types.FunctionType):
        yield value
        for cell in value.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:
                continue  # Not bound yet.
            if isinstance(content, types.FunctionType) and content is not value:
                yield from _functions(content)
    elif isinstance(value, types.MethodType):
        yield from _functions(value.__func__)
    elif isinstance(value, type) and value.__module__ in MAIN:
        for part in vars(value).values():
            inner = getattr(part, "__func__", None) or getattr(part, "fget", None) or part
            if isinstance(inner, types.FunctionType):
                yield from _functions(inner)
    elif type(value).__module__ in MAIN:
        yield from _functions(type(value))
    wrapped = getattr(value, "__wrapped__", None)
    if isinstance(wrapped, types.FunctionType):
        yield from _functions(wrapped)
