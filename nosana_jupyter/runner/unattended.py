"""
What asks for a user, or for a page of the user's: here is neither.
"""

from __future__ import annotations

import importlib
import pdb  # noqa: T100 - to keep it from waiting
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any, NoReturn

WIDGETS = "tqdm.notebook"
CHOICE = "tqdm.autonotebook"
"""Looks for a kernel, of which there is none here."""


def install(drawn: Callable[[], bool]) -> None:
    """
    Refuse debuggers, and let bars of widgets be bars of text where those are not shown.

    Args:
        drawn: Whether widgets are.
    """
    # `breakpoint()` asks for the first; what goes past it ends up in the second.
    pdb.set_trace = refuse_debugger
    pdb.Pdb.cmdloop = refuse_debugger  # type: ignore[method-assign]
    if not any(isinstance(finder, TextBars) for finder in sys.meta_path):
        sys.meta_path.insert(0, TextBars(drawn))


def refuse_debugger(*_: object, **__: object) -> NoReturn:
    """
    Fail at once, instead of asking nobody what to do next.

    Raises:
        EOFError: Always.
    """
    raise EOFError("the debugger is not available in a remote cell: a host has no keyboard")


class TextBars(MetaPathFinder, Loader):
    """
    Makes a module `tqdm.notebook` of the bars of `tqdm.std`, once it is imported.

    Its own bars are widgets. Where those are shown, `tqdm.auto` is made to choose them.
    """

    def __init__(self, drawn: Callable[[], bool]) -> None:
        self._drawn = drawn

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - as importlib calls it
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Answer for one of two names."""
        if fullname not in (WIDGETS, CHOICE):
            return None
        return spec_from_loader(fullname, self) if self._drawn() is (fullname == CHOICE) else None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module."""
        if module.__name__ == CHOICE:
            bars: Any = importlib.import_module(WIDGETS)
            vars(module).update(tqdm=bars.tqdm, trange=bars.trange)
            return
        std: Any = importlib.import_module("tqdm.std")

        def begin(bar: Any, *args: Any, display: bool = True, **options: Any) -> None:  # noqa: ARG001 - as there
            std.tqdm.__init__(bar, *args, **options)

        name = "tqdm_notebook"
        bar: Any = type(name, (std.tqdm,), {"__init__": begin, "__module__": WIDGETS})

        def trange(*args: Any, **options: Any) -> Any:
            return bar(range(*args), **options)

        vars(module).update(tqdm=bar, tqdm_notebook=bar, trange=trange, tnrange=trange)
