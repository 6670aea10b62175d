"""
What a shell knows from `%load_ext` on: that there are our magics, and when they complete.

The rest is loaded when a line of theirs is read, or completed: most notebooks load an extension
long before they use it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from IPython.core.completer import context_matcher
from IPython.core.magic import Magics, cell_magic, line_cell_magic, magics_class, no_var_expand

from .. import settings
from . import ending

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .magics import NosanaMagics

MAGICS = ("%nosana", "%%nosana", "%%ask")

IDLE = 0.1
"""Seconds after which a kernel loads what the first line needs, unless it has come by then."""

_shell: list[InteractiveShell] = []
"""The shell whose names may travel."""


@magics_class
class Extension(Magics):  # type: ignore[misc]  # IPython has no types
    """The magics of one shell, which are loaded when the first of them is used."""

    _magics: NosanaMagics | None = None

    @no_var_expand  # type: ignore[untyped-decorator]
    @line_cell_magic  # type: ignore[untyped-decorator]
    def nosana(self, line: str, cell: str | None = None) -> Any:
        """Run a cell on a rented GPU, or ask about jobs and money."""
        if self._magics is None:
            from .magics import NosanaMagics

            self._magics = NosanaMagics(self.shell)
        return self._magics.nosana(line, cell)

    @no_var_expand  # type: ignore[untyped-decorator]
    @cell_magic  # type: ignore[untyped-decorator]
    def ask(self, line: str, cell: str) -> None:
        """Ask a service, and show its answer: %%ask [SERVICE] [--new] [--system TEXT]"""
        from . import ask

        ask.cell(self.shell, line, cell)


def _manual() -> str:
    from .grammar import manual

    return manual()


Extension.nosana.getdoc = _manual  # What IPython asks where it is there, as for `%nosana?`.


@context_matcher(identifier="nosana_jupyter")  # type: ignore[untyped-decorator]  # it has no types
def matcher(context: Any) -> dict[str, Any]:
    """Return what IPython shows at the cursor: where something of ours fits, nothing else."""
    line = context.line_with_cursor[: context.cursor_position].lstrip()
    if not line.startswith(MAGICS) or not line.partition(" ")[1]:
        return {"completions": []}
    from .complete import matches

    hidden = _shell[0].user_ns_hidden
    names = [name for name in _shell[0].user_ns if name not in hidden and name[:1] != "_"]
    return matches(line, context.token, names)


def load(shell: InteractiveShell) -> None:
    """Make the magics known to a shell."""
    settings.take_key()
    settings.begin()
    ending.watch(shell)
    shell.register_magics(Extension)
    _shell[:] = [shell]
    if getattr(shell, "kernel", None) is not None:
        import asyncio

        with contextlib.suppress(RuntimeError):  # Where no loop runs, nobody waits either.
            asyncio.get_running_loop().call_later(IDLE, _prepare)
    shell.Completer.custom_matchers.append(matcher)


def _prepare() -> None:
    """Load what stands between the first line and the first that is shown of it."""
    from . import card, magics  # noqa: F401


def unload(shell: InteractiveShell) -> None:
    """Take the magics back."""
    _shell.clear()
    if matcher in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(matcher)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("nosana", None)
    shell.magics_manager.magics["cell"].pop("ask", None)
