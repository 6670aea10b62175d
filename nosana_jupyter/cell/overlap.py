"""
Arrays of the notebook that share memory. On a host each has its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

OFTEN = 10_000
"""Most work to find out whether two arrays share memory; where that is too little, they do."""

MOST = 100
"""Most arrays that are compared with each other."""


def shared(names: Iterable[str], namespace: Mapping[str, Any]) -> list[list[str]]:
    """Return groups of names whose arrays share memory, but are not one object."""
    if (numpy := sys.modules.get("numpy")) is None or not hasattr(numpy, "ndarray"):
        return []
    arrays = [name for name in names if type(namespace.get(name)) is numpy.ndarray][:MOST]
    groups: list[list[str]] = []
    for name in arrays:
        joined = [each for each in groups if any(_share(numpy, namespace, name, o) for o in each)]
        groups = [each for each in groups if each not in joined]
        groups.append([*(other for each in joined for other in each), name])
    return [group for group in groups if len({id(namespace[name]) for name in group}) > 1]


def _share(numpy: Any, namespace: Mapping[str, Any], name: str, other: str) -> bool:
    one, two = namespace[name], namespace[other]
    try:
        return one is two or bool(numpy.shares_memory(one, two, max_work=OFTEN))
    except Exception as error:
        # Its place in NumPy differs by version.
        if type(error).__name__ != "TooHardError":
            raise
        return True


def notes(changed: Iterable[str], read: Iterable[str], namespace: Mapping[str, Any]) -> list[str]:
    """Say where a cell changes an array, and another one would see that here."""
    changing = set(changed)
    return [
        f"{', '.join(group)} share memory here, and not on the host: what the cell changes in one "
        "it does not see in another"
        for group in (shared(read, namespace) if changing else [])
        if changing.intersection(group)
    ]
