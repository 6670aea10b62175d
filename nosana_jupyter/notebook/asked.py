"""
What the options of `%%nosana` ask for, as a cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import secret_store, settings

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
    """Return the cell that options ask for."""
    from ..events import Cell
    from ..project import find
    from ..units import parse_seconds
    from . import setup
    from .sessions import session_of

    return Cell(
        source=source,
        namespace=namespace,
        count=count,
        timeout=options.timeout or parse_seconds(settings.load().timeout),
        vram=options.vram,
        gpu=options.gpu,
        market=options.market,
        image=options.image,
        pip=tuple(options.pip),
        takes=options.takes,
        returns=options.returns,
        files=tuple(options.files),
        gets=tuple(options.gets),
        gets_limit=options.get_limit,
        environment=dict(options.env),
        secrets=secret_store.find(options.secret, setup.unseen),
        deps=options.deps or find.AUTO,
        max_cost=options.max_cost,
        session=session_of(options),
        detach=options.detach,
        widgets=widgets,
    )
