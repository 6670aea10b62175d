"""
`%nosana up` and `sessions`.
"""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TypeVar

from .. import settings
from ..errors import NosanaError, TakenOver, UsageError
from ..portal.cellrun import patience
from ..units import duration
from . import grammar
from .commands import Commands, confirming
from .interrupts import Interrupted, Presses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..money.receipt import Receipt
    from ..portal.cellrun import Following
    from ..rent.standing import Terms, View
    from .card import Card
    from .tables import Table

T = TypeVar("T")

ALL = "--all"


class SessionCommands(Commands):
    """The commands of sessions."""

    shell: Any

    def do_up(self, rest: str) -> None:
        """Open a session; show how it comes to be."""
        from .card import Card

        name, options = grammar.named(rest)
        card = Card(self.shell, text="looking for a host")
        card.open()
        with Presses() as presses:
            try:
                terms = terms_of(name, options)
                run = self.portal.up(terms, confirm=confirming(yes=options.yes))
                kept = follow(run, card, presses)
            except NosanaError as error:
                card.fail(error)
                raise
        card.stay(opened(kept.view()), "ended")

    def _ended(self, names: Sequence[str]) -> list[Receipt]:
        """End sessions, and return their receipts."""
        receipts = []
        for name in names:
            with Presses() as presses:
                run = self.portal.down(name)
                for _ in run.ticks():
                    presses.act(run)
                    if wait := patience.get():
                        wait()
            kept = run.outcome
            if kept.receipt is None:
                taken = isinstance(kept.failure, TakenOver)
                why = "is another kernel's, and goes on there" if taken else "had no job"
                print(f"nosana: session {kept.name} {why}")  # noqa: T201
            else:
                receipts.append(kept.receipt)
        return receipts

    def _shown(self, receipts: Sequence[Receipt]) -> Table | None:
        """Show what has ended."""
        from . import tables

        if len(receipts) == 1:
            receipt = receipts[0]
            cells, record = self.portal.cells_of(receipt.job), self.portal.session_of(receipt.job)
            return tables.receipt(receipt, cells, record)
        return tables.receipts(receipts) if receipts else None

    def do_sessions(self, _rest: str) -> Table:
        """Show the sessions."""
        from . import tables

        return tables.sessions(self.portal.session_views(), self.portal.sessions_elsewhere())


def follow(run: Following[T], card: Card, presses: Presses) -> T:
    """Draw what happens until a session, or a service, is open."""
    from ..events import Said

    card.follow(run.story)
    try:
        for event in run.ticks():
            if isinstance(event, Said):
                print(getattr(event.message, "text", ""), end="")  # noqa: T201
            card.take(event)
            presses.act(run)
        return run.outcome
    except CancelledError:
        card.close("interrupted")
        raise Interrupted(None, card.untold) from None


def terms_of(name: str, options: Any) -> Terms:
    """Return what `%nosana up` asks for."""
    from ..rent import standing

    settings.tell_unheeded()
    return standing.terms(
        name,
        vram=options.vram,
        gpu=options.gpu,
        market=options.market,
        prefer=options.prefer,
        image=options.image,
        step=options.timeout,
        most=options.most,
        idle=options.idle,
        max_cost=options.max_cost,
        chosen=settings.load(),
    )


def opened(view: View) -> str:
    """Say that a session is open, and what ends it."""
    named = "" if view.name == "main" else f" {view.name}"
    ends = f"after {duration(view.most)}"
    if view.ends_idle < view.most:
        ends = f"after {duration(view.ends_idle)} without a cell, {ends} at the latest,"
    return (
        f"session {view.name} is open on {view.gpu}, job {view.job}: it ends {ends} or with "
        f"%nosana down{named}"
    )


def session_of(options: Any) -> str | None:
    """
    Return which session a cell asks for: nothing if it is to have a job of its own.

    Raises:
        UsageError: Two options say different things.
    """
    own = options.session == "none"
    if options.cold and options.session and not own:
        raise UsageError("--cold and --session NAME cannot both be", hint="Leave one out.")
    return None if options.cold or own else options.session or ""
