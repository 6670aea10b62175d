"""
Another version than the one that is here, for a user who insists on it.

It lies in an environment of the host's cache and comes before what was installed, for this process
and its children. What is here stays as it is.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


def name_of(requirement: str) -> str:
    """Return the name of a distribution as all its spellings have it: `ruamel-yaml`."""
    found = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""


def title(distribution: Distribution) -> str:
    """Return the name of a distribution as it spells it; nothing for a broken one."""
    # Not `name`: Python 3.9 does not know it.
    return distribution.metadata["Name"] or ""


def present(cache: Path) -> dict[str, str]:
    """Return what was installed before this process began, by name."""
    places = [entry for entry in sys.path if not Path(entry).is_relative_to(cache)]
    return _versions(distributions(path=places))


def changed(place: Path, here: dict[str, str]) -> dict[str, str]:
    """Return what an environment has in another version than what is here."""
    found = _versions(distributions(path=[str(place)]))
    return {name: version for name, version in found.items() if here.get(name, version) != version}


def loaded(names: Iterable[str], place: Path | None = None) -> list[str]:
    """
    Return the distributions whose modules this process has imported from elsewhere.

    Args:
        names: Which to look at.
        place: Where they would come from, if they are there already.
    """
    wanted = {name_of(name) for name in names}
    path = [str(place)] if place else sys.path
    found = []
    for distribution in distributions(path=path):
        if (name := name_of(title(distribution))) in wanted:
            wanted.discard(name)
            if any(_is_loaded(top, place) for top in _tops(distribution)):
                found.append(title(distribution))
    return found


def prune(place: Path, here: dict[str, str], keep: Iterable[str]) -> None:
    """
    Take out of an environment what is here in the same version.

    Installers bring along all that is needed. The builds that are here fit this machine, its
    drivers and each other, and must not be hidden.
    """
    kept = {name_of(each) for each in keep}
    for distribution in list(distributions(path=[str(place)])):
        name = name_of(title(distribution))
        if name in kept or here.get(name, "").partition("+")[0] != distribution.version:
            continue
        for file in distribution.files or ():
            path = Path(os.path.normpath(place / file))
            if path.is_relative_to(place):
                path.unlink(missing_ok=True)
    for folder, _, _ in os.walk(place, topdown=False):
        if folder != str(place) and not os.listdir(folder):  # noqa: PTH208 - of strings
            Path(folder).rmdir()


def put_first(place: Path) -> None:
    """Let an environment come before all that was installed, but not before Python's library."""
    holding = (
        index
        for index, entry in enumerate(sys.path)
        if next(iter(distributions(path=[entry])), None) is not None
    )
    sys.path.insert(next(holding, len(sys.path)), str(place))
    # What a cell starts with `!` or as a subprocess is to import the same.
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{place}{os.pathsep}{others}" if others else str(place)
    importlib.invalidate_caches()


def _versions(found: Iterable[Distribution]) -> dict[str, str]:
    versions: dict[str, str] = {}
    for distribution in found:
        if (name := name_of(title(distribution))) and distribution.version:
            # The first on the path is the one that is imported.
            versions.setdefault(name, distribution.version)
    return versions


def _tops(distribution: Distribution) -> Iterator[str]:
    """Yield the names under which a distribution is imported."""
    files = distribution.files
    if not files:
        yield title(distribution).replace("-", "_")
    for file in files or ():
        top = file.parts[0].partition(".")[0]
        if file.suffix in (".py", ".so", ".pyd") and top.isidentifier():
            yield top


def _is_loaded(top: str, place: Path | None) -> bool:
    # Helpers that hook themselves into each start of Python, as `_distutils_hack`, do not count.
    file = getattr(sys.modules.get(top), "__file__", None)
    if top.startswith("_") or not file:
        return False
    return place is None or not Path(file).is_relative_to(place)
