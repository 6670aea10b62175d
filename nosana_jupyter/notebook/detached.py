"""
Cells that were detached: what stands for one in the notebook.
"""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from ..errors import NosanaError, UsageError
from ..events import Begun, Posted, Said, Waiting
from ..journal import Receipt
from ..portal import shared
from ..sanitize import line
from .interrupts import Interrupted, Presses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..events import Outcome
    from ..taping import Taped
    from .card import Card


class Detached:
    """
    A cell that goes on by itself. Its repr says how it stands, and what to type.

    Args:
        run: The cell on its way.
    """

    def __init__(self, run: Taped) -> None:
        self._run = run

    @property
    def job(self) -> str:
        """Address of the job it runs in."""
        return self._run.job

    @property
    def status(self) -> str:
        """How it stands, in words."""
        return self._run.state

    def wait(self, timeout: float | None = None) -> Detached:
        """
        Wait until it is over, and return this.

        Raises:
            TimeoutError: It is not, within so many seconds.
            NosanaError: The path broke.
        """
        self._run.settle(timeout)
        return self

    @property
    def result(self) -> Outcome:
        """What came of it; waits until it is over."""
        return self._run.settle(None)

    @property
    def values(self) -> Mapping[str, Any]:
        """The names it has brought back; waits until it is over."""
        return self.result.values

    def attach(self) -> Any:
        """Show what it has said and goes on to say, here, and bind what it brings back."""
        from IPython import get_ipython

        shell = get_ipython()
        if shell is None:
            raise UsageError("there is no notebook here to show it in", hint="Use wait().")
        return shell.run_line_magic("nosana", f"attach {self._run.name or self._run.job}")

    def stop(self) -> Receipt | None:
        """End it. In a session only the cell is ended, and there is no receipt."""
        run = self._run
        if run.cell.session is not None:
            run.interrupt()
            return None
        if run.begun or not run.job:
            run.abandon()
            self._settled()
        return shared().stop(run.job) if run.job else None

    def _settled(self) -> None:
        try:
            self._run.settle(60)
        except (CancelledError, NosanaError, TimeoutError):
            return

    def __repr__(self) -> str:
        from ..prepare import title

        run = self._run
        where = f"job {run.job}" if run.job else "no job yet"
        host = f", {line(run.host)}" if run.host else ""
        typed = f"%nosana attach {run.job[:8]}"
        what = "brings back what it left" if run.future.done() else "shows it"
        text = line(title(run.cell.source))[:60]
        return f"<detached cell {text!r}: {line(run.state)}; {where}{host}. {typed} {what}>"


def launched(run: Taped, card: Card, presses: Presses) -> Detached:
    """
    Follow a cell until it need not be waited for: its job is posted, or its runner has it.

    Raises:
        NosanaError: It did not come to that.
    """
    from ..sessions import TURN

    try:
        for event in run.ticks():
            card.take(event)
            presses.act(run)
            if isinstance(event, Said):
                print(getattr(event.message, "text", ""), end="")  # noqa: T201
            elif isinstance(event, Posted | Begun) or event == Waiting(TURN):
                break
    except CancelledError:
        card.close("interrupted")
        raise Interrupted(None, card.untold) from None
    run.forget_notes()
    handle = Detached(run)
    card.stay(f"detached: {run.state}")
    return handle
