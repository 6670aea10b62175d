"""
What is said to which client: from the outbox into the records, and from there to a session.

Cells run one after another, and the outbox is in order: whose words come out of it is known by the
turn of its task. Each client that comes anew has a session of its own; what a cell says goes to the
one that asked for it, and into its record whoever listens. What is said late goes to whoever is
there, and into the record of the cell that it is from.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Union

import msgspec

from ..errors import LocalProtocolError
from ..wire.messages import (
    COMMS,
    AnyMessage,
    Attach,
    Check,
    Checked,
    ClearOutput,
    CommOpen,
    DisplayData,
    Execute,
    Gauge,
    Hello,
    Install,
    Installed,
    Keeps,
    Late,
    Reply,
    Stream,
    Unknown,
    UpdateDisplayData,
)
from ..wire.session import Role, Session, State
from .records import Record, Records

if TYPE_CHECKING:
    from .attesting import Deposition
    from .outbox import Outbox

log = logging.getLogger("nosana_jupyter.runner")

WINDOW = 128
"""Most messages on their way without a confirmation; with chunks of 256 KiB, 32 MiB."""

CARRIED = 10_000
"""Most words said late that wait for a client that comes anew."""

LATE = (Stream, DisplayData, UpdateDisplayData, ClearOutput)
"""What may be said of a cell that is over."""

Task = Union[Check, Install, Execute]


class Turn(NamedTuple):
    """A task that runs or waits to run."""

    session: Session
    """Who asked for it."""

    record: Record | None
    """Of a cell."""

    speaks: bool = False
    """Whether it is a cell that has any code: what is said without a name is said by it."""


class Telling:
    """
    What this runner has to say.

    Args:
        outbox: What its tasks say.
        folder: Takes records that are too long for memory.
        late: Tells what cells say that are over, or in how many seconds.
    """

    def __init__(
        self,
        outbox: Outbox,
        folder: Path,
        late: Callable[[], Late | float | None] = lambda: None,
    ) -> None:
        self.session = Session(Role.RUNNER)
        self.records = Records(folder)
        self._outbox = outbox
        self._hello: Hello | None = None
        self._turns: deque[Turn] = deque()
        self._shown: Record | None = None
        """The cell that the session is told of."""

        self._replay: Iterator[AnyMessage] = iter(())
        self._late = late
        self._last: str | None = None
        """The cell that has run last."""

        self._makers: dict[str, str | None] = {}
        """The cells that have made the widgets there are."""

        self._carried: deque[Late] = deque(maxlen=CARRIED)
        self.gauge: Gauge | None = None
        """What the machine does, which nobody has heard yet: of several, the last."""

        self.keeps: Keeps | None = None
        """What later jobs find here, to be told before the next reply."""

        self._anew = False
        """Whether the client has come anew and may ask for cells: then what is late waits."""

    def renew(self) -> None:
        """Begin a session with a client that comes anew."""
        unheard = [each for each in self.session.unconfirmed if isinstance(each, Late)]
        self._carried.extend(unheard)
        self._anew = True
        self.session = Session(Role.RUNNER)
        self._shown, self._replay = None, iter(())
        if self._hello is not None:
            self._greet(self._hello)

    def expect(self, task: Task, signed: Deposition | None = None) -> None:
        """Note that a task is about to be done for the session, and who signs what it says."""
        self._anew = False
        record, speaks = None, False
        if isinstance(task, Execute):
            record = self._shown = self.records.begin(task.cell)
            record.signed = signed
            speaks = bool(task.code)
        self._turns.append(Turn(self.session, record, speaks))

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
            # It is among the rest.
            others = [each for each in self._carried if each.cell != asked.cell]
            self._carried = deque(others, maxlen=CARRIED)

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
        while (item := self._outbox.take(soon=True)) is not None:
            if not isinstance(item, float):
                self._placed(item)
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
        waits = self.session.state is not State.CLOSED and bool(self._outbox)
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
        """Return the next word that is for the session."""
        while self.session.state is not State.CLOSED:
            if self._carried and not self._anew:
                return self._carried.popleft()
            gauge, self.gauge = self.gauge, None
            if gauge is not None and self.interruptible and self._turns[0].speaks:
                return gauge
            item = self._outbox.take()
            if item is None or isinstance(item, float):
                late = self._said_late()
                waits = [each for each in (item, late) if isinstance(each, float)]
                if late is None or isinstance(late, float):
                    return min(waits, default=None)
                return late
            if (told := self._placed(item)) is not None:
                return told
        return None

    def _said_late(self) -> AnyMessage | float | None:
        """Return the next word of a cell that is over."""
        while True:
            said = self._late()
            if said is None or isinstance(said, float):
                return said
            if (told := self._placed(said)) is not None:
                return told

    def _placed(self, item: AnyMessage) -> AnyMessage | None:
        """Put a word where it belongs; return it if the session is to hear it now."""
        if isinstance(item, Hello):
            self._hello = item
            self._greet(item)
            return None
        turn = self._turns[0] if self._turns else None
        if isinstance(item, LATE) and not (turn and _says(turn, item)):
            # Nobody has said whose it is, as with a child that a cell has left behind.
            if self._last is None:
                return None
            item = Late(self._last, item)
        if isinstance(item, Late):
            self._keep(item.cell, item.output)
            if self._anew:
                self._carried.append(item)
                return None
            return item
        if isinstance(item, COMMS) and not (turn and turn.record):
            if isinstance(item, CommOpen):
                self._makers[item.comm] = self._last
            self._keep(self._makers.get(item.comm, self._last), item)
            return item
        if turn is None:
            return None
        if isinstance(item, CommOpen):
            self._makers[item.comm] = turn.record.cell if turn.record else None
        if isinstance(item, (Checked, Installed, Reply)):
            self._turns.popleft()
            self._last = turn.record.cell if turn.record and turn.speaks else self._last
        record = turn.record
        if record is not None:
            if isinstance(item, Reply) and record.signed is not None:
                item, record.signed = record.signed.signed(item), None
            if not self._keep(record.cell, item):
                return None
            if record.signed is not None:
                record.signed.add(item)
        return item if self._is_ours(turn) else None

    def _keep(self, cell: str | None, item: AnyMessage) -> bool:
        """Put a word into the record of a cell, if there is one; say whether it can be said."""
        record = self.records.get(cell) if cell is not None else None
        if record is not None:
            try:
                record.add(item)
            except LocalProtocolError as error:
                log.warning("a message cannot be sent: %s", error)
                return False
        return True

    def _is_ours(self, turn: Turn) -> bool:
        if turn.record is None:
            return turn.session is self.session
        return turn.record is self._shown

    def _greet(self, hello: Hello) -> None:
        if self.session.state is State.OPENING:
            self.session.send(msgspec.structs.replace(hello, cells=self.records.known()))

    def _say(self, message: AnyMessage) -> None:
        if isinstance(message, Reply) and self.keeps is not None:
            keeps, self.keeps = self.keeps, None
            self.session.send(keeps)
        try:
            self.session.send(message)
        except LocalProtocolError as error:
            log.warning("a message cannot be sent: %s", error)
            if isinstance(message, Reply):
                self.session.send(Reply(message.status, message.seconds, buffers=message.buffers))


def _says(turn: Turn, item: AnyMessage) -> bool:
    """Say whether an output without a name is of a turn: of a cell, or of what is installed."""
    return turn.speaks if turn.record is not None else isinstance(item, Stream)
