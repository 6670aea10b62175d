"""
What a cell left behind, put in its place in the notebook.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import landing
from . import handles
from .handles import RemoteHandle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType

    from IPython.core.interactiveshell import InteractiveShell

    from ..events import Cell, Outcome
    from ..wire.messages import Handle

_MAPPINGS = (dict, defaultdict, OrderedDict, Counter)
_SEQUENCES = (list, bytearray, deque)


def leave(shell: InteractiveShell, cell: Cell, outcome: Outcome) -> list[str]:
    """
    Put what a cell left behind in its place.

    What was changed in place is renewed in place. What the cell defined is made here from its own
    source. A handle stands for the rest, but never takes the place of something that is here: work
    may be in that.

    Returns:
        Which names did not come back, and why: one line each.
    """
    namespace = shell.user_ns
    shell.push(
        {
            name: value
            for name, value in outcome.values.items()
            if not (name in outcome.changed and renew(namespace.get(name), value))
        }
    )
    defined = define(shell, cell, outcome)
    lost: dict[str, Handle] = {}
    kept: dict[str, Handle] = {}
    changed: dict[str, Handle] = {}
    for name, handle in outcome.handles.items():
        # A module is no value of its own.
        if handle.type != "module" and name not in defined:
            is_here = name in namespace and not isinstance(namespace[name], RemoteHandle)
            group = changed if name in outcome.changed else kept if is_here else lost
            group[name] = handle
    shell.push({name: handles.made(name, handle, outcome) for name, handle in lost.items()})
    if outcome.held is not None:
        outcome.held.settle([*outcome.values, *outcome.handles], outcome.values, namespace)
        lines = _living(outcome.session, lost, kept, changed)
    else:
        lines = _told("Not brought back", lost)
        lines += _told("Not brought back, and still here as before the cell", kept)
        lines += _told("Changed on the host only", changed)
    lines += landing.told(outcome.landed, Path.cwd())
    found = outcome.values.keys() | outcome.handles.keys()
    missing = [name for name in cell.returns or () if name not in found]
    if missing and outcome.status == "ok":
        lines.append(f"[The cell left no {', '.join(missing)}, which --out asks for]")
    return lines


def define(shell: InteractiveShell, cell: Cell, outcome: Outcome) -> set[str]:
    """
    Make here what the cell defines, from the user's own source; return the names.

    What has come back must be bound by then: definitions may read it.
    """
    from ..cell.keeps import own_definitions

    if outcome.status != "ok":
        return set()
    found = {
        name: each
        for name, each in own_definitions(cell.source).items()
        if name in outcome.handles or (each.is_import and cell.returns is None)
    }
    if not found:
        return set()
    # Under a name of its own: the text of this cell itself, with its magic, is another.
    filename = shell.compile.cache(cell.source, cell.count)
    return {name for name, each in found.items() if _made(each.compiled(filename), shell.user_ns)}


def _made(code: CodeType, namespace: dict[str, Any]) -> bool:
    """Make one definition; say whether that worked."""
    try:
        exec(code, namespace)  # noqa: S102 - the user's own source, and nothing of a host's
    except Exception:  # noqa: BLE001 - decorators and base classes of the user's may raise anything
        return False
    return True


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


def _living(
    session: str,
    lost: Mapping[str, Handle],
    kept: Mapping[str, Handle],
    changed: Mapping[str, Handle],
) -> list[str]:
    """Say which names live in a session and not here: one line for each kind."""
    heads = {
        f"In session {session}": lost,
        f"In session {session}, and here as before the cell": kept,
        f"Changed in session {session} only": changed,
    }
    return [
        f"[{head}: {', '.join(f'{name} ({handles.kind(each)})' for name, each in found.items())}]"
        for head, found in heads.items()
        if found
    ]


def _told(head: str, found: Mapping[str, Handle]) -> list[str]:
    """Say why some names did not come back: together where the reason is the same."""
    whole = {name: each for name, each in found.items() if handles.is_whole(each)}
    lines = []
    if whole:
        names = ", ".join(f"{name} ({handles.kind(each)})" for name, each in whole.items())
        lines.append(f"[{head}, not being plain data: {names}]")
    for name, each in found.items():
        if name not in whole:
            why = f"{handles.reason(name, each)}. {handles.hint(name, each)}"
            lines.append(f"[{head}: {name} ({handles.kind(each)}): {why}]")
    return lines
