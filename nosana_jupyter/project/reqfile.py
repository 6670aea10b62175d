"""
`requirements.txt`: requirements and constraints, a line each, and files within files.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ..errors import UsageError
from .pins import Pins, applies, host_environment, without_credentials

DEEPEST = 10
"""How many files may lie within each other."""

_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s--hash[=\s](\w+:[0-9a-f]+)")
_OPTION = re.compile(r"(--?[A-Za-z-]+)[=\s]*(.*)")
_BEGIN = re.compile(r"[\w.-]{0,40}")
"""What of a line may be shown whatever is in it: no address."""

_EXACT = re.compile(r"===?\s*([^,*\s]+)")

INNER = {"-r": False, "--requirement": False, "-c": True, "--constraint": True}
"""Options that name another file, and whether it only bounds."""


@dataclass(slots=True)
class _Found:
    """What has been read so far."""

    roots: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    bounds: dict[str, str] = field(default_factory=dict)
    direct: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    local: set[str] = field(default_factory=set)
    index: str = ""
    extra: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def pins(self, shown: str) -> Pins:
        return Pins(
            file=shown,
            roots=tuple(dict.fromkeys(self.roots)),
            versions=self.versions,
            bounds=self.bounds,
            direct=self.direct,
            hashes=self.hashes,
            local=frozenset(self.local),
            index=self.index,
            extra_indexes=tuple(dict.fromkeys(self.extra)),
            notes=tuple(dict.fromkeys(self.notes)),
        )


def read(path: Path, shown: str) -> Pins:
    """
    Read requirements, and the files they name.

    Args:
        path: The file.
        shown: Its path, as the user knows it.

    Raises:
        UsageError: A line is none, or a file is not there.
    """
    found = _Found()
    _read(path, shown, found, bounds_only=False, depth=0)
    return found.pins(shown)


def parse(lines: list[str], shown: str) -> Pins:
    """Read requirements that stand in another file."""
    found = _Found()
    for line in lines:
        _take(line, Path(), shown, found, bounds_only=False, depth=DEEPEST)
    return found.pins(shown)


def _read(path: Path, shown: str, found: _Found, *, bounds_only: bool, depth: int) -> None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{shown} cannot be read: {error}",
            hint="Mend it, or leave it with `--deps none`.",
        ) from None
    for line in _lines(text):
        _take(line, path.parent, shown, found, bounds_only=bounds_only, depth=depth)


def _lines(text: str) -> Iterator[str]:
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        if plain := _COMMENT.sub("", line).strip():
            yield plain


def _take(
    line: str, folder: Path, shown: str, found: _Found, *, bounds_only: bool, depth: int
) -> None:
    """Read one line."""
    try:
        if line.startswith("-"):
            _option(line, folder, shown, found, bounds_only=bounds_only, depth=depth)
        else:
            _requirement(line, shown, found, bounds_only=bounds_only)
    except ValueError:  # Quotes that are not closed, and addresses that are none.
        begin = _BEGIN.findall(line)[0]
        raise UsageError(
            f"{shown}: the line that begins with {begin!r} cannot be read",
            hint="Mend it, or leave the file with `--deps none`.",
        ) from None


def _option(
    line: str, folder: Path, shown: str, found: _Found, *, bounds_only: bool, depth: int
) -> None:
    option, value = match.groups() if (match := _OPTION.match(line)) else (line, "")
    value = " ".join(shlex.split(value)) if value.count('"') % 2 == 0 else value
    if option in INNER:
        if depth >= DEEPEST:
            raise UsageError(
                f"{shown}: files lie more than {DEEPEST} deep within each other",
                hint="Leave them with `--deps none`.",
            )
        inner = folder / value
        _read(inner, str(inner), found, bounds_only=bounds_only or INNER[option], depth=depth + 1)
    elif option in ("-i", "--index-url"):
        found.index = _index(value, found)
    elif option == "--extra-index-url":
        found.extra += [url] if (url := _index(value, found)) else []
    elif option in ("-e", "--editable"):
        found.notes.append(f"{line} is not installed: what is imported of it travels as source")
    else:
        found.notes.append(f"{option} of {shown} is not followed")


def _index(url: str, found: _Found) -> str:
    clean, note = without_credentials(url)
    found.notes += [note] if note else []
    return clean


def _requirement(line: str, shown: str, found: _Found, *, bounds_only: bool) -> None:
    hashes = tuple(_HASH.findall(line))
    text = _HASH.sub("", line).strip()
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        if re.match(r"[./]|\w+:|\w+\+\w+:", text):
            found.notes.append(f"{_shortened(text)} names no distribution and is left out")
            return
        raise UsageError(
            f"{shown}: {_shortened(text)!r} is not a requirement",
            hint="Mend it, or leave the file with `--deps none`.",
        ) from None
    if requirement.marker and not applies(str(requirement.marker), host_environment()):
        return
    name = str(canonicalize_name(requirement.name))
    if not bounds_only:
        found.roots.append(name)
    if requirement.url:
        clean, note = without_credentials(requirement.url)
        found.notes += [note] if note else []
        found.direct[name] = f"{requirement.name} @ {clean}"
    elif exact := _EXACT.fullmatch(str(requirement.specifier)):
        found.versions[name] = exact[1]
        if hashes:
            found.hashes[f"{name}=={exact[1]}"] = hashes
    elif requirement.specifier or not bounds_only:
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        found.bounds.setdefault(name, f"{requirement.name}{extras}{requirement.specifier}")


def _shortened(text: str) -> str:
    return without_credentials(text)[0][:80]
