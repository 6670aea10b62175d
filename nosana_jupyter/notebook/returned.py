"""
What a cell left behind, put in its place in the notebook.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from typing import TYPE_CHECKING, Any

from . import handles
from .handles import RemoteHandle

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

    from ..events import Outcome

_MAPPINGS = (dict, defaultdict, OrderedDict, Counter)
_SEQUENCES = (list, bytearray, deque)


def place(namespace: MutableMapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    """
    Renew in place what was changed in place; return the names that are to be bound.

    A name that was changed on the host and cannot come back keeps what it holds here. So does a
    module, which is no value of its own.
    """
    names = {
        name: value
        for name, value in outcome.values.items()
        if not (name in outcome.changed and renew(namespace.get(name), value))
    }
    for name, handle in outcome.handles.items():
        if handle.type != "module" and name not in outcome.changed:
            names[name] = RemoteHandle(name, handle, outcome.receipt.job)
    return names


def renew(old: Any, new: Any) -> bool:
    """
    Make a value equal to another one so that all its names see it; say whether that can be done.

    A frame cannot: it is bound anew.
    """
    kind = type(old)
    if kind is not type(new):
        return False
    if kind in _MAPPINGS:
        old.clear()
        # Not `update`, with which a Counter adds.
        for key, value in new.items():
            old[key] = value
    elif kind is set:
        old.clear()
        old.update(new)
    elif kind is deque:
        old.clear()
        old.extend(new)
    elif kind in _SEQUENCES:
        old[:] = new
    elif kind.__module__ == "numpy" and kind.__name__ == "ndarray":
        if (old.shape, old.dtype) != (new.shape, new.dtype) or not old.flags.writeable:
            return False
        old[...] = new
    else:
        return False
    return True


def notes(outcome: Outcome, *, asked: Iterable[str] = ()) -> list[str]:
    """
    Say which names did not come back, and why.

    Args:
        outcome: What the cell left behind.
        asked: Names that the user asked for.
    """
    told = {name: each for name, each in outcome.handles.items() if each.type != "module"}
    lines = []
    for head, of_changed in (("Not brought back", False), ("Changed on the host only", True)):
        chosen = {n: each for n, each in told.items() if (n in outcome.changed) is of_changed}
        whole = [
            f"{name} ({handles.kind(each)})"
            for name, each in chosen.items()
            if handles.is_whole(each)
        ]
        if whole:
            lines.append(f"[{head}, not being plain data: {', '.join(whole)}]")
        for name, each in chosen.items():
            if not handles.is_whole(each):
                why = f"{handles.reason(name, each)}. {handles.hint(name, each)}"
                lines.append(f"[{head}: {name} ({handles.kind(each)}): {why}]")
    missing = [name for name in asked if name not in outcome.values and name not in told]
    if missing:
        lines.append(f"[The cell left no {', '.join(missing)}, which --out asks for]")
    return lines
