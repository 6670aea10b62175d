"""
How values are read on a host, whose own sources only write them.

Goes to hosts as text: see `loading`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "nosana_forms"


class _Forms(MetaPathFinder, Loader):
    """Finds modules in a dictionary of sources."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources

    def find_spec(self, name: str, _path: object, _target: object = None) -> ModuleSpec | None:
        """Return a module that is one of these."""
        package, _, stem = name.partition(".")
        if package != PACKAGE or (stem and stem not in self._sources):
            return None
        return ModuleSpec(name, self, is_package=not stem)

    def exec_module(self, module: ModuleType) -> None:
        """Make it."""
        if stem := module.__name__.partition(".")[2]:
            code = compile(self._sources[stem], f"<{module.__name__}>", "exec")
            exec(code, module.__dict__)  # noqa: S102 - our own, from the sealed line


def reader(sources: Mapping[str, str]) -> Any:
    """Return what `wire.values.unpacked` is at home."""
    if PACKAGE not in sys.modules:
        sys.meta_path.append(_Forms(sources))
    return importlib.import_module(f"{PACKAGE}.values").unpacked
