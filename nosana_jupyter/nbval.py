"""
A plugin of pytest, for nbval: `pytest -p nosana_jupyter.nbval --nbval-lax book.ipynb`.

The card of a `%%nosana` cell says which job it was and what it cost, and so is never what it was
before. Without it, what such a cell prints, draws and returns is compared as that of any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .batch import MIME


def pytest_itemcollected(item: Any) -> None:
    """Leave cards out of what a cell of a notebook is compared by."""
    if compare := getattr(item, "compare_outputs", None):
        item.compare_outputs = without_cards(compare)


def without_cards(compare: Callable[..., bool]) -> Callable[..., bool]:
    """Return a comparison of outputs that sees no cards."""

    def compared(test: Sequence[Any], stored: Sequence[Any], *rest: Any, **more: Any) -> bool:
        return compare(_others(test), _others(stored), *rest, **more)

    return compared


def _others(outputs: Sequence[Any]) -> list[Any]:
    return [each for each in outputs if MIME not in each.get("data", {})]
