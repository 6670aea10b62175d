"""
Classes of the notebook, taken apart.

A class is first made with nothing in it, so that its parts may refer to it, and then filled. What
the notebook's own hooks do when a class is made, as in a registry of subclasses, they did here: on
the other side they do not run again.
"""

from __future__ import annotations

import abc
import enum
import types
import uuid
import weakref
from typing import Any

from ..wire import rebuild

_identities: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()

_MADE_WITH = ("__module__", "__qualname__", "__slots__", "__orig_bases__", "__firstlineno__")
"""Attributes that a class must have from the first."""

_LEFT_OUT = frozenset(
    {"__dict__", "__weakref__", "_abc_impl", "__annotate_func__", "__annotations_cache__"}
)
"""Attributes that Python makes by itself."""

_OF_ENUMS = frozenset(
    {
        "_member_names_", "_member_map_", "_value2member_map_", "_unhashable_values_",
        "_unhashable_values_map_", "_hashable_values_", "_member_type_", "_value_repr_",
        "_generate_next_value_", "_use_args_", "__new__", "_flag_mask_",
        "_singles_mask_", "_all_bits_", "_inverted_", "_boundary_",
    }
)  # fmt: skip
_OF_MEMBERS = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})


def reduce_class(kind: type) -> tuple[Any, ...]:
    """Return what pickle needs to make a class on the other side."""
    if issubclass(kind, enum.Enum):
        return _reduce_enum(kind)
    space = {name: vars(kind)[name] for name in _MADE_WITH if name in vars(kind)}
    arguments = (identity(kind), type(kind), kind.__name__, kind.__bases__, space)
    state = {
        "attributes": {
            name: value
            for name, value in vars(kind).items()
            if name not in space and name not in _LEFT_OUT and not _is_slot(kind, value)
        },
        "registered": _registered(kind),
    }
    return rebuild.make_class, arguments, state, None, None, rebuild.fill_class


def identity(kind: type) -> str:
    """Return what a class is known by on the other side, as long as it lives here."""
    return _identities.setdefault(kind, uuid.uuid4().hex)


def _reduce_enum(kind: type[enum.Enum]) -> tuple[Any, ...]:
    members = kind.__members__
    space = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    options = {"boundary": vars(kind)["_boundary_"]} if vars(kind).get("_boundary_") else {}
    values = {name: member.value for name, member in members.items()}
    made_by = vars(kind).get("__new_member__") if "_new_member_" in vars(kind) else None
    own_new = getattr(made_by, "__module__", None) == kind.__module__
    # What its own `__new__` was given is not known any more. What it made of that is.
    plain = {name: _plain(member) for name, member in members.items()} if own_new else None
    how = (values, plain, options)
    arguments = (identity(kind), type(kind), kind.__name__, kind.__bases__, space, *how)
    inherited = [vars(base) for base in kind.__mro__[1:]]
    state = {
        "attributes": {
            name: value
            for name, value in vars(kind).items()
            if name not in members
            and not (name in space or name in _OF_ENUMS or name in _LEFT_OUT)
            and not any(base.get(name) is value for base in inherited)
        },
        "registered": [],
        "members": {
            name: {key: part for key, part in vars(member).items() if key not in _OF_MEMBERS}
            for name, member in members.items()
        },
    }
    return rebuild.make_enum, arguments, state, None, None, rebuild.fill_class


def _plain(member: Any) -> Any:
    """Return what a member is apart from being one: an `int`, a `str` and so on."""
    number: Any
    for number in (int, float):
        if isinstance(member, number):
            return number.__pos__(member)
    sequence: Any
    for sequence in (str, bytes, tuple):
        if isinstance(member, sequence):
            return sequence.__getitem__(member, slice(None))
    return None


def _is_slot(kind: type, value: Any) -> bool:
    return isinstance(value, types.MemberDescriptorType) and value.__objclass__ is kind


def _registered(kind: type) -> list[type]:
    """Return the classes that an abstract class counts as its own by `register`."""
    if not isinstance(kind, abc.ABCMeta):
        return []
    references = abc._get_dump(kind)[0]  # type: ignore[attr-defined] # noqa: SLF001 - it has no other door
    return [found for found in (each() for each in references) if found is not None]
