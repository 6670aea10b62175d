"""
The names a cell reads and binds, in order of flow.

A name counts as read when the cell may need its value from outside: it is read before the cell has
certainly bound it. Branches bind what all of them bind, loops bind for their bodies only. Bodies of
functions are late: they run when the function is called, or after the cell. A name too many costs
its transfer; a name that is missed breaks the cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import CellError
from .certainty import binds_unseen, is_automagic
from .changes import find_changes
from .embedded import check, parse
from .flow import Flow
from .syntax import blank_lines


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """What a cell takes and leaves."""

    reads: tuple[str, ...]
    """Names whose values the cell may need from outside, in order of first need."""

    certain: Mapping[str, int] = field(default_factory=dict)
    """Those of `reads` that it needs whatever happens, with the line that does so first."""

    binds: tuple[str, ...]
    """Names the cell may bind, in order."""

    changes: tuple[str, ...] = ()
    """Names whose values it may change in place, as in `x.append(1)`; some are its own."""

    imports: tuple[str, ...] = ()
    """Those of `binds` that are only ever bound by an import: modules, mostly."""

    mentions: tuple[str, ...] = ()
    """Names that may or may not be meant, as in SQL: they travel if they are there and can."""

    chains: tuple[str, ...] = ()
    """Attributes of names, as in `xml.dom.minidom.parseString`: some may be modules."""

    deletes: tuple[str, ...] = ()
    """Names the cell may delete."""

    outputs: tuple[int, ...] = ()
    """Numbers `n` of every `Out[n]` it reads."""

    stars: tuple[str, ...] = ()
    """Modules it imports all names of: what those are is not known here."""

    is_whole: bool = True
    """Whether all that it binds can be seen in it."""


def find_names(source: str, namespace: Mapping[str, Any] | None = None) -> Names:
    """
    Analyse a cell.

    Args:
        source: The cell, with magics and all.
        namespace: The notebook's: what its functions change counts if the cell calls them.

    Raises:
        CellError: It is not Python; names the line. Nothing was spent.
    """
    flow = Flow()
    try:
        check(source)
        flow.run(source)
        tree, _ = parse(source)
        changes = find_changes(tree, namespace or {})
    except RecursionError:
        raise CellError(
            "the cell is nested too deeply to be read. Nothing was spent",
            hint="Split its longest expression.",
        ) from None
    late = [name for name in flow.late if name not in flow.early]
    reads = dict.fromkeys([*flow.reads, *late])
    seen = not flow.stars and not binds_unseen(tree)
    blank = blank_lines(source)
    return Names(
        reads=tuple(reads),
        certain={
            name: line + blank
            for name, line in flow.certain.items()
            if seen and name in reads and not is_automagic(tree, name)
        },
        binds=tuple(name for name in flow.binds if name not in flow.gone),
        changes=changes,
        imports=tuple(name for name in flow.imports if name not in flow.gone),
        mentions=tuple(name for name in flow.mentions if name not in reads),
        chains=tuple(flow.chains),
        deletes=tuple(flow.deleted),
        outputs=tuple(flow.outputs),
        stars=tuple(flow.stars),
        is_whole=seen,
    )
