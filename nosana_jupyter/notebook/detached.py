"""
Cells that were detached: what stands for one in the notebook.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from ..errors import NosanaError, UsageError
from ..events import Begun, Posted, Said, Waiting
from ..money.journal import Receipt
from ..portal import shared
from ..sanitize import line
from ..units import duration, nos
from .interrupts import Interrupted, Presses
from .widgets import buttons

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..outcome import Outcome
    from ..portal.taping import Taped
    from .card import Card


EVERY = 1.0
"""Seconds between two looks at a cell that goes on by itself."""


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
        if run.session:
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
        from ..travel.prepare import title

        run = self._run
        where = f"job {run.job}" if run.job else "no job yet"
        host = f", {line(run.host)}" if run.host else ""
        typed = f"%nosana attach {run.job[:8]}"
        what = "brings back what it left" if run.future.done() else "shows it"
        text = line(title(run.cell.source))[:60]
        return f"<detached cell {text!r}: {line(run.state)}; {where}{host}. {typed} {what}>"


def launched(run: Taped, card: Card, presses: Presses, shell: Any) -> Detached:
    """
    Follow a cell until it need not be waited for: its job is posted, or its runner has it.

    Raises:
        NosanaError: It did not come to that.
    """
    from ..rent.session import TURN

    card.follow(run.story)
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
    if buttons.can_be(shell):
        card.buttons = buttons.Buttons(run)
    card.stay(f"detached: {run.state}", None)
    # What it says belongs to this cell, whichever runs then.
    watch = copy_context().run
    threading.Thread(target=watch, args=[_watch, run, card], daemon=True).start()
    return handle


def _watch(run: Taped, card: Card) -> None:
    """Say how a detached cell stands under the cell that began it, to its end."""
    while not run.future.done():
        run.rest(EVERY)
        if not run.future.done():
            card.stay(f"detached: {run.state}{_cost(run)}", None)
    if card.buttons is not None:
        card.buttons.close()
        card.buttons = None
    if run.story is not None and run.story.brief.state == "detached":
        return  # This process ends, and not the cell.
    parts = ["stopped"] if run.future.cancelled() else [run.state]
    parts += _paid(run)
    if not run.future.cancelled():
        parts.append(f"%nosana attach {run.job[:8]} brings back what it left")
    card.stay(" · ".join(parts), None)


def _cost(run: Taped) -> str:
    """Say for how long it has run, and what that has cost."""
    live = run.story.brief if run.story is not None else None
    if live is None or live.began is None or live.credits:
        return ""
    passed = max(0, int(time.time() - live.began))
    return f" on {live.host}: {duration(passed)}, {nos(live.price * (passed + 1))} so far"


def _paid(run: Taped) -> list[str]:
    cost = run.story.brief.cost if run.story is not None else ""
    return [f"paid {cost}"] if cost else []
