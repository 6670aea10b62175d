"""
What is said to which client: from the outbox into the records, and from there to a session.

Cells run one after another, and the outbox is in order: whose words come out of it is known by the
turn of its task. Each client that comes anew has a session of its own; what a cell says goes to the
one that asked for it, and into its record whoever listens.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Union

import msgspec

from ..errors import LocalProtocolError
from ..wire.messages import (
    COMMS,
    OUTPUTS,
    AnyMessage,
    Attach,
    Check,
    Checked,
    Execute,
    Hello,
    Install,
    Installed,
    Reply,
    Stream,
    Unknown,
)
from ..wire.session import Role, Session, State
from .records import Record, Records

if TYPE_CHECKING:
    from .outbox import Outbox

log = logging.getLogger("nosana_jupyter.runner")

WINDOW = 128
"""Most messages on their way without a confirmation; with chunks of 256 KiB, 32 MiB."""

LATE = 10_000
"""Most outputs of no cell that wait for the next one."""

Task = Union[Check, Install, Execute]


class Turn(NamedTuple):
    """A task that runs or waits to run."""

    session: Session
    """Who asked for it."""

    record: Record | None
    """Of a cell."""


class Telling:
    """
    What this runner has to say.

    Args:
        outbox: What its tasks say.
        folder: Takes records that are too long for memory.
    """

    def __init__(self, outbox: Outbox, folder: Path) -> None:
        self.session = Session(Role.RUNNER)
        self.records = Records(folder)
        self._outbox = outbox
        self._hello: Hello | None = None
        self._turns: deque[Turn] = deque()
        self._shown: Record | None = None
        """The cell that the session is told of."""

        self._replay: Iterator[AnyMessage] = iter(())
        self._late: deque[AnyMessage] = deque(maxlen=LATE)

    def renew(self) -> None:
        """Begin a session with a client that comes anew."""
        self.session = Session(Role.RUNNER)
        self._shown, self._replay = None, iter(())
        if self._hello is not None:
            self._greet(self._hello)

    def expect(self, task: Task) -> None:
        """Note that a task is about to be done for the session."""
        record = None
        if isinstance(task, Execute):
            record = self._shown = self.records.begin(task.cell)
        self._turns.append(Turn(self.session, record))

    def knows(self, cell: str) -> bool:
        """Say whether a cell has run, or is to run."""
        return self.records.get(cell) is not None

    def attach(self, asked: Attach) -> None:
        """Tell the session of a cell that it has asked for."""
        record = self.records.get(asked.cell)
        if record is None:
            self.session.send(Unknown(asked.cell))
        else:
            self._shown, self._replay = record, record.replay(max(0, asked.after))

    def release(self, cell: str) -> None:
        """Note that a client has all of a cell."""
        record = self.records.get(cell)
        if record is not None and record.reply is not None:
            record.released = True

    def answered(self) -> None:
        """Note that what the running cell has asked is answered."""
        if self._turns and (record := self._turns[0].record) is not None:
            record.question = None

    def unfetched(self) -> list[Record]:
        """Return what nobody has fetched, with what has been said up to now."""
        while self._turns and (item := self._outbox.take(soon=True)) is not None:
            if not isinstance(item, float):
                self._is_for_session(item)
        return self.records.unfetched()

    @property
    def interruptible(self) -> bool:
        """Whether what runs is what the session waits for."""
        if not self._turns or self.session.state not in (State.BUSY, State.PREPARING):
            return False
        return self._is_ours(self._turns[0])

    @property
    def silent(self) -> bool:
        """Whether the session has all that it is to hear."""
        waits = self.session.state in (State.BUSY, State.PREPARING) and bool(self._outbox)
        return not (waits or self.session.unacknowledged)

    def fill(self) -> float | None:
        """
        Hand messages to the session while its window is open.

        Returns:
            Seconds until there is more to say; nothing if only the outbox knows.
        """
        while self.session.unacknowledged < WINDOW:
            message = next(self._replay, None) or self._heard()
            if message is None or isinstance(message, float):
                return message
            self._say(message)
        return None

    def _heard(self) -> AnyMessage | float | None:
        """Return the next word from the outbox that is for the session."""
        # While nobody waits for anything the outbox keeps it, and puts together what it can; but
        # widgets speak at any time.
        while (state := self.session.state) is not State.CLOSED and (
            state is not State.IDLE or self._outbox.aside
        ):
            cell_runs = bool(self._turns) and self._turns[0].record is not None
            item = self._late.popleft() if self._late and cell_runs else self._outbox.take()
            if item is None or isinstance(item, float):
                return item
            if self._is_for_session(item):
                return item
        return None

    def _is_for_session(self, item: AnyMessage) -> bool:
        """Put a word where it belongs; say whether the session is to hear it now."""
        if isinstance(item, Hello):
            self._hello = item
            self._greet(item)
            return False
        turn = self._turns[0] if self._turns else None
        if turn is None and isinstance(item, COMMS):
            return True
        fits = turn is not None and (turn.record is not None or isinstance(item, Stream))
        if turn is None or (isinstance(item, OUTPUTS) and not fits):
            # A thread that a cell has left behind: the next cell shows what it says.
            self._late.append(item)
            return False
        if isinstance(item, (Checked, Installed, Reply)):
            self._turns.popleft()
        if turn.record is not None:
            try:
                turn.record.add(item)
            except LocalProtocolError as error:
                log.warning("a message cannot be sent: %s", error)
                return False
        return self._is_ours(turn)

    def _is_ours(self, turn: Turn) -> bool:
        if turn.record is None:
            return turn.session is self.session
        return turn.record is self._shown

    def _greet(self, hello: Hello) -> None:
        if self.session.state is State.OPENING:
            self.session.send(msgspec.structs.replace(hello, cells=self.records.known()))

    def _say(self, message: AnyMessage) -> None:
        try:
            self.session.send(message)
        except LocalProtocolError as error:
            log.warning("a message cannot be sent: %s", error)
            if isinstance(message, Reply):
                self.session.send(Reply(message.status, message.seconds, buffers=message.buffers))
