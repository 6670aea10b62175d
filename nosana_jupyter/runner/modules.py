"""
The user's own modules: written where Python finds them first.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ..errors import RemoteProtocolError
from ..wire import instances
from ..wire.messages import Module


class Modules:
    """
    A folder of sources at the front of `sys.path`.

    Args:
        folder: Where they are written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[str, bytes] = {}
        self._origins: dict[str, str] = {}
        """The user's own paths, by the path here below the folder."""

    def write(self, modules: Iterable[Module]) -> None:
        """
        Write sources. Modules that have changed since the last cell are imported anew.

        Raises:
            RemoteProtocolError: A path leads out of the folder.
        """
        modules = list(modules)
        self._origins |= {item.path: item.origin for item in modules}
        changed = [item for item in modules if self._written.get(item.path) != item.source]
        if not changed:
            return
        for item in changed:
            path = self._folder / _safe(item.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(item.source)
            self._written[item.path] = item.source
            name = item.path.removesuffix(".py").removesuffix("/__init__")
            instances.OWN.add(name.replace("/", "."))
        if str(self._folder) not in sys.path:
            sys.path.insert(0, str(self._folder))
        # A module that has not changed may hold names of one that has.
        tops = {PurePosixPath(path).parts[0].removesuffix(".py") for path in self._written}
        for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
            if self._is_ours(name):
                del sys.modules[name]
        importlib.invalidate_caches()

    def rename(self, line: str) -> str:
        """Return a line of a traceback with the user's own paths in place of those here."""
        full = str(self._folder)
        # IPython shortens what lies at home.
        home = os.path.expanduser("~")  # noqa: PTH111 - as IPython, which raises nothing
        for folder in (full, full.replace(home, "~", 1)):
            head, found, rest = line.partition(f"{folder}{os.sep}")
            path = next((each for each in self._longest() if rest.startswith(each)), None)
            if found and path is not None:
                return f"{head}{self._origins[path] or path}{self.rename(rest[len(path) :])}"
        return line

    def _longest(self) -> list[str]:
        return sorted(self._origins, key=len, reverse=True)

    def _is_ours(self, name: str) -> bool:
        module = sys.modules[name]
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
        return any(place and Path(place).is_relative_to(self._folder) for place in places)


def _safe(path: str) -> PurePosixPath:
    pure = PurePosixPath(path)
    forbidden = {"..", ".", ""} & set(path.split("/"))
    if pure.is_absolute() or forbidden or any(letter in path for letter in "\\:\0"):
        raise RemoteProtocolError(f"{path!r} is not a relative path")
    return pure
