"""
A cell that was detached, as this process sees it: what it says is kept, and told from the beginning
to whoever attaches, as often as they do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from .cellrun import TICK, Following, Question, weight
from .errors import JobError
from .events import Asked, Begun, Booting, Joined, Outcome, Posted, Running, Said, Waiting
from .wire.messages import Stream

if TYPE_CHECKING:
    from .cellrun import Confirm, Work
    from .events import Cell, Event
    from .portal import Portal

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
    """

    def __init__(
        self, portal: Portal, work: Work[Outcome], confirm: Confirm | None, cell: Cell
    ) -> None:
        self.cell = cell
        self.job = ""
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
        super().__init__(portal, work, confirm)

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
            elif not isinstance(found, Asked):
                yield found
            elif first not in self._answered and not self._over:
                yield found
                self._answered.add(first)
                self._answer(found)
        self.told = True
        self.future.result()

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
            super()._emit(event)
            return
        with self._more:
            self._tape.append(event)
            self._size += weight(event)
            if self._size > LARGEST:
                self._shorten()
            self._more.notify_all()

    def _shorten(self) -> None:
        """Leave out of what was said what is oldest after the first half."""
        if not self._half:
            self._half = len(self._tape) // 2
            words = Stream("stderr", "\n… outputs left out, of which there are too many …\n")
            self._tape.insert(self._half, Said(words))
            self._gone = self._half + 1
        while self._size > LARGEST and self._gone < len(self._tape) - 1:
            found = self._tape[self._gone]
            if isinstance(found, Said):
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
