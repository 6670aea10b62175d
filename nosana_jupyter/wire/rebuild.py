"""
What the client sends, made whole again on the host.

This is the one direction in which pickle is used: a user's objects go to a host that the user chose
to run code on. Nothing that a host sends ever comes here.

Functions of the notebook share its namespace, and on the host they share the cell's: `global x` in
one of them is seen by the cell, as at home. What is called `make` and `fill` here is called by the
pickle itself.
"""

from __future__ import annotations

import abc
import builtins
import enum
import functools
import importlib
import io
import pickle
import types
import typing
import weakref
from collections.abc import Iterable
from typing import Any

NAMESPACE = "namespace"
"""Stands for the notebook's namespace in a header."""

NAME = "name"
"""Marks a value that is there already, with the name it has."""

_KINDS = {"bytes": bytes, "bytearray": bytearray}
"""What a mark in a header may say a buffer is."""


_classes: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()
"""Classes made here, by what the client knows them by: one that comes again is the same."""

_made: weakref.WeakSet[type] = weakref.WeakSet()


class _Unpickler(pickle.Unpickler):
    def __init__(self, header: io.BytesIO, buffers: Iterable[Any], namespace: dict[str, Any]):
        # Arrays take their buffers as the pickle comes to them, and so do we for bytes.
        self._buffers = iter(buffers)
        self._taken: list[Any] = []
        self._namespace = namespace
        super().__init__(header, buffers=self._buffers)

    def persistent_load(self, pid: Any) -> Any:
        """Return what a mark in the header stands for."""
        if pid == NAMESPACE:
            return self._namespace
        if type(pid) is tuple and len(pid) == 2 and pid[0] == NAME:
            if pid[1] not in self._namespace:
                raise pickle.UnpicklingError(f"{pid[1]} is not here any more")
            return self._namespace[pid[1]]
        kind, index = pid if type(pid) is tuple and len(pid) == 2 else (None, -1)
        if kind not in _KINDS or type(index) is not int or not 0 <= index <= len(self._taken):
            raise pickle.UnpicklingError(f"unknown mark {pid!r}")
        if index == len(self._taken):
            buffer = next(self._buffers, None)
            if buffer is None:
                raise pickle.UnpicklingError("a buffer is missing")
            of_kind = _KINDS[kind]
            self._taken.append(buffer if type(buffer) is of_kind else of_kind(buffer))
        return self._taken[index]


def load(header: bytes, buffers: Iterable[Any], namespace: dict[str, Any]) -> None:
    """
    Unpickle a header and put its names into a namespace.

    Args:
        header: What `cell.bundle.pack` made: a pickle for each value, then one of all by name.
        buffers: Its buffers, in order.
        namespace: Where the cell runs.
    """
    stream = io.BytesIO(header)
    unpickler = _Unpickler(stream, buffers, namespace)
    values: Any = {}
    while stream.tell() < len(header):
        values = unpickler.load()
    # A dotted name is a module that only had to be imported.
    namespace.update({name: value for name, value in values.items() if "." not in name})


def make_function(
    code: types.CodeType, namespace: dict[str, Any], closure: tuple[types.CellType, ...] | None
) -> types.FunctionType:
    """Make a function that has yet to get its parts, some of which may refer to it."""
    namespace.setdefault("__builtins__", builtins)
    return types.FunctionType(code, namespace, code.co_name, None, closure)


def fill_function(function: types.FunctionType, state: dict[str, Any]) -> None:
    """Give a function its parts."""
    for name in state["modules"]:
        importlib.import_module(name)
    function.__globals__.update(state["globals"])
    for cell, content in state["cells"]:
        cell.cell_contents = content
    function.__dict__.update(state["dict"])
    for name, value in state["attributes"].items():
        setattr(function, name, value)


def make_cell() -> types.CellType:
    """Make an empty cell of a closure: several functions may share it."""
    return types.CellType()


def fill_cell(cell: types.CellType, content: tuple[Any]) -> None:
    """Put a value into a cell."""
    cell.cell_contents = content[0]


def make_cached(function: Any, maxsize: int | None, typed: bool) -> Any:  # noqa: FBT001, RUF100 - as `lru_cache`
    """Make what `lru_cache` makes, with nothing in it."""
    return functools.lru_cache(maxsize, typed)(function)


def make_alias(name: str, value: Any, parameters: tuple[Any, ...]) -> Any:
    """Make what `type X = …` makes (Python 3.12)."""
    return typing.TypeAliasType(name, value, type_params=parameters)  # type: ignore[attr-defined]


def make_texts(
    shape: tuple[int, ...],
    order: Any,
    blocks: list[tuple[int, int, str, Any]],
    rest: dict[int, Any],
) -> Any:
    """Make an array of strings, with something else in a few places."""
    import numpy as np

    items: list[str] = []
    known: dict[str, str] = {}
    for count, few, between, data in blocks:
        view = memoryview(data)
        size = 2 * count if few else 0
        strings = str(view[size:], "utf-8", "surrogatepass").split(between)
        if few:
            # What is one string in many places stays one.
            strings = [known.setdefault(each, each) for each in strings]
            codes = np.frombuffer(view[:size], "<u2").tolist()
            strings = list(map(strings.__getitem__, codes))
        items += strings
    array = np.empty(len(items), object)
    array[:] = items
    for place, item in rest.items():
        array[place] = item
    return array.reshape(shape, order=order)


def make_class(
    identity: str, kind: Any, name: str, bases: tuple[type, ...], space: dict[str, Any]
) -> type:
    """Make a class that has yet to get its parts. Hooks of classes made here do not run."""
    if identity in _classes:
        return _classes[identity]
    hooks = _take_hooks(bases)
    try:
        if kind in _made or kind.__module__ == "typing":
            # What this metaclass does to a class was done to it at home.
            base = next(each for each in kind.__mro__ if each in (abc.ABCMeta, type))
            made = base.__new__(kind, name, bases, dict(space))
        else:
            made = types.new_class(name, bases, {"metaclass": kind}, lambda own: own.update(space))
    finally:
        for holder, hook in hooks:
            type.__setattr__(holder, "__init_subclass__", hook)
    return _remember(identity, made)


def make_enum(
    identity: str,
    kind: Any,
    name: str,
    bases: tuple[type, ...],
    space: dict[str, Any],
    values: dict[str, Any],
    plain: dict[str, Any] | None,
    options: dict[str, Any],
) -> type:
    """Make an enumeration with its members, which cannot be added later."""
    if identity in _classes:
        return _classes[identity]
    own = kind.__prepare__(name, bases)
    for key, value in space.items():
        own[key] = value
    for key, value in values.items():
        own[key] = enum.member(value)
    if plain is not None:
        own["__new__"] = _member_maker(plain, values)
    return _remember(identity, kind.__new__(kind, name, bases, own, **options))


def _member_maker(plain: dict[str, Any], values: dict[str, Any]) -> Any:
    """Return what stands in for the `__new__` of an enumeration while its members are made."""
    left = iter(plain)

    def make(cls: Any, *_: Any) -> Any:
        name = next(left)
        content = plain[name]
        given = () if content is None else (content,)
        member = (object if content is None else type(content)).__new__(cls, *given)
        member._value_ = values[name]
        return member

    return make


def fill_class(made: Any, state: dict[str, Any]) -> None:
    """Give a class its parts."""
    # A metaclass of the notebook may watch its attributes; it has seen these already.
    put = type.__setattr__ if type(made) in _made else setattr
    for name, value in state["attributes"].items():
        put(made, name, value)
    for each in state["registered"]:
        made.register(each)
    for name, own in state.get("members", {}).items():
        made[name].__dict__.update(own)


def _take_hooks(bases: tuple[type, ...]) -> list[tuple[type, Any]]:
    """Take `__init_subclass__` from classes made here; return them, to be put back."""
    hooks = []
    for holder in {each for base in bases for each in base.__mro__}:
        if holder in _made and "__init_subclass__" in vars(holder):
            hooks.append((holder, vars(holder)["__init_subclass__"]))
            type.__delattr__(holder, "__init_subclass__")
    return hooks


def _remember(identity: str, made: Any) -> type:
    _classes[identity] = made
    _made.add(made)
    return made  # type: ignore[no-any-return] # it is what a metaclass makes
