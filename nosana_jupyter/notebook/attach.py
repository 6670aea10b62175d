"""
`%nosana attach`: what goes on elsewhere, or was detached, comes back under this cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import NosanaError, RemoteError
from ..sanitize import line
from ..units import Seconds
from . import grammar
from .interrupts import Presses
from .notice import Notice
from .serving import ServiceCommands
from .sessions import opened

if TYPE_CHECKING:
    from ..events import Cell
    from ..outcome import Outcome
    from ..portal.taping import Taped
    from ..rent.logbook import CellRecord
    from ..sessions.attaching import Found
    from .card import Card
    from .tables import Table

PEEK = "--peek"
"""For who only looks: then Ctrl-C lets the cell go."""


class AttachCommands(ServiceCommands):
    """The command."""

    _followed: Any
    _earlier: Any

    def do_attach(self, rest: str) -> Any:
        """Show what a cell has said and goes on to say, and bind what it brings back."""
        from .card import Card

        words = grammar.split(rest)
        peek = PEEK in words
        name = " ".join(word for word in words if word != PEEK)
        ours = _ours(self.portal.detached, name)
        with Notice(self.shell, "looking for what goes on"):
            left = self.portal.services_elsewhere() if name else []
            if services := [each for each in left if each.name == name]:
                return self.take_up_service(services[0])
            others = _others(self.portal.attachable(), name, alone=not ours)
        if len(ours) + len(others) > 1:
            return _table(ours, others)
        card = Card(self.shell, text="taking it up")
        card.open()
        with Presses() as presses:
            try:
                if ours:
                    return self._replayed(ours[0], card, presses, peek=peek)
                return self._taken_up(others[0], card, presses, peek=peek)
            except NosanaError as error:
                if not isinstance(error, RemoteError):
                    card.fail(error)
                raise

    def _replayed(self, run: Taped, card: Card, presses: Presses, *, peek: bool) -> Any:
        """Show a cell that was detached in this kernel."""
        return self._followed(run, card, presses, lambda: [(run.cell, run.outcome)], peek=peek)

    def _taken_up(self, found: Found, card: Card, presses: Presses, *, peek: bool) -> Any:
        """Show what another kernel has begun."""
        # Here is also what cells say that were over when that kernel was.
        self._earlier.remember("", found.session.job)
        self.portal.late = self._earlier.take
        run = self.portal.attach(found.session.job, peek=peek)

        def ends() -> list[tuple[Cell, Outcome]]:
            if (view := run.outcome.session) is not None:
                print(f"nosana: {opened(view)}")  # noqa: T201
            return [(self._cell_of(record), end) for record, end in run.outcome.ends]

        return self._followed(run, card, presses, ends, peek=peek)

    def _cell_of(self, record: CellRecord) -> Cell:
        from ..events import Cell

        return Cell(
            source=record.source, namespace=self.shell.user_ns, count=record.count,
            timeout=Seconds(0), returns=record.outs, gets=record.gets,
        )  # fmt: skip


def _ours(detached: list[Taped], name: str) -> list[Taped]:
    """Return the cells that were detached in this kernel: of a name, or those not yet told."""
    if name:
        return [each for each in detached if each.answers_to(name)][-1:]
    return [each for each in detached if not each.told]


def _others(found: list[Found], name: str, *, alone: bool) -> list[Found]:
    """Return what is meant of what goes on elsewhere."""
    from ..sessions.attaching import pick

    if alone:
        return pick(found, name)
    if name:
        return []
    return [each for each in found if each.is_open and not each.followed]


def _table(ours: list[Taped], others: list[Found]) -> Table:
    """Show what there is to attach to."""
    from ..travel.prepare import title
    from .tables import Table

    rows = [
        (
            each.name[:12] or each.job[:12], each.cell.session or "",
            line(title(each.cell.source))[:50], line(each.state),
        )
        for each in ours[::-1]
    ]  # fmt: skip
    for found in others:
        last = found.cells[-1].title if found.cells else ""
        session = found.session
        name = session.name or session.job[:12]
        rows.append((name, session.name, line(last)[:50], found.state))
    return Table(
        head=("name", "session", "cell", "state"), rows=rows,
        title="Several can be brought back", note="Write %nosana attach NAME.",
    )  # fmt: skip
