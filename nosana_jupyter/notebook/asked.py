"""
What the options of `%%nosana` ask for, as a cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import settings
from ..errors import UsageError
from ..travel import secret_store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from ..events import Cell


def cell_of(
    options: argparse.Namespace,
    *,
    source: str,
    namespace: Mapping[str, Any],
    count: int = 1,
    widgets: bool = False,
) -> Cell:
    """
    Return the cell that options ask for.

    Raises:
        UsageError: Two of them say different things.
    """
    from ..events import Cell
    from ..project import find
    from ..units import parse_seconds, parse_share
    from . import setup
    from .sessions import session_of

    chosen = settings.load(tell=True)
    if options.detach and options.verify:
        raise UsageError(
            "--verify compares results in this kernel, and --detach lets the cell go on without "
            "it. Nothing was run",
            hint="Leave one of them out.",
        )
    if options.detach and options.audit:
        raise UsageError(
            "--audit compares results in this kernel, and --detach lets the cell go on without "
            "it. Nothing was run",
            hint="Leave one of them out.",
        )
    if options.data:
        from ..links.link import linked, named

        links = named(options.data)
        namespace = linked(links, namespace)
        if options.takes is not None:
            options.takes = tuple(dict.fromkeys((*options.takes, *links)))
    from ..links.keep import saves_of

    often = chosen.audit if options.audit is None else options.audit
    saves = saves_of(options.save, compared=bool((options.verify or 1) > 1 or options.audit))
    if saves is not None and saves.sealed:
        # Each host would seal its own, and they would differ.
        often = "none"
    return Cell(
        source=source,
        namespace=namespace,
        count=count,
        timeout=options.timeout or parse_seconds(chosen.timeout),
        limit=options.timeout,
        vram=options.vram,
        gpu=options.gpu,
        market=options.market,
        prefer=options.prefer,
        image=options.image,
        pip=tuple(options.pip),
        takes=options.takes,
        returns=options.returns,
        files=tuple(options.files),
        gets=tuple(options.gets),
        gets_limit=options.get_limit,
        saves=saves,
        environment=dict(options.env),
        secrets=secret_store.find(options.secret, setup.unseen),
        deps=options.deps or find.AUTO,
        max_cost=options.max_cost,
        session=session_of(options),
        verify=options.verify or 1,
        audit=0.0 if options.detach else parse_share(often or "none"),
        audit_asked=options.audit is not None and parse_share(options.audit) > 0,
        tolerance=options.tolerance or "",
        detach=options.detach,
        widgets=widgets,
    )
