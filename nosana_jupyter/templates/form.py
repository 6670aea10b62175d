"""
What a template is: work with its needs and its parameters, which a person can read and change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..errors import UsageError
from .parameters import Parameter, Value, chosen, inject, lines, placed

Kind = Literal["cell", "notebook", "definition"]

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")


class Info(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a template says of itself."""

    title: str
    description: str = ""
    author: str = ""
    tags: Sequence[str] = ()
    vram: int | float = 0
    """GPU memory in GiB; 0 for any card."""

    local: bool = False
    """Whether its cell runs here, and rents hosts by itself."""

    options: str = ""
    """The rest of the `%%nosana` line, in which `{name}` is a parameter."""

    small_options: str = ""
    """The same when the template is only tried; by default as else."""

    parameters: Sequence[Parameter] = ()
    variants: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The file of each variant of a job definition, where there are several."""

    tested: str = ""
    """What of it was tried, and on what."""

    def __post_init__(self) -> None:
        names = [each.name for each in self.parameters]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"parameter {min(twice)!r} comes twice")
        if not 0 <= self.vram <= 4096:
            raise ValueError(f"no card has {self.vram} GiB")
        if max(len(each.splitlines()) for each in (self.options, self.small_options)) > 1:
            raise ValueError("options are one line")
        if self.local and (self.options or self.small_options or self.vram):
            raise ValueError("a cell that runs here has neither options nor VRAM")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Work that is ready to be run, once its parameters have values."""

    name: str
    info: Info
    kind: Kind
    files: Mapping[str, str] = field(repr=False)
    """What it is made of besides `info`, by name of file; the first is what runs."""

    head: str = field(default="", repr=False)
    """Its `info.json` as it was read; empty where there was none."""

    path: Path | None = None
    """Where it stands."""

    @property
    def body(self) -> str:
        """Text of the file that runs."""
        return next(iter(self.files.values()))

    def values(self, given: Mapping[str, object], *, small: bool = False) -> dict[str, Value]:
        """
        Return the value of each parameter: see `cell`.

        Raises:
            UsageError: One cannot be so, or there is no such parameter.
        """
        return chosen(self.info.parameters, given, small=small)

    def cell(self, given: Mapping[str, object], *, small: bool = False) -> str:
        """
        Return the cell that this template stands for.

        Args:
            given: Values of parameters, by name.
            small: Whether it is only tried: the rest is small, and any card will do.

        Raises:
            UsageError: A parameter cannot be so, or this is no template of a cell.
        """
        self.must_be("cell")
        values = self.values(given, small=small)
        named = lines(self.info.parameters, values)
        body = f"{named}{chr(10) if named else ''}{self.body.strip()}\n"
        if self.info.local:
            return body
        vram = f"--vram {self.info.vram:g}" if self.info.vram and not small else ""
        options = self.info.small_options if small else ""
        words = ["%%nosana", vram, placed(options or self.info.options, values)]
        return f"{' '.join(word for word in words if word)}\n{body}"

    def notebook(self, given: Mapping[str, object], *, small: bool = False) -> Any:
        """
        Return the notebook that this template is, with its parameters.

        Raises:
            UsageError: A parameter cannot be so, or this is no template of a notebook.
        """
        import nbformat  # Loads slowly.

        self.must_be("notebook")
        made = nbformat.reads(self.body, as_version=4)  # type: ignore[no-untyped-call]
        inject(made, self.values(given, small=small))
        return made

    def definition(self, variant: str = "") -> dict[str, Any]:
        """
        Return the job definition that this template is.

        Args:
            variant: Which, where there are several; by default the first.

        Raises:
            UsageError: There is no such variant, or this is no template of a definition.
        """
        self.must_be("definition")
        known = self.info.variants
        if variant and variant not in known:
            raise UsageError(
                f"template {self.name} has no variant {variant!r}",
                hint=f"It has {', '.join(known)}." if known else "It has none.",
            )
        text = self.files[known[variant]] if variant else self.body
        document: dict[str, Any] = json.loads(text)
        return document

    def must_be(self, kind: Kind) -> None:
        """Raise UsageError where this is a template of something else."""
        if self.kind != kind:
            raise UsageError(
                f"template {self.name} is a {self.kind}, not a {kind}",
                hint=f"See %nosana template show {self.name}",
            )


def checked(name: str) -> str:
    """Return the name of a template; raise UsageError where it can be none."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name[:60]!r} cannot be the name of a template",
            hint="Small letters, digits, - and _, at most 48 of them.",
        )
    return name
