"""
What a cell calls, with which values, as far as its text and the notebook tell.

A value is a constant, a call of the cell, an object of the notebook, a list or dictionary of such,
or a `Word`: a dotted name as in `torch.float16`, which is also what an unknown variable becomes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


class Word(str):
    """A dotted name whose value is not known."""

    __slots__ = ()

    @property
    def last(self) -> str:
        return self.rpartition(".")[2]


@dataclass(eq=False, slots=True)
class Call:
    """A call of the cell."""

    path: tuple[str, ...]
    """As in `torch, nn, Linear`; what it is called on comes first, without what that was called."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    of: Any = None
    """What its method belongs to, where that is the result of another call, or a live object."""

    within: str = ""
    """Function of the cell that it stands in."""

    repeat: int = 1
    """How often it is made, where it stands in a loop over a `range` that is known."""

    @property
    def last(self) -> str:
        return self.path[-1]

    @property
    def owner(self) -> str:
        return self.path[-2] if len(self.path) > 1 else ""

    @property
    def top(self) -> str:
        return self.path[0]

    def get(self, *names: str, at: int | None = None) -> Any:
        """Return a value by one of its names, or by its place; None if it is not given."""
        for name in names:
            if name in self.kwargs:
                return self.kwargs[name]
        return self.args[at] if at is not None and at < len(self.args) else None


@dataclass(slots=True)
class Reading:
    """What a cell does, as far as it can be seen."""

    calls: list[Call] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)
    """Full names of modules that the cell imports, or that modules it uses have."""

    names: set[str] = field(default_factory=set)
    """Names that it reads."""

    words: set[str] = field(default_factory=set)
    """Its strings that are short, and the dotted names in it."""

    values: dict[str, Any] = field(default_factory=dict)
    """What its names are bound to last."""

    said: str = ""
    """What its own first line asks for, as written."""

    broken: bool = False
    """Whether it is no Python, or too deep to be read."""

    def named(self, *names: str) -> Iterator[Call]:
        """Give the calls whose last name is one of some."""
        return (call for call in self.calls if call.last in names)


@dataclass(frozen=True, slots=True)
class Live:
    """An object of the notebook, which is looked at and never touched."""

    name: str
    value: object = field(repr=False)
