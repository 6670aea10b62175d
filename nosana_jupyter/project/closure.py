"""
What packages need in turn, in the versions used here, or else in those of the project's file.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from .pins import Pins, host_environment


def closure(names: Iterable[str], pins: Pins) -> dict[str, str]:
    """
    Return what distributions need in turn, with versions.

    Args:
        names: Distributions. They are not in the answer unless they need each other.
        pins: What the project's file says.
    """
    environment = host_environment()
    found: dict[str, str] = {}
    waiting = [str(canonicalize_name(name)) for name in names]
    seen = set(waiting)
    while waiting:
        name = waiting.pop()
        for need in _needs(name, pins, environment):
            if version := _version(need, pins):
                found[need] = version
            if need not in seen:
                seen.add(need)
                waiting.append(need)
    return found


def _needs(name: str, pins: Pins, environment: dict[str, str]) -> list[str]:
    try:
        requires = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return list(pins.needs.get(name, ()))
    needs = []
    for text in requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate(environment):
            needs.append(str(canonicalize_name(requirement.name)))
    return needs


def _version(name: str, pins: Pins) -> str:
    """Return the version that is used here; nothing for what no index has."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return pins.versions.get(name, "")
    if distribution.read_text("direct_url.json"):
        return ""
    try:
        return Version(distribution.version).public
    except InvalidVersion:
        return ""
