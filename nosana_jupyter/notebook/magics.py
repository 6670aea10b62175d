"""
`%%nosana` and `%nosana`.

The magics parse a line, hand a `Cell` to the portal and show what comes back. They hold no logic:
whatever a magic can do, `nosana_jupyter.run()` can do too.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import re
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from .. import settings
from ..errors import NosanaError, RemoteError, UsageError
from ..taping import Taped
from . import asked, complete, detached, grammar, notice
from .attach import AttachCommands
from .bugs import Reported
from .commands import confirming
from .interrupts import Interrupted, Presses
from .widgets import relaying

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from ..cellrun import Following
    from ..events import Cell, Outcome
    from .card import Card
    from .display import Screen


@magics_class
class NosanaMagics(AttachCommands, Magics):  # type: ignore[misc]  # IPython has no types
    """The magics of one shell."""

    @no_var_expand  # type: ignore[untyped-decorator]
    @line_cell_magic  # type: ignore[untyped-decorator]
    def nosana(self, line: str, cell: str | None = None) -> Any:
        """Run a cell on a rented GPU, or ask about jobs and money."""
        try:
            if grammar.HELP & set(grammar.split(line)):
                print(self.nosana.__doc__)  # noqa: T201
                return None
            if cell is None:
                command, rest = grammar.split_command(line)
                with Reported(), notice.of_command(self.shell, command):
                    return getattr(self, f"do_{command or 'status'}")(rest)
            with Reported():
                return self._cell(grammar.cell_grammar().read(line), cell)
        except Interrupted:
            raise
        except KeyboardInterrupt:
            raise Interrupted(None, "") from None
        except NosanaError as error:
            from ..api import harmless

            harmless(error)
            raise

    # The cell

    def _cell(self, options: argparse.Namespace, source: str) -> Any:
        if not source.strip():
            raise UsageError("the cell is empty", hint="Write below %%nosana what should run.")
        from .card import Card

        card = Card(self.shell, lazy=bool(self.portal.session_names()))
        if options.dry_run:
            return self._dry_run(self._request(options, source))
        with Presses() as presses:
            return self._run(options, source, card, presses)

    def _run(self, options: argparse.Namespace, source: str, card: Card, presses: Presses) -> Any:
        card.open()
        try:
            cell = self._request(options, source)
            run = self.portal.run(cell, confirm=confirming(yes=options.yes))
            if isinstance(run, Taped):
                return detached.launched(run, card, presses)
            return self._followed(run, card, presses, lambda: [(cell, run.outcome)], options.trust)
        except NosanaError as error:
            if not isinstance(error, RemoteError):
                card.close(f"{type(error).__name__}: {error}")
            raise

    def _request(self, options: argparse.Namespace, source: str) -> Cell:
        return asked.cell_of(
            options,
            source=source,
            namespace=self.shell.user_ns,
            count=_count(self.shell),
            widgets=relaying.shows(self.shell),
        )

    def _dry_run(self, cell: Cell) -> None:
        from IPython.display import display

        from . import deps, tables

        travels, costs = tables.plan(self.portal.plan(cell))
        for table in (travels, deps.of_cell(cell), costs):
            display(table)

    def _followed(
        self,
        run: Following[Any],
        card: Card,
        presses: Presses,
        ends: Callable[[], Sequence[tuple[Cell, Outcome]]],
        trust: bool = False,
        *,
        peek: bool = False,
    ) -> Any:
        """
        Draw what happens, here on the kernel's own thread, so that it lands under this cell.

        Args:
            run: What happens.
            card: How it stands.
            presses: Of Ctrl-C.
            ends: Says what came of which cells, once it is over.
            trust: Whether the user lets the host run what it likes in the page.
            peek: Whether Ctrl-C lets the cell go, and does not interrupt it.
        """
        from ..api import remote_error
        from . import returned
        from .display import Screen

        screen = Screen(self.shell, f"job-{id(run):x}", trust=trust)
        run.late = screen.widgets.late
        try:
            for event in run.ticks(lambda: _sooner(screen.pause, card.due)):
                self._draw(event, card, screen)
                if not peek:
                    presses.act(run)
                elif presses.count:
                    return self._let_go(run, card, screen)
        except CancelledError:
            screen.close()
            card.close("interrupted")
            raise Interrupted(screen.error, card.untold) from None
        except KeyboardInterrupt:
            run.abandon()
            raise Interrupted(screen.error, card.cost) from None
        except NosanaError:
            screen.close()
            raise
        screen.close()
        card.close()
        status = ""
        for cell, outcome in ends():
            status = outcome.status
            for note in returned.leave(self.shell, cell, outcome):
                print(note)  # noqa: T201
        if status == "interrupted" or (presses.count and status == "ok"):
            raise Interrupted(screen.error, card.untold)
        if screen.error is not None and status == "error":
            raise remote_error(screen.error) from None
        return screen.result

    def _let_go(self, run: Following[Any], card: Card, screen: Screen) -> None:
        """Stop following a cell, which goes on."""
        if not isinstance(run, Taped):
            run.let_go()
            with contextlib.suppress(CancelledError, NosanaError):
                for _ in run.ticks():
                    pass
        screen.close()
        card.stay("let go; the cell goes on: %nosana attach brings it back")

    def _draw(self, event: Any, card: Card, screen: Screen) -> None:
        from ..events import Asked, Begun, Joined, Posted, Relayed, Running, Said, SaidLate
        from . import earlier

        if event is None:
            screen.tick()
        match event:
            case Posted(job=job) | Joined(job=job) | Running(job=job):
                screen.label = job
            case Begun(cell=cell):
                earlier.remember(self.shell, cell, screen)
            case Asked():
                screen.flush()
            case Said(message=message):
                screen.show(message)
            case Relayed():
                screen.widgets.take(event)
            case SaidLate():
                earlier.show(self.shell, event, screen)
        card.take(event)


def _sooner(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else min(one, other)


def _count(shell: InteractiveShell) -> int:
    """
    Return the number of the running cell, as local tracebacks have it.

    The shell's own counter is that of the next cell already, or not yet, by version of IPython.
    """
    frame = inspect.currentframe()
    while frame is not None:
        named = shell.compile.format_code_name(frame.f_code.co_filename)
        if named is not None and (found := re.fullmatch(r"In ?\[(\d+)\]", named[1])):
            return int(found[1])
        frame = frame.f_back
    return int(shell.execution_count)


NosanaMagics.nosana.__doc__ = f"""
Run a cell on a rented GPU, or ask about jobs and money.

    %%nosana [options]          run the cell below on a host, pay it, bring everything back
    %nosana [command]           {", ".join(name for name in grammar.COMMANDS if name)}

Names the cell reads travel to the host; names it binds come back as plain data.

Options of the cell:

{grammar.option_help(grammar.cell_grammar())}

Commands of the line:

{chr(10).join(f"    {name or '(none)':<10} {text}" for name, text in grammar.COMMANDS.items())}
"""


def load(shell: InteractiveShell) -> None:
    """Make the magics known to a shell."""
    settings.take_key()
    settings.begin()
    shell.register_magics(NosanaMagics)
    complete.load(shell)


def unload(shell: InteractiveShell) -> None:
    """Take the magics back."""
    complete.unload(shell)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("nosana", None)
