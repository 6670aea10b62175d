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
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..cell.syntax import is_only_comments
from ..errors import NosanaError, RemoteError, UsageError
from . import grammar, notice
from .attach import AttachCommands
from .bugs import Reported
from .commands import confirming
from .interrupts import Interrupted, Presses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from ..events import Cell, Event
    from ..outcome import Outcome
    from ..portal.cellrun import Following
    from .card import Card
    from .display import Screen
    from .earlier import Earlier


class NosanaMagics(AttachCommands):
    """
    The magics of one shell.

    Args:
        shell: The notebook's.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    def nosana(self, line: str, cell: str | None = None) -> Any:
        """Run a cell, or do what a line says."""
        try:
            if grammar.HELP & set(grammar.split(line)):
                print(grammar.manual())  # noqa: T201
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
        if is_only_comments(source):
            print("nosana: the cell holds only comments: nothing was run, nothing was spent")  # noqa: T201
            return None
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
            if cell.detach:
                from ..portal.taping import Taped
                from . import detached

                assert isinstance(run, Taped)
                return detached.launched(run, card, presses, self.shell)
            return self._followed(run, card, presses, lambda: [(cell, run.outcome)], options.trust)
        except NosanaError as error:
            if not isinstance(error, RemoteError):
                card.fail(error)
            raise

    @cached_property
    def _earlier(self) -> Earlier:
        from .earlier import Earlier

        return Earlier(self.shell)

    def _request(self, options: argparse.Namespace, source: str) -> Cell:
        from .asked import cell_of
        from .widgets import relaying

        return cell_of(
            options,
            source=source,
            namespace=self.shell.user_ns,
            count=_count(self.shell),
            widgets=relaying.shows(self.shell),
        )

    def _dry_run(self, cell: Cell) -> None:
        from IPython.display import display

        from . import deps, tables

        found = self.portal.plan(cell)
        travels, costs = tables.plan(found)
        # What a session's host has is known to the session, and to nobody here.
        packages = [] if found.session else [deps.of_cell(cell)]
        for table in (travels, *packages, costs):
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
        from ..api import remote_error, show
        from ..events import Audited
        from . import returned
        from .display import Screen

        screen = Screen(self.shell, f"job-{id(run):x}", trust=trust)

        def late(event: Event) -> None:
            if isinstance(event, Audited):
                card.take(event)
                show(event)
            else:
                screen.widgets.late(event)

        run.late = late
        card.follow(run.story)
        try:
            for event in run.ticks(lambda: _sooner(screen.pause, card.due)):
                self._draw(event, card, screen)
                if not peek:
                    presses.act(run)
                elif presses.count:
                    return self._let_go(run, card, screen)
        except CancelledError:
            screen.close()
            if presses.ended:
                card.stay("this kernel ends; the cell goes on: %nosana attach brings it back")
            else:
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
        status, failure = "", None
        for cell, outcome in ends():
            status, failure = outcome.status, outcome.failure
            for note in returned.leave(self.shell, cell, outcome):
                print(note)  # noqa: T201
        if failure is not None:
            failure.where = tuple(remote_error(screen.error).traceback) if screen.error else ()
            raise failure
        if status == "interrupted" or (presses.count and status == "ok"):
            raise Interrupted(screen.error, card.untold)
        if screen.error is not None and status == "error":
            raise remote_error(screen.error) from None
        return screen.result

    def _let_go(self, run: Following[Any], card: Card, screen: Screen) -> None:
        """Stop following a cell, which goes on."""
        from ..portal.taping import Taped

        if not isinstance(run, Taped):
            run.let_go()
            with contextlib.suppress(CancelledError, NosanaError):
                for _ in run.ticks():
                    pass
        screen.close()
        card.stay("let go; the cell goes on: %nosana attach brings it back")

    def _draw(self, event: Any, card: Card, screen: Screen) -> None:
        from ..events import Asked, Begun, Joined, Listed, Posted, Relayed, Running, Said, SaidLate

        if event is None:
            screen.tick()
        match event:
            case Posted(job=job) | Joined(job=job) | Running(job=job):
                screen.label = job
            case Begun(cell=cell):
                self._earlier.remember(cell, screen.label, trust=screen.trust)
                self.portal.late = self._earlier.take
            case Asked():
                screen.flush()
            case Said(message=message):
                screen.show(message)
            case Listed(text=text):
                screen.note(text, name="stdout")
            case Relayed():
                screen.widgets.take(event)
            case SaidLate():
                self._earlier.take(event)
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
