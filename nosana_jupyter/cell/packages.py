"""
Distributions that a cell needs, pinned to the versions used here.

A name that is imported but not installed here is never turned into a distribution by guess: on an
index, a distribution of that name may be anybody's.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ..errors import UsageError
from ..project.pins import has_credentials

OURS = "nosana_jupyter"
"""This package. The runner brings its own part of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """A distribution, or a name that nothing here provides."""

    distribution: str
    """Its name on an index; the imported name where none is known."""

    version: str
    """Version used here, without its local part. Empty where it is not installed."""

    imports: tuple[str, ...]
    """Top-level names through which it is needed."""

    as_source: bool = False
    """Whether no index has this version, so that its modules travel as source."""

    note: str = ""
    """What may surprise, as a sentence."""

    @property
    def installable(self) -> bool:
        """Whether it can be installed from an index."""
        return bool(self.version) and not self.as_source


def find_packages(imports: Iterable[str], *, local: Iterable[str] = ()) -> list[Package]:
    """
    Return the distributions that provide modules.

    Args:
        imports: Full names of modules, of code and of values.
        local: Top-level names that travel as source, and need no distribution.
    """
    skip = {*local, OURS, "__main__", *sys.builtin_module_names, *sys.stdlib_module_names}
    tops: dict[str, list[str]] = {}
    for name in imports:
        top = name.partition(".")[0]
        if top and top not in skip:
            tops.setdefault(top, []).append(name)
    found: dict[str, Package] = {}
    for top, names in tops.items():
        owners = _owners(top, names)
        for package in [_package(owner, top) for owner in owners] or [_unknown(top)]:
            key = str(canonicalize_name(package.distribution))
            if key in found:
                package = _joined(found[key], package)
            found[key] = package
    return sorted(found.values(), key=lambda package: package.distribution.lower())


def parse_extra(text: str) -> str:
    """
    Read a requirement the user named, as in `pandas==2.2`.

    Raises:
        UsageError: It is not one.
    """
    if has_credentials(text):
        raise UsageError(
            "--pip: the address holds who asks, with a password or a token, for all to read",
            hint="Name the index as a secret, --secret PIP_INDEX_URL, and the package by its name.",
        )
    try:
        return str(Requirement(text))
    except InvalidRequirement as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"--pip: {text!r} is not a requirement: {reason}",
            hint="Write it as name, name==1.2 or name[extra]>=1.2.",
        ) from None


def _owners(top: str, names: Iterable[str]) -> list[str]:
    owners = _providers(_installed()).get(top, [])
    unique = list(dict.fromkeys(owners))
    if len(unique) < 2:
        return unique
    # Several distributions share a namespace, like `google`: those that hold what is imported.
    paths = [name.replace(".", "/") for name in names if "." in name]
    holding = [owner for owner in unique if _holds(owner, paths)]
    return holding or unique


def _holds(owner: str, paths: Iterable[str]) -> bool:
    files = {str(file) for file in importlib.metadata.files(owner) or ()}
    return any(f"{path}.py" in files or f"{path}/__init__.py" in files for path in paths)


def _package(owner: str, top: str) -> Package:
    version = importlib.metadata.version(owner)
    origin = _origin(owner)
    return Package(
        distribution=owner,
        version=_public(version),
        imports=(top,),
        as_source=bool(origin),
        note=f"{owner} was installed from {origin}: it travels as source" if origin else "",
    )


def _unknown(top: str) -> Package:
    return Package(
        distribution=top,
        version="",
        imports=(top,),
        note=f"{top} is imported but not installed here; if the image lacks it, name it with --pip",
    )


def _joined(one: Package, other: Package) -> Package:
    return Package(
        distribution=one.distribution,
        version=one.version,
        imports=tuple(dict.fromkeys([*one.imports, *other.imports])),
        as_source=one.as_source,
        note=one.note,
    )


def _origin(owner: str) -> str:
    """Say where a distribution came from if not from an index (PEP 610)."""
    text = importlib.metadata.distribution(owner).read_text("direct_url.json")
    if not text:
        return ""
    try:
        record = json.loads(text)
    except ValueError:
        return ""
    if "vcs_info" in record:
        return "a repository"
    return "a folder" if "dir_info" in record else "a file"


def _public(version: str) -> str:
    """Drop what indexes do not know: `2.4.0+cu121` is `2.4.0` there."""
    try:
        return Version(version).public
    except InvalidVersion:
        return version


def _installed() -> tuple[tuple[str, int], ...]:
    """Return what is another once something was installed here or removed."""
    stamps = []
    for path in sys.path:
        # A notebook's own folder changes whenever it is saved.
        if path and Path(path) != Path.cwd():
            with suppress(OSError):
                stamps.append((path, Path(path).stat().st_mtime_ns))
    return tuple(stamps)


@lru_cache(maxsize=1)
def _providers(_installed: tuple[tuple[str, int], ...]) -> Mapping[str, list[str]]:
    """
    Return which distributions provide a top-level name.

    As `importlib.metadata.packages_distributions`, which takes seconds for some hundred of them.
    """
    found: dict[str, list[str]] = {}
    for each in importlib.metadata.distributions():
        name = _name(each)
        for top in _tops(each) if name else ():
            found.setdefault(top, []).append(name)
    return found


def _name(distribution: importlib.metadata.Distribution) -> str:
    """Return its name, without reading all that is said of it."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    for line in text.splitlines():
        if not line:
            break
        if line.startswith("Name:"):
            return line.partition(":")[2].strip()
    return ""


def _tops(distribution: importlib.metadata.Distribution) -> set[str]:
    """Return the top-level names that a distribution provides."""
    if told := distribution.read_text("top_level.txt"):
        return set(told.split())
    record = distribution.read_text("RECORD")
    paths = record.splitlines() if record else map(str, distribution.files or ())
    found = set()
    for path in paths:
        top, slash, _ = path.partition(",")[0].strip('"').partition("/")
        name = top if slash else inspect.getmodulename(top)
        if name and "." not in name:
            found.add(name)
    return found
