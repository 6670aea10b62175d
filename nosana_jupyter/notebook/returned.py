"""
What a cell left behind, put in its place in the notebook.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import NosanaError
from ..sanitize import line
from ..travel import landing
from ..travel.prepare import imported
from ..wire import instances, randoms
from . import handles, overlap
from .handles import RemoteHandle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType

    from IPython.core.interactiveshell import InteractiveShell

    from ..cell.held import Held
    from ..events import Cell
    from ..outcome import Outcome
    from ..wire.messages import Handle

_MAPPINGS = (dict, defaultdict, OrderedDict, Counter)
_SEQUENCES = (list, bytearray, deque)

_TOOLS = (
    "_io.TextIO",
    "_io.Buffered",
    "matplotlib.",
    "IPython.",
    "tqdm.",
    "threading.",
    "concurrent.futures.",
)
"""What a cell is done with at its end, as its files and axes: their handles say so when used."""

NAMED = 10
"""Most names that are told of that no one could see in a cell."""


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
    clashes = bind(shell, outcome.values, outcome)
    defined = define(shell, cell, outcome)
    values, left = _arrived(outcome)
    bind(shell, {name: values[name] for name in values if name not in outcome.values}, outcome)
    lost: dict[str, Handle] = {}
    kept: dict[str, Handle] = {}
    changed: dict[str, Handle] = {}
    for name, handle in left.items():
        # A module is no value of its own.
        if handle.type != "module" and name not in defined:
            is_here = name in namespace and not isinstance(namespace[name], RemoteHandle)
            group = changed if name in outcome.changed else kept if is_here else lost
            group[name] = handle
    shell.push({name: handles.made(name, handle, outcome) for name, handle in lost.items()})
    lost = {name: each for name, each in lost.items() if not each.type.startswith(_TOOLS)}
    if outcome.held is not None:
        outcome.held.settle([*values, *left], values, namespace)
        lines = _living(outcome.session, lost, kept, changed)
        lines += _deleted(outcome, outcome.held, namespace)
    else:
        lines = _told("Not brought back", lost)
        lines += _told("Not brought back, and still here as before the cell", kept)
        lines += _told("Changed on the host only", changed)
        lines += _unseen(cell, outcome, namespace)
    lines = [*clashes, *lines, *landing.told(outcome.landed, Path.cwd())]
    found = values.keys() | left.keys()
    missing = [name for name in cell.returns or () if name not in found]
    if missing and outcome.status == "ok":
        lines.append(f"[The cell left no {', '.join(missing)}, which --out asks for]")
    return lines


def bind(shell: InteractiveShell, values: Mapping[str, Any], outcome: Outcome) -> list[str]:
    """
    Bind what came back, or renew what it was made of; what was one object stays one.

    Returns:
        What could not be kept: one line each.
    """
    namespace = shell.user_ns
    changed = [name for name in values if name in outcome.changed]
    merged, clashes = overlap.merge(changed, values, namespace)
    ours = {
        id(values[name]): namespace[name]
        for name in changed
        if name in merged or renew(namespace.get(name), values[name])
    }
    shell.push(
        {
            name: ours.get(id(value), value)
            for name, value in values.items()
            if namespace.get(name) is not ours.get(id(value), value)
        }
    )
    return clashes


def _arrived(outcome: Outcome) -> tuple[dict[str, Any], dict[str, Handle]]:
    """Return what came back, with the objects whose classes are here by now, and what did not."""
    values, left = dict(outcome.values), dict(outcome.handles)
    for name, make in outcome.later.items():
        try:
            values[name] = make()
        except NosanaError:
            continue  # Its handle says why, as far as anybody has to know.
        del left[name]
    return values, left


def define(shell: InteractiveShell, cell: Cell, outcome: Outcome) -> set[str]:
    """
    Make here what the cell defines, from the user's own source; return the names.

    What has come back must be bound by then: definitions may read it. Of a cell that failed, those
    are made that it came to; nobody knows to which imports it did, so none takes a name's place.
    """
    from ..cell.keeps import own_definitions

    if not outcome.handles and (cell.returns is not None or "import" not in cell.source):
        return set()
    here = {} if outcome.status == "ok" else shell.user_ns
    found = {
        name: each
        for name, each in own_definitions(cell.source).items()
        if name in outcome.handles or (each.is_import and cell.returns is None and name not in here)
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
        return randoms.renew(old, new) or instances.renew(old, new)
    return True


def _unseen(cell: Cell, outcome: Outcome, namespace: Mapping[str, Any]) -> list[str]:
    """Say which names were bound there that nobody could see in the cell, and are not here."""
    if cell.returns is not None or not outcome.bound:
        return []
    seen = imported([cell.source])
    found = [
        name
        for name in dict.fromkeys(outcome.bound)
        if name.isidentifier() and name[0] != "_" and name not in namespace and name not in seen
    ]
    if not found:
        return []
    names = ", ".join(line(name)[:100] for name in found[:NAMED])
    more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
    return [f"[Not brought back, as the cell's text does not name them: {names}{more}; --out does]"]


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


def _deleted(outcome: Outcome, held: Held, namespace: dict[str, Any]) -> list[str]:
    """
    Delete here as well what a cell has deleted that had come from there.

    What the user has made here stays: it may be there that it took too much room.
    """
    found = [name for name in outcome.gone if name in namespace]
    stay = [name for name in found if not held.was_there(name, namespace[name])]
    for name in found:
        if name not in stay:
            del namespace[name]
    return [f"[Deleted in session {outcome.session}, and still here: {', '.join(stay)}]"] * bool(
        stay
    )


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
