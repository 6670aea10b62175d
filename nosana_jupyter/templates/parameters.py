"""
The parameters of a template: their types, their bounds, and how they get into code.

A value goes into code as the literal that it is, so that no text becomes code.
"""

from __future__ import annotations

import keyword
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from ..errors import UsageError
from ..sanitize import line

CELL = "parameters"
"""Tag of the cell of a notebook that holds the defaults."""

INJECTED = "injected-parameters"
"""Tag of the cell that holds the values of a run."""

Value = bool | int | float | str

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Parameter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value that a template asks for."""

    name: str
    type: Literal["int", "float", "bool", "text"] = "text"
    default: Value
    help: str = ""
    choices: Sequence[Value] = ()
    min: float | None = None
    max: float | None = None
    small: Value | None = None
    """What it is when the template is only tried; by default the default."""

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or keyword.iskeyword(self.name):
            raise ValueError(f"{self.name!r} is no name that a parameter can have")
        try:
            for value in (self.default, self.tried, *self.choices):
                if self.check(value) != value:
                    raise UsageError(f"parameter {self.name}: {value!r} is not of type {self.type}")
        except UsageError as error:
            raise ValueError(str(error)) from None

    @property
    def tried(self) -> Value:
        """What it is when the template is only tried."""
        return self.default if self.small is None else self.small

    def check(self, given: object) -> Value:
        """
        Return what was given as a value of this parameter's type; text is read.

        Raises:
            UsageError: It is of another type, or outside of what is allowed.
        """
        value = self._typed(given)
        bounds = (self.min is not None and value < self.min) or (  # type: ignore[operator] # numbers
            self.max is not None and value > self.max  # type: ignore[operator]
        )
        if bounds:
            least = "" if self.min is None else f"from {self.min:g} "
            most = "" if self.max is None else f"to {self.max:g}"
            raise UsageError(
                f"parameter {self.name} cannot be {value!r}",
                hint=f"It goes {least}{most}".strip() + ".",
            )
        if self.choices and value not in self.choices:
            allowed = ", ".join(str(each) for each in self.choices)
            raise UsageError(
                f"parameter {self.name} cannot be {value!r}", hint=f"It is one of {allowed}."
            )
        return value

    def _typed(self, given: object) -> Value:
        text = given.strip() if isinstance(given, str) else given
        try:
            match self.type:
                case "text" if isinstance(given, str):
                    return given
                case "bool" if isinstance(given, bool):
                    return given
                case "bool" if isinstance(text, str) and text.lower() in _WORDS:
                    return _WORDS[text.lower()]
                case "int" if isinstance(given, int) and not isinstance(given, bool):
                    return given
                case "int" if isinstance(text, str):
                    return int(text)
                case "float" if isinstance(text, str | int | float) and not isinstance(text, bool):
                    value = float(text)
                    if math.isfinite(value):
                        return value
        except (ValueError, OverflowError):
            pass
        shown = repr(given)[:60]
        kind = {"int": "a whole number", "float": "a number", "bool": "true or false"}
        raise UsageError(
            f"parameter {self.name} cannot be {shown}",
            hint=f"It is {kind.get(self.type, 'text')}, as in {self.default!r}.",
        )


def chosen(
    parameters: Sequence[Parameter], given: Mapping[str, object], *, small: bool = False
) -> dict[str, Value]:
    """
    Return the value of each parameter.

    Args:
        parameters: What there is.
        given: What the user says; the rest have their defaults.
        small: Whether the rest is what the template is tried with.

    Raises:
        UsageError: There is no such parameter, or it cannot have that value.
    """
    names = [each.name for each in parameters]
    for name in given:
        if name not in names:
            raise UsageError(
                f"the template has no parameter {name!r}",
                hint=f"It has {', '.join(names)}." if names else "It has none.",
            )
    return {
        each.name: each.check(given[each.name])
        if each.name in given
        else (each.tried if small else each.default)
        for each in parameters
    }


def lines(parameters: Sequence[Parameter], values: Mapping[str, Value]) -> str:
    """Return values as the first lines of a cell, each with what it is for."""
    made = [f"{each.name} = {values[each.name]!r}" for each in parameters]
    notes = [line(each.help) for each in parameters]
    width = max((len(each) for each, note in zip(made, notes, strict=True) if note), default=0)
    return "".join(
        f"{each.ljust(width)}  # {note}\n" if note else f"{each}\n"
        for each, note in zip(made, notes, strict=True)
    )


def placed(text: str, values: Mapping[str, Value]) -> str:
    """Return a line of options in which values stand in place of `{name}`."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return shlex.quote(str(values[name])) if name in values else found[0]

    return re.sub(r"\{(\w+)\}", value, text)


def inject(notebook: Any, values: Mapping[str, object]) -> None:
    """
    Put a cell with values below the one that is tagged `parameters`, or at the top.

    Raises:
        UsageError: One has no name that Python knows.
    """
    for name in values:
        if not name.isidentifier():
            raise UsageError(f"parameter {name!r} is no name", hint="Write -p NAME VALUE.")
    if not values:
        return
    import nbformat  # Loads slowly.

    source = "\n".join(["# Parameters", *(f"{name} = {each!r}" for name, each in values.items())])
    made = nbformat.v4.new_code_cell(source, metadata={"tags": [INJECTED]})  # type: ignore[no-untyped-call]
    if notebook.nbformat_minor < 5:
        made.pop("id", None)
    cells = [each for each in notebook.cells if INJECTED not in _tags(each)]
    at = next((number + 1 for number, each in enumerate(cells) if CELL in _tags(each)), 0)
    notebook.cells = [*cells[:at], made, *cells[at:]]


def _tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))
