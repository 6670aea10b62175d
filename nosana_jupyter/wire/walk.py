"""
Files below a folder that patterns mean.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from .paths import Patterns


class Found(NamedTuple):
    """A file, or why something that is meant is left out."""

    path: str
    """Its name below the folder."""

    why: str = ""


def walk(folder: str, patterns: Patterns, *, follow: bool) -> Iterator[Found]:
    """
    Yield what patterns mean below a folder, in order.

    Args:
        folder: Where.
        patterns: What.
        follow: Whether to follow links that lead to what lies below the folder. A link that leads
            out of it is never followed.
    """
    inside = os.path.realpath(folder)
    for root in patterns.roots():
        if root and not os.path.lexists(os.path.join(folder, root)):
            continue
        if not follow and (link := _link_above(folder, root)):
            yield Found(link, "a link")
            continue
        yield from _visit(folder, root, patterns, inside if follow else "", frozenset())


def _link_above(folder: str, path: str) -> str:
    """Return the first link on the way to a name, or nothing."""
    parts = path.split("/")
    above = ("/".join(parts[:end]) for end in range(1, len(parts)))
    return next((each for each in above if os.path.islink(os.path.join(folder, each))), "")


def _visit(
    folder: str, path: str, patterns: Patterns, inside: str, above: frozenset[str]
) -> Iterator[Found]:
    """
    Yield what lies at a name, or below it.

    Args:
        folder: Where all of it lies.
        path: The name.
        patterns: What is meant.
        inside: The folder's real name, below which links may lead; empty if none is followed.
        above: Real names of the folders on the way, which a link would lead round in a circle.
    """
    full = os.path.join(folder, path) if path else folder
    is_meant = bool(path) and patterns.which(path) is not None
    if path and not (is_meant or patterns.leads(path)):
        return
    try:
        kind = os.lstat(full).st_mode
        if path and stat.S_ISLNK(kind):
            real = os.path.realpath(full)
            if not inside or os.path.commonpath([inside, real]) != inside:
                if is_meant or os.path.isdir(full):
                    yield Found(path, "a link that leads out" if inside else "a link")
                return
            kind = os.stat(full).st_mode
        if stat.S_ISDIR(kind) or not path:
            real = os.path.realpath(full)
            if real in above or (path and os.path.lexists(os.path.join(full, "pyvenv.cfg"))):
                return
            for name in sorted(os.listdir(full)):
                below = f"{path}/{name}" if path else name
                yield from _visit(folder, below, patterns, inside, above | {real})
        elif is_meant:
            yield Found(path, "" if stat.S_ISREG(kind) else "no ordinary file")
    except (OSError, ValueError) as error:
        if is_meant or not path:
            why = getattr(error, "strerror", None) or type(error).__name__
            yield Found(path, f"cannot be read: {why}")
