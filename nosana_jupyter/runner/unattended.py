"""
What asks for a user, for a page of the user's or for a kernel's loop: here is none of them.
"""

from __future__ import annotations

import asyncio
import functools
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


def keep_at_hand(loop: asyncio.AbstractEventLoop) -> None:
    """
    Let a loop be found by what looks for the one that runs in this thread, as in a kernel.

    So cells that do not await can start tasks, which go on when one awaits, or between cells. Other
    than in a kernel it stands still meanwhile: a cell may run it, or one of its own.
    """
    runners = [asyncio, asyncio.BaseEventLoop, getattr(asyncio, "Runner", None)]  # From 3.11 on.
    for owner in runners:
        for name in ("run", "run_forever", "run_until_complete"):
            if run := getattr(owner, name, None):
                setattr(owner, name, _aside(run))
    asyncio._set_running_loop(loop)  # noqa: SLF001 - documented for who makes loops


def _aside(run: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run)
    def aside(*args: Any, **options: Any) -> Any:
        loop = asyncio._get_running_loop()  # noqa: SLF001
        if loop is None or loop.is_running():
            return run(*args, **options)
        asyncio._set_running_loop(None)  # noqa: SLF001
        try:
            return run(*args, **options)
        finally:
            asyncio._set_running_loop(loop)  # noqa: SLF001

    return aside


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
