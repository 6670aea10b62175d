"""
`%%nosana` and `%nosana`.

The magics parse a line, hand a `Cell` to the portal and show what comes back. They hold no logic:
whatever a magic can do, `nosana_jupyter.run()` can do too.
"""

from __future__ import annotations

import argparse
import inspect
import re
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from .. import settings
from ..errors import NosanaError, RemoteError, UsageError
from ..units import MicroNos, nos, sol
from . import grammar
from .interrupts import Interrupted, Presses

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ..events import Outcome
    from ..markets import Quote
    from ..network import Network
    from ..portal import CellRun, Portal
    from .card import Card
    from .display import Screen


@magics_class
class NosanaMagics(Magics):  # type: ignore[misc]  # IPython has no types
    """The magics of one shell."""

    @property
    def portal(self) -> Portal:
        """The way to the network, opened on first use."""
        from ..portal import shared

        return shared()

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
                return getattr(self, f"do_{command or 'status'}")(rest)
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

        card = Card(self.shell)
        if options.dry_run:
            return self._dry_run(self._request(options, source))
        with Presses() as presses:
            return self._run(options, source, card, presses)

    def _run(self, options: argparse.Namespace, source: str, card: Card, presses: Presses) -> Any:
        card.open()
        try:
            run = self.portal.run(
                self._request(options, source), confirm=self._confirm(yes=options.yes)
            )
            return self._follow(run, card, presses)
        except NosanaError as error:
            if not isinstance(error, RemoteError):
                card.close(f"{type(error).__name__}: {error}")
            raise

    def _request(self, options: argparse.Namespace, source: str) -> Any:
        from ..events import Cell
        from ..units import parse_seconds

        return Cell(
            source=source,
            namespace=self.shell.user_ns,
            count=_count(self.shell),
            timeout=options.timeout or parse_seconds(settings.load().timeout),
            vram=options.vram,
            gpu=options.gpu,
            market=options.market,
            image=options.image,
            pip=tuple(options.pip),
            takes=options.takes,
            returns=options.returns,
            environment=dict(options.env),
            max_cost=options.max_cost,
        )

    def _dry_run(self, cell: Any) -> None:
        from IPython.display import display

        from . import tables

        for table in tables.plan(self.portal.plan(cell)):
            display(table)

    def _follow(self, run: CellRun, card: Card, presses: Presses) -> Any:
        """Draw what happens, here on the kernel's own thread, so that it lands under this cell."""
        from .display import Screen

        screen = Screen(self.shell, f"job-{id(run):x}")
        try:
            for event in run.ticks():
                self._draw(event, card, screen)
                presses.act(run)
        except CancelledError:
            screen.close()
            card.close("interrupted")
            raise Interrupted(screen.error, card.cost) from None
        except KeyboardInterrupt:
            run.abandon()
            raise Interrupted(screen.error, card.cost) from None
        except NosanaError:
            screen.close()
            raise
        screen.close()
        card.close()
        return self._leave(run.outcome, screen, card, interrupted=presses.count > 0)

    def _draw(self, event: Any, card: Card, screen: Screen) -> None:
        from ..events import Posted, Said

        if event is None:
            screen.tick()
        if isinstance(event, Posted):
            screen.label = event.job
        if isinstance(event, Said):
            screen.show(event.message)
        card.take(event)

    def _leave(self, outcome: Outcome, screen: Screen, card: Card, *, interrupted: bool) -> Any:
        """Put what came back into the notebook; raise what the cell raised."""
        from .handles import RemoteHandle

        names: dict[str, Any] = dict(outcome.values)
        for name, handle in outcome.handles.items():
            # A module that the cell imported is no value of its own: ours of that name stays.
            if handle.type != "module":
                names[name] = RemoteHandle(name, handle, outcome.receipt.job)
        self.shell.push(names)
        if outcome.status == "interrupted" or (interrupted and outcome.status == "ok"):
            raise Interrupted(screen.error, card.cost)
        if screen.error is not None and outcome.status == "error":
            from ..api import remote_error

            raise remote_error(screen.error) from None
        self._tell_handles(outcome)
        return screen.result

    def _tell_handles(self, outcome: Outcome) -> None:
        """Say in one line which names did not come back; modules are not worth a word."""
        from ..sanitize import line

        kept = [
            f"{name} ({line(handle.type)})"
            for name, handle in outcome.handles.items()
            if handle.type != "module"
        ]
        if kept:
            print(f"[Stayed with the host, not being plain data: {', '.join(kept)}]")  # noqa: T201

    def _confirm(self, *, yes: bool) -> Any:
        """Return what asks before the first real spend."""

        def ask(quote: Quote, network: Network) -> bool:
            if yes:
                return True
            most = nos(MicroNos(quote.most))
            dollars = quote.dollars(quote.most)
            text = (
                f"Spend up to {most}{f' ({dollars})' if dollars else ''} on {network.name}? [y/N] "
            )
            try:
                return input(text).strip().lower() in ("y", "yes")
            except (EOFError, NotImplementedError):
                return False

        return ask

    # The line

    def do_status(self, _rest: str) -> Any:
        """Say where the user is."""
        from . import tables

        return tables.status(self.portal.status())

    def do_wallet(self, _rest: str) -> Any:
        """Show the wallet."""
        from . import tables

        return tables.wallet(self.portal.status())

    def do_jobs(self, rest: str) -> Any:
        """Show the newest jobs."""
        from . import tables

        return tables.jobs(self.portal.jobs(_number(rest)))

    def do_receipts(self, rest: str) -> Any:
        """Show the newest receipts."""
        from . import tables

        return tables.receipts(self.portal.receipts(_number(rest)))

    def do_stop(self, rest: str) -> Any:
        """End a job."""
        from . import tables

        if not rest:
            raise UsageError("which job?", hint="Write %nosana stop JOB; see %nosana jobs.")
        return tables.receipts([self.portal.stop(rest)])

    def do_sweep(self, _rest: str) -> Any:
        """Settle everything this wallet left behind."""
        from . import tables

        swept = self.portal.sweep()
        pending = len(self.portal.status().running) - len(swept.followed)
        closed = len(swept.receipts)
        title = f"Jobs settled: {closed}." if closed else "Nothing was left behind."
        if swept.rent:
            title += f" {sol(swept.rent)} of rent came back from jobs that ended long ago."
        if swept.followed:
            title += f" Left alone, as a living kernel follows them: {len(swept.followed)}."
        if pending:
            title += f" Too young to judge: {pending}; sweep again in a minute."
        return tables.receipts(swept.receipts, title=title)

    def do_markets(self, rest: str) -> Any:
        """Show the markets that fit."""
        from ..markets import Requirements, fitting
        from . import tables

        options = grammar.market_grammar().read(rest)
        wanted = Requirements(vram=options.vram, gpu=options.gpu, market=options.market)
        return tables.markets(fitting(self.portal.markets(), wanted))

    def do_quote(self, rest: str) -> Any:
        """Say what a run may cost."""
        from ..markets import Requirements
        from ..units import parse_seconds
        from . import tables

        options = grammar.quote_grammar().read(rest)
        wanted = Requirements(vram=options.vram, gpu=options.gpu, market=options.market)
        timeout = options.timeout or parse_seconds(settings.load().timeout)
        return tables.quote(self.portal.quote(wanted, timeout, max_cost=options.max_cost))

    def do_network(self, rest: str) -> Any:
        """Show or choose the network."""
        from ..network import NAMES

        if rest:
            if rest not in NAMES:
                raise UsageError(
                    f"there is no network {rest!r}", hint=f"Networks are {', '.join(NAMES)}."
                )
            settings.save("network", rest)
            self.portal.reload()
        return self.do_status("")

    def do_config(self, rest: str) -> Any:
        """Show or change settings."""
        from . import tables

        name, _, value = rest.partition(" ")
        if name:
            value = value.strip()
            if value:
                settings.save(name, "" if value == "--unset" else value.strip("'\""))
                self.portal.reload()
            else:
                settings.origin(settings.known(name))
        return tables.config()

    def do_help(self, _rest: str) -> Any:
        """Show what there is."""
        from . import tables

        return tables.help_table()


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


def _number(rest: str) -> int:
    if not rest:
        return 20
    if not rest.isdigit() or not int(rest):
        raise UsageError(f"{rest!r} is not a number of rows", hint="Write a number, as in 5.")
    return int(rest)


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
    shell.register_magics(NosanaMagics)


def unload(shell: InteractiveShell) -> None:
    """Take the magics back."""
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("nosana", None)
