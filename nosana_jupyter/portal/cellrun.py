"""
A cell on its way, as the thread sees it that waits for it.

The cell lives on the loop of the portal. What happens to it is put into a queue there and taken
here, and so are the questions that only the user can answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import signal
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from ..events import Waiting
from .showing import shown

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ..board.story import Story
    from ..events import Event
    from ..line.control import Control
    from ..market.markets import Quote
    from ..network import Network
    from ..outcome import Outcome
    from . import Portal

TICK = 0.1
"""Seconds between looks for a signal where it does not end a wait, as on Windows."""

PENDING = 64 << 20
"""Bytes of outputs that may wait to be taken; then the host has to wait."""

ITEM = 50
"""Bytes that a text, a number or a list takes beside what is in it."""

OFTEN = 0.04
"""Seconds between two calls of who is patient."""

Patient = Callable[[], None]

patience: ContextVar[Patient | None] = ContextVar("patience", default=None)
"""Called again and again while the thread that set it waits for an answer."""

T = TypeVar("T")

_followed: weakref.WeakSet[Following[Any]] = weakref.WeakSet()
"""What this process has followed, as long as anybody asks for it."""

Ask = Callable[["Quote", "Network"], Awaitable[bool]]
Work = Callable[[Callable[["Event"], None], "Control", Ask | None], Coroutine[Any, Any, T]]

Confirm = Callable[["Quote", "Network"], bool]
"""Asks whether to go on with a quote on a network, on the thread that follows the cell."""


class Woken:
    """What is put among the events so that whoever waits for one looks up."""


@dataclass(frozen=True, slots=True)
class Question:
    """Whether to spend. It waits among the events for the thread that follows the cell."""

    quote: Quote
    network: Network
    answer: asyncio.Future[bool]

    def settle(self, agreed: bool) -> None:
        """Answer it, if anybody still waits. On the loop only."""
        if not self.answer.done():
            self.answer.set_result(agreed)


class Following(Generic[T]):
    """
    A cell on its way, or a session. Iterate over it to follow its events.

    Args:
        portal: Has the loop.
        work: What to do there, told what takes events, what stops it, and what asks the user.
        confirm: Asks the user.
        story: What others see of it on the board, if anything.

    Raises (while iterating):
        NosanaError: The path broke. What the cell itself raises is an event, not an error.
    """

    def __init__(
        self,
        portal: Portal,
        work: Work[T],
        confirm: Confirm | None,
        *,
        story: Story | None = None,
    ) -> None:
        from ..line.control import Control

        self._portal = portal
        self._confirm = confirm
        self.story = story
        self._events: queue.SimpleQueue[Event | Question | Woken | None] = queue.SimpleQueue()
        self._gathered: list[Event] = []
        """What has happened in this turn of the loop: who follows the cell wakes up once for it."""

        self._control = Control()
        self._put = 0
        """Bytes of outputs that have come in. Counted on the loop."""

        self._taken = 0
        """Bytes of outputs that have been taken. Counted by who follows the cell."""

        self.late: Callable[[Event], None] | None = None
        """Takes what happens once the cell is over, on the loop's thread."""

        self._over = False
        self.future: Future[T] = portal.start(self._run(work))
        """Done when the cell is over and settled."""

        self.future.add_done_callback(lambda _: self._end())
        _followed.add(self)
        self._done = False

    @property
    def outcome(self) -> T:
        """What came of it, once the iterator is exhausted."""
        return self.future.result()

    def interrupt(self) -> None:
        """Interrupt the cell, as Ctrl-C does. A job that has not begun is taken back."""
        self._portal.loop.call_soon_threadsafe(self._control.interrupt)

    def abandon(self) -> None:
        """End the job. The events go on until it is settled."""
        self._portal.loop.call_soon_threadsafe(self._control.abandon)

    def let_go(self) -> None:
        """Stop following a detached cell, which goes on by itself; end the job of any other."""
        self._portal.loop.call_soon_threadsafe(self._control.let_go)

    def part(self) -> None:
        """Let the cell go on without this process, which ends. What has not begun is as it was."""
        self._portal.loop.call_soon_threadsafe(self._control.part)

    def wake(self) -> None:
        """Let who follows the events look up though nothing came. Also from a signal's handler."""
        self._events.put(Woken())

    def __iter__(self) -> Iterator[Event]:
        return (event for event in self.ticks() if event is not None)

    def ticks(self, due: Callable[[], float | None] = lambda: None) -> Iterator[Event | None]:
        """
        Follow the events; nothing comes in between, so that a clock can go on.

        Args:
            due: Says in how many seconds something is to be done, if anything is.
        """
        while not self._done:
            try:
                # A wait without an end would keep signals out on some platforms.
                wait = due()
                event = self._next(self._events.get(timeout=TICK if wait is None else wait))
            except queue.Empty:
                self._portal.check()
                yield None
                continue
            if event is not None:
                yield event
                # Not before: who follows has shown by now what was said before the question.
                self._answer(event)
            elif not self._done:
                yield None
        self.future.result()

    def arrived(self) -> list[Event]:
        """Return the events that nobody has taken yet, without waiting for more."""
        from ..events import Asked
        from ..wire.messages import InputReply

        found: list[Event] = []
        with contextlib.suppress(queue.Empty):
            while not self._done:
                event = self._next(self._events.get_nowait())
                if isinstance(event, Asked):
                    # A loop of the caller's would stand still while the user thinks.
                    event.answer(InputReply(event.question.number, None))
                elif event is not None:
                    found.append(event)
        return found

    def _next(self, found: Event | Question | Woken | None) -> Event | None:
        """Return an event; answer a question, and note the end."""
        if found is None:
            self._done = True
        elif isinstance(found, Question):
            self._ask(found)
        elif not isinstance(found, Woken):
            self._taken += weight(found)
            if not self._control.room.is_set() and self._put - self._taken < PENDING // 2:
                self._portal.loop.call_soon_threadsafe(self._control.room.set)
            return found
        return None

    def _ask(self, question: Question) -> None:
        """
        Ask the user, on the thread that follows the cell.

        On any other nobody could take the question back: it would go on to read what is typed.
        """
        agreed = False
        try:
            if self._confirm is not None:
                with _raising():
                    agreed = self._confirm(question.quote, question.network)
        except KeyboardInterrupt:
            self.interrupt()
        finally:
            self._portal.loop.call_soon_threadsafe(question.settle, agreed)

    def _answer(self, event: Event) -> None:
        """Put a question of the cell to the user, on the thread that follows it."""
        from ..events import Asked
        from ..line.asking import ask

        if not isinstance(event, Asked):
            return
        asked = event.question
        try:
            with _raising():
                reply = ask(asked.number, asked.prompt, password=asked.password)
        except KeyboardInterrupt:
            self.interrupt()
        else:
            event.answer(reply)

    def _end(self) -> None:
        self._pass_on()
        self._over = True
        self._events.put(None)

    def _emit(self, event: Event) -> None:
        self._tell(event)
        if self._over:
            if self.late is not None:
                self.late(event)
            return
        self._put += weight(event)
        if self._put - self._taken > PENDING:
            self._control.room.clear()
        if not self._gathered:
            self._portal.loop.call_soon(self._pass_on)
        self._gathered.append(event)

    def _pass_on(self) -> None:
        gathered, self._gathered = self._gathered, []
        for each in gathered:
            self._events.put(each)

    async def _confirmed(self, quote: Quote, network: Network) -> bool:
        question = Question(quote, network, asyncio.get_running_loop().create_future())
        self._emit(Waiting(f"waiting for your answer: may it spend up to {quote.bound}?"))
        self._question(question)
        agreed = await question.answer
        if agreed:
            self._emit(Waiting(f"posting to {quote.market.slug}"))
        return agreed

    def _question(self, question: Question) -> None:
        self._pass_on()
        self._events.put(question)

    def _tell(self, event: Event) -> None:
        """Let others see what happens."""
        if self.story is not None and not self.story.over and self.story.take(event):
            self._portal.board.touch(self.story)

    async def _run(self, work: Work[T]) -> T:
        confirm = self._confirmed if self._confirm else None
        if self.story is None:
            return await work(self._emit, self._control, confirm)
        with shown(self.story, self._portal.board, self._control) as note:
            return note(await work(self._emit, self._control, confirm))


def part() -> None:
    """Let all cells that have begun go on without this process, which ends. From any thread."""
    for run in list(_followed):
        if not run.future.done():
            run.part()


CellRun: TypeAlias = "Following[Outcome]"


def weight(event: Event) -> int:
    """Return about how many bytes of memory an event takes, of what a host has said in it."""
    waiting: list[Any] = [getattr(event, each, None) for each in ("message", "text", "question")]
    total = 100
    while waiting:
        each = waiting.pop()
        total += ITEM
        if isinstance(each, str | bytes):
            total += len(each)
        elif isinstance(each, dict):
            waiting += each.keys()
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
        elif hasattr(each, "__struct_fields__"):
            waiting += [getattr(each, name) for name in each.__struct_fields__]
    return total


@contextlib.contextmanager
def _raising() -> Iterator[None]:
    """Let Ctrl-C raise while the user is asked, whoever counts it otherwise."""
    before = signal.getsignal(signal.SIGINT)
    ours = before not in (None, signal.SIG_IGN)
    if not ours or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
