"""
Forms of objects of the user's own classes: the name of the class, and what the object holds.

The class itself never comes. It is looked up among those that the user has written on the other
side, and the object is made without running any of its code. So a class that has a say in how its
objects are made, copied or ended has no form. What the user wrote to compare objects runs where
they are keys or members of a set, as it does wherever such an object is used.
"""

from __future__ import annotations

import abc
import enum
from contextlib import suppress
from types import MemberDescriptorType
from typing import Any, Optional

from ..errors import RemoteProtocolError
from .values import Decode, Decoder, Encode, Encoder, NotPlain, Tree, expect

MAIN = "__main__"

OWN = {MAIN}
"""Modules whose classes are the user's own, on the side that encodes."""

_HOOKS = (
    "__del__", "__getattribute__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__",
    "__getnewargs__", "__getnewargs_ex__",
)  # fmt: skip
_MADE_BY = ("dataclasses", "collections", "typing", "enum")
"""Modules that give such methods to classes of the user's which have a form nevertheless."""


def find(value: Any) -> Optional[Encode]:
    """Return the form of an object, if it has one."""
    kind = type(value)
    if kind.__module__ not in OWN:
        return None
    how = _how(kind)
    return None if how is None else _ENCODE[how]


def renew(old: Any, new: Any) -> bool:
    """Let an object hold what another one of its class does; say whether that can be done."""
    if _how(type(old)) != "object":
        return False
    slots, content = _slots(type(old)), _held(new)
    for name in _held(old):
        if name in slots and name not in content:
            slots[name].__delete__(old)
    getattr(old, "__dict__", {}).clear()
    _read_into(old, content)
    return True


def _how(kind: type) -> Optional[str]:
    """Return which form objects of a class have."""
    if isinstance(kind, enum.EnumMeta):
        return "member" if type(kind) is enum.EnumMeta else None
    if type(kind) not in (type, abc.ABCMeta):
        return None
    for base in kind.__mro__:
        for hook in _HOOKS if base not in (object, tuple) else ():
            method = vars(base).get(hook)
            if method is not None and not _is_given(kind, base, method):
                return None
    if issubclass(kind, tuple):
        return "named tuple" if isinstance(getattr(kind, "_fields", None), tuple) else None
    return "object" if kind.__new__ is object.__new__ else None


def _is_given(kind: type, base: type, method: Any) -> bool:
    if issubclass(kind, tuple) and isinstance(vars(base).get("_fields"), tuple):
        return True  # Whoever makes a named tuple names its methods after it.
    return getattr(method, "__module__", None) in _MADE_BY


def _slots(kind: type) -> dict[str, Any]:
    return {
        name: slot
        for base in reversed(kind.__mro__)
        for name, slot in vars(base).items()
        if isinstance(slot, MemberDescriptorType)
    }


def _held(value: Any) -> dict[str, Any]:
    """Return what an object holds, by name."""
    found: dict[str, Any] = {}
    for name, slot in _slots(type(value)).items():
        with suppress(AttributeError):  # Nobody has set it.
            found[name] = slot.__get__(value)
    return {**found, **getattr(value, "__dict__", {})}


def _read_into(made: Any, content: dict[str, Any]) -> None:
    slots = _slots(type(made))
    for name, value in content.items():
        if name in slots:
            slots[name].__set__(made, value)
        else:
            # Not `made.__dict__`: where there is none, a `__getattr__` of the user's would run.
            object.__getattribute__(made, "__dict__")[name] = value


# Values to trees.


def _name(value: Any) -> list[Tree]:
    return [type(value).__module__, type(value).__qualname__]


def _object(encoder: Encoder, value: Any) -> Tree:
    held = _held(value)
    trees = [encoder.encode(each, f".{name}") for name, each in held.items()]
    return ["object", *_name(value), [str(name) for name in held], trees]


def _named(encoder: Encoder, value: Any) -> Tree:
    if getattr(value, "__dict__", None):
        raise NotPlain("is a named tuple with attributes of its own")
    return ["named tuple", *_name(value), encoder.items(tuple.__iter__(value))]


def _member(_: Encoder, value: Any) -> Tree:
    if type(value).__members__.get(value.name) is not value:
        raise NotPlain("is several members of an enumeration at once")
    return ["member", *_name(value), value.name]


_ENCODE: dict[str, Encode] = {"object": _object, "named tuple": _named, "member": _member}


# Trees to values.


def _read_class(decoder: Decoder, how: str, module: Tree, name: Tree) -> Any:
    kind = decoder.find_class(expect(module, str), expect(name, str))
    if _how(kind) != how:
        raise NotPlain(f"is a {name[:100]}, which is another kind of class here")
    return kind


def _read_object(decoder: Decoder, module: Tree, name: Tree, names: Tree, trees: Tree) -> Any:
    kind = _read_class(decoder, "object", module, name)
    held = [expect(each, str) for each in expect(names, list)]
    made = object.__new__(kind)
    content = decoder.items(trees)
    if len(held) != len(content):
        raise RemoteProtocolError("an object with names that do not fit its values")
    _read_into(made, dict(zip(held, content)))
    return made


def _read_named(decoder: Decoder, module: Tree, name: Tree, items: Tree) -> Any:
    kind = _read_class(decoder, "named tuple", module, name)
    content = decoder.items(items)
    if len(content) != len(kind._fields):
        raise NotPlain(f"is a {name[:100]} with other fields than here")
    return tuple.__new__(kind, content)


def _read_member(decoder: Decoder, module: Tree, name: Tree, member: Tree) -> Any:
    kind = _read_class(decoder, "member", module, name)
    if expect(member, str) not in kind.__members__:
        raise NotPlain(f"is a member that {name[:100]} does not have here")
    return kind.__members__[member]


READERS: dict[str, Decode] = {
    "object": _read_object,
    "named tuple": _read_named,
    "member": _read_member,
}
