"""
A cell that was detached, as this process sees it: what it says is kept, and told from the beginning
to whoever attaches, as often as they do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from ..errors import JobError
from ..events import (
    Asked,
    Begun,
    Booting,
    Joined,
    Posted,
    Relayed,
    Running,
    Said,
    SaidLate,
    Waiting,
)
from ..outcome import Outcome
from ..wire.messages import Stream
from .cellrun import TICK, Following, Question, weight

if TYPE_CHECKING:
    from ..board.story import Story
    from ..events import Cell, Event
    from . import Portal
    from .cellrun import Confirm, Work

LARGEST = 64 << 20
"""Bytes of outputs that are kept; of more, the beginning and the end."""


class Taped(Following[Outcome]):
    """
    A detached cell on its way.

    Args:
        portal: Has the loop.
        work: What to do there.
        confirm: Asks the user before the first real spend.
        cell: What runs.
        story: What others see of it on the board, if anything.
    """

    def __init__(
        self,
        portal: Portal,
        work: Work[Outcome],
        confirm: Confirm | None,
        cell: Cell,
        *,
        story: Story | None = None,
    ) -> None:
        self.cell = cell
        self.job = ""
        self.session = ""
        """Name of the session it goes to. Empty: it has a job of its own."""

        self.name = ""
        """Of the cell, at its runner."""

        self.host = ""
        """In words, once there is one."""

        self.told = False
        """Whether somebody has heard its end."""

        self._text = ""
        """What is waited for."""

        self._tape: list[Event | Question | None] = []
        self._more = threading.Condition()
        self._size = self._gone = 0
        self._half = 0
        self._answered: set[int] = set()
        self._relayed = 0
        """Where on the tape those words of widgets begin that no page has got."""

        super().__init__(portal, work, confirm, story=story)

    @property
    def begun(self) -> bool:
        """Whether its runner has the cell: then nothing more is needed of this process."""
        return bool(self.name)

    @property
    def state(self) -> str:
        """How it stands, in words."""
        if not self.future.done():
            if self.begun:
                return "running"
            return f"{self._text or 'on its way'}; it needs this kernel until it runs"
        if self.future.cancelled():
            return "let go, or stopped before it ran"
        if (error := self.future.exception()) is not None:
            return f"{type(error).__name__}: {error}"
        status = self.future.result().status
        return {"ok": "done", "error": "it raised"}.get(status, status)

    def ticks(self, due: Callable[[], float | None] = lambda: None) -> Iterator[Event | None]:
        """
        Tell all of it from the beginning, and go on; nothing comes in between.

        Args:
            due: Says in how many seconds something is to be done, if anything is.
        """
        place = 0
        while True:
            wait = due()
            with self._more:
                if place == len(self._tape):
                    if self._over:
                        break
                    self._more.wait(TICK if wait is None else wait)
                found = self._tape[place] if place < len(self._tape) else None
                first = place
                place = min(place + 1, len(self._tape))
            if found is None:
                self._portal.check()
                yield None
            elif isinstance(found, Question):
                if not found.answer.done():
                    self._ask(found)
            elif isinstance(found, Relayed):
                # What a page has once is moved by the user since.
                if first >= self._relayed:
                    self._relayed = place
                    yield found
            elif not isinstance(found, Asked):
                yield found
            elif first not in self._answered and not self._over:
                yield found
                self._answered.add(first)
                self._answer(found)
        self.told = True
        self.future.result()

    def wake(self) -> None:
        """Let who follows the events look up though nothing came. Also from a signal's handler."""
        with self._more:
            self._more.notify_all()

    def answers_to(self, name: str) -> bool:
        """Say whether a user may mean it: by its job, its session or its name."""
        named = bool(self.cell.session) and name == self.cell.session
        return named or (
            len(name) >= 4 and (self.job.startswith(name) or self.name.startswith(name))
        )

    def settle(self, within: float | None) -> Outcome:
        """
        Wait until it is over.

        Raises:
            TimeoutError: It is not, within so many seconds.
            NosanaError: The path broke.
        """
        deadline = None if within is None else time.monotonic() + within
        while not self.future.done():
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"job {self.job or '?'} is not over: {self.state}")
            with self._more:
                self._more.wait(TICK)
            self._portal.check()
        if self.future.cancelled():
            raise JobError(f"the cell did not end here: {self.state}", hint="%nosana attach")
        return self.future.result()

    def rest(self, seconds: float) -> None:
        """Wait until it is over, but not longer than so many seconds."""
        with self._more:
            self._more.wait_for(lambda: self._over, seconds)

    def forget_notes(self) -> None:
        """Leave out from now on what was said before the cell, which has been shown."""
        with self._more:
            for place, each in enumerate(self._tape):
                if isinstance(each, Said):
                    self._tape[place] = None

    def _emit(self, event: Event) -> None:
        match event:
            case Posted(job=job) | Running(job=job) | Joined(job=job):
                self.job = job
                self.host = getattr(event, "ran_by", "") or getattr(event, "words", "")
                self._text = ""
            case Waiting(text=text) | Booting(text=text):
                self._text = text
            case Begun(cell=name):
                self.name = name
        if self._over:
            if isinstance(event, Relayed) and (self.late is None or event.message is None):
                self.add(event)
            if isinstance(event, Relayed) and event.message is None:
                self._relayed = 0  # They are gone, and would have to be drawn anew.
            super()._emit(event)
            return
        self._tell(event)
        with self._more:
            self._tape.append(event)
            self._size += weight(event)
            if self._size > LARGEST:
                self._shorten()
            self._more.notify_all()

    def add(self, event: SaidLate | Relayed) -> None:
        """Keep what was said when the cell was over. On the loop."""
        with self._more:
            self._tape.append(Said(event.message) if isinstance(event, SaidLate) else event)
            self._size += weight(event)
            if self._size > LARGEST:
                self._shorten()

    def _shorten(self) -> None:
        """Leave out of what was said, and of what widgets said, what is oldest after a half."""
        if not self._half:
            self._half = len(self._tape) // 2
            words = Stream("stderr", "\n… outputs left out, of which there are too many …\n")
            self._tape.insert(self._half, Said(words))
            self._gone = self._half + 1
        while self._size > LARGEST and self._gone < len(self._tape) - 1:
            found = self._tape[self._gone]
            if isinstance(found, Said | Relayed | Waiting | Booting | Asked):
                self._size -= weight(found)
                self._tape[self._gone] = None
            self._gone += 1

    def _question(self, question: Question) -> None:
        with self._more:
            self._tape.append(question)
            self._more.notify_all()

    def _end(self) -> None:
        with self._more:
            self._over = True
            self._more.notify_all()


def hear(
    event: SaidLate, detached: Iterable[Taped], late: Callable[[SaidLate], None] | None
) -> None:
    """Keep what a cell says that is over, if it was detached, and show it where the cell is."""
    for tape in detached:
        if tape.name == event.cell:
            tape.add(event)
            if not tape.told:
                return
    if late is not None:
        late(event)
    else:
        from .following import show

        show(event)
