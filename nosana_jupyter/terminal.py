"""
A cell followed where there is no notebook: its outputs on stdout and stderr, what is waited for on
stderr, and an exit code for what came of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import JobError, NosanaError, RemoteError
from .events import Billed, Booting, Event, Posted, Quoted, Running, Said, Settled, Waiting
from .line import asking
from .outcome import Outcome
from .portal import Presses
from .portal.following import follow, show
from .sanitize import line, plain, terminal
from .travel import landing
from .wire.messages import Error

if TYPE_CHECKING:
    from .events import Cell
    from .portal.cellrun import CellRun, Following

OK, RAISED = 0, 1

WAIT = 600
"""Seconds that an audit may take beyond those of its cell."""

UNHEARD, ENDED = 141, 143
"""128 and the number of what ended it: a pipe that nobody reads, SIGTERM."""

_CODE = re.compile(r"-?\d{1,3}")


class Told:
    """
    Shows what a cell says as it says it, and on stderr what is waited for.

    Args:
        stop: Called when nobody reads that any more.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.failure: Error | None = None
        self.receipt = ""
        self.unheard = False
        """Whether stdout is a pipe that nobody reads any more."""

        self._stop = stop
        self._last = ""

    def __call__(self, event: Event) -> None:
        match event:
            case Said(message=Error() as failure):
                self.failure = failure
            case Quoted(quote=quote):
                self.say(f"posting to {quote.market.slug}: at most {quote.bound}")
            case Waiting(text=text) | Booting(stage=text):
                self.say(line(text))
            case Posted(job=job):
                self.say(f"job {job}")
            case Running(ran_by=ran_by):
                self.say(f"running on {line(ran_by)}")
            case Settled(receipt=receipt):
                self.receipt = f"{receipt.status} · {receipt.story}"
            case Billed(bill=bill):
                self.receipt = bill.text
            case _ if not self.unheard:
                self._show(event)

    def _show(self, event: Event) -> None:
        try:
            show(event)
            sys.stdout.flush()
        except BrokenPipeError:
            self.unheard = True
            unread()
            self.say("nobody reads what the cell says any more")
            self._stop()

    def say(self, text: str) -> None:
        """Say on stderr what happens; a word is not said twice."""
        if text and text != self._last:
            self._last = text
            with contextlib.suppress(BrokenPipeError):
                sys.stderr.write(f"nosana: {text}\n")
                sys.stderr.flush()


def code_after(run: CellRun, *, peek: bool = False) -> int:
    """
    Follow a cell to its end; return the exit code that stands for it.

    Ctrl-C interrupts the cell, and a second one ends its job, as SIGTERM does, and as is done when
    nobody reads what it says.

    Args:
        run: The cell on its way.
        peek: Whether it goes on when it is let go.

    Raises:
        NosanaError: The path broke.
        KeyboardInterrupt: Ctrl-C; says where the money is.
    """
    stop = run.let_go if peek else run.abandon
    told = Told(stop)
    piped = asking.piped.set(True)
    try:
        with _Looking() if peek else Presses() as presses, _terminating(stop) as signals:
            ended = follow(run, told, presses)
    finally:
        asking.piped.reset(piped)
    if not run.future.cancelled() and run.future.exception() is None:
        for text in landing.told(run.outcome.landed, Path.cwd()):
            told.say(text.strip("[]"))
    # What the path broke with says itself where the money is.
    says = isinstance(ended, NosanaError) and ended.money and not isinstance(ended, RemoteError)
    if told.receipt and (signals or told.unheard or not says):
        told.say(told.receipt)
    if signals or told.unheard:
        if not told.receipt:
            told.say(f"ended{f'; {ended}' if str(ended) else ''}")
        return ENDED if signals else UNHEARD
    return _code(ended, told)


def audited(cell: Cell) -> None:
    """Wait for the audit of a cell as long as it may take, with a host to be found for it."""
    if cell.audit:
        from .portal import aside

        say = Told(lambda: None).say
        aside.finish(cell.timeout + WAIT, say)


def _code(ended: Outcome | BaseException, told: Told) -> int:
    if told.failure is not None:
        left = exit_code(told.failure)
        if left is not None:
            if left[1]:
                sys.stderr.write(f"{left[1]}\n")
            return left[0]
        if isinstance(ended, RemoteError):
            sys.stderr.write("\n".join([*map(shown, told.failure.traceback), ""]))
            return RAISED
    if isinstance(ended, BaseException):
        if isinstance(ended, NosanaError | KeyboardInterrupt):
            raise ended
        raise JobError(f"the cell ended in {type(ended).__name__}") from ended
    return OK


def exit_code(failure: Error) -> tuple[int, str] | None:
    """Return what `sys.exit()` was told, and what it says; nothing if it was not that."""
    if failure.ename != "SystemExit":
        return None
    said = failure.evalue.strip()
    if said in ("", "None"):
        return 0, ""
    if _CODE.fullmatch(said):
        return int(said) & 255, ""
    return 1, line(said)


def shown(text: str) -> str:
    """Return text as stderr takes it: with colours where somebody sees them."""
    seen = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    return terminal(text) if seen else plain(text)


def unread() -> None:
    """Let no more be written to a stdout that nobody reads."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class _Looking(Presses):
    """Lets the cell go at the first Ctrl-C."""

    def act(self, run: Following[Any]) -> None:
        if self.count and not self._seen:
            self._seen = self.count
            run.let_go()


@contextlib.contextmanager
def _terminating(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Stop on SIGTERM, and when the terminal is closed; yield what signals came."""
    came: list[int] = []

    def end(number: int, _frame: object) -> None:
        came.append(number)
        stop()
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            raise KeyboardInterrupt  # Somebody is being asked something.

    before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield came
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
