"""
Changes of arrays that share memory here, and did not on the host: each element's own is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..cell.overlap import shared


def merge(
    names: Iterable[str], values: Mapping[str, Any], namespace: Mapping[str, Any]
) -> tuple[set[str], list[str]]:
    """
    Write into arrays what the cell has changed in each; a whole copy would undo changes of others.

    Args:
        names: What has come back to be renewed in place.
        values: What has come back.
        namespace: The notebook's.

    Returns:
        Names that are done with, and where they do not agree: one line each.
    """
    fitting = [name for name in names if _fits(namespace.get(name), values[name])]
    done: set[str] = set()
    lines = []
    for group in shared(fitting, namespace):
        if any(namespace[name].dtype.hasobject for name in group):
            # Nobody knows which of these objects are other ones now.
            lines.append(_told(group, "one's changes may be lost"))
            continue
        changed = {name: _differing(namespace[name], values[name]) for name in group}
        for name, where in changed.items():
            namespace[name][where] = values[name][where]
        lost = [
            name
            for name, where in changed.items()
            if _differing(namespace[name][where], values[name][where]).any()
        ]
        if lost:
            lines.append(_told(group, f"where both wrote, lost is that of {', '.join(lost)}"))
        done.update(group)
    return done, lines


def _fits(old: Any, new: Any) -> bool:
    """Say whether an array can be renewed in place."""
    alike = type(old) is type(new) and getattr(old, "shape", None) == getattr(new, "shape", None)
    return alike and getattr(old, "dtype", None) == getattr(new, "dtype", None) and (
        getattr(getattr(old, "flags", None), "writeable", False)
    )  # fmt: skip


def _differing(old: Any, new: Any) -> Any:
    """Return where two arrays differ, bit by bit: what is no number equals itself."""
    import numpy as np

    pair = (np.ascontiguousarray(each).reshape(-1).view("u1") for each in (old, new))
    one, two = (each.reshape(*old.shape, old.dtype.itemsize) for each in pair)
    return (one != two).any(axis=-1)


def _told(group: list[str], what: str) -> str:
    return f"[{', '.join(group)} share memory here, and did not on the host: {what}]"
