"""
What a host would be given of packages, told before anything is spent.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ..events import Cell
from ..money.journal import PLAIN, Journal
from ..project.closure import closure
from ..sanitize import line
from ..settings import Settings
from ..units import size
from .pinning import spelled, unmapped
from .prepare import Prepared, prepare

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Row:
    """One package, or one of the user's own modules."""

    name: str
    here: str
    """Version that runs here."""

    wanted: str
    """Who wants it."""

    host: str
    """Version that the image was last seen to have."""

    action: str
    size: str = ""
    """Of what is installed here."""


@dataclass(frozen=True, slots=True)
class PackagePlan:
    """What a host would be given."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def plan(cell: Cell, settings: Settings, journal: Journal) -> PackagePlan:
    """
    Say which packages a cell needs, and what would be done about each. Asks nobody.

    Raises:
        CellError: The cell is not Python, or needs what cannot travel.
        UsageError: An option names what does not exist.
    """
    prepared = prepare(cell, settings)
    place = prepared.image
    known = journal.packages_of(place)
    if not known and (known := journal.packages_of(PLAIN)):
        place = PLAIN
    return PackagePlan(
        rows=tuple(_rows(prepared, known)),
        notes=tuple(_notes(prepared, cell, known, place)),
    )


def _rows(prepared: Prepared, known: Mapping[str, str | None]) -> Iterator[Row]:
    load, pins = prepared.load, prepared.load.pins
    named = {str(canonicalize_name(Requirement(text).name)): text for text in load.extras}
    needs = {str(canonicalize_name(each.distribution)): each for each in prepared.needs}
    wanted = {str(canonicalize_name(name)): (name, version) for name, version in load.packages}
    for key in sorted({*named, *needs, *wanted}):
        package = needs.get(key)
        name, version = wanted.get(key, (package.distribution if package else key, ""))
        here = package.version if package else _here(key)
        who = f"import {', '.join(package.imports)}" if package else pins.file
        there = known.get(key) if key in known else UNKNOWN
        if text := named.get(key):
            yield Row(name, here, f"--pip {text}", _shown(there), _named(text, there), _size(key))
        elif package and package.as_source:
            yield Row(name, here, who, "", "as source")
        elif key in wanted:
            text = spelled(name, version, pins)
            yield Row(name, here, who, _shown(there), _action(text, version, there), _size(key))
        else:
            yield Row(name, "", who, _shown(there), "left to the image")
    for path in prepared.modules:
        yield Row(path, "", "import", "", "as source")


def _shown(there: str | None) -> str:
    return "–" if there is None else line(there)


def _action(text: str, version: str, there: str | None) -> str:
    if there == UNKNOWN:
        return f"install {text} if it lacks it"
    if there is None:
        return f"install {text}"
    return "there" if not version or there.partition("+")[0] == version else "differs: stays"


def _named(text: str, there: str | None) -> str:
    requirement = Requirement(text)
    if there in (None, UNKNOWN):
        return "install" if there is None else "install unless it has it"
    try:
        met = not requirement.url and requirement.specifier.contains(
            Version(str(there)), prereleases=True
        )
    except InvalidVersion:
        met = False
    return "there" if met else "install in its place"


def _here(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _size(name: str) -> str:
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    total = sum(each.size or 0 for each in files)
    return size(total) if total else ""


def _notes(
    prepared: Prepared, cell: Cell, known: Mapping[str, str | None], place: str
) -> Iterator[str]:
    load, pins = prepared.load, prepared.load.pins
    if known:
        yield f"On the host: as {place} was last seen."
    else:
        yield f"What {place} has is unknown until a host has answered with it."
    if pins.file:
        yield f"Versions of what is not installed here: {pins.file}."
    needed = closure([name for name, _ in load.packages], pins)
    if needed:
        yield f"What these need in turn comes in the versions used here ({len(needed)})."
    secret = [f"--secret {name}" for name in cell.secrets if "INDEX" in name]
    if indexes := secret or [*filter(None, [pins.index]), *pins.extra_indexes]:
        yield f"Index: {', '.join(indexes)}."
    if names := unmapped(pins, [name for name, _ in load.packages]):
        yield f"conda's own names, not looked for on an index: {', '.join(names)}."
    yield from load.remarks
    yield from prepared.notes
