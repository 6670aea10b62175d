"""
Whose turn it is, and what to say again after the line was cut.

Rule 1: everything that affects the conversation lives in the table below.
Rule 2: one class plays both roles, so that a rule cannot hold on one side only.
Rule 3: nothing here reads a clock, a socket or a key. Frames come in, frames go out; `link.py` and
`runner/__main__.py` own the socket.

Messages are numbered per direction and kept until the other side says that it has them. After a
reconnect both sides say what they have, and the rest is sent again: nothing is lost, nothing comes
twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Optional

from ..errors import LocalProtocolError, RemoteProtocolError
from .envelope import LARGEST, Frame, decode, encode, join, parts
from .messages import (
    COMMS,
    Ack,
    AnyMessage,
    At,
    Attach,
    Bye,
    Check,
    Checked,
    Chunk,
    ClearOutput,
    CommClose,
    CommMessage,
    DisplayData,
    Early,
    Error,
    Execute,
    ExecuteResult,
    Gauge,
    Have,
    Hello,
    InputReply,
    InputRequest,
    Install,
    Installed,
    Interrupt,
    Keeps,
    Late,
    Lease,
    Missing,
    Part,
    Release,
    Reply,
    Stream,
    Taken,
    Unknown,
    UpdateDisplayData,
)


class Role(Enum):
    CLIENT = "client"
    RUNNER = "runner"

    @property
    def other(self) -> Role:
        return Role.RUNNER if self is Role.CLIENT else Role.CLIENT


class State(Enum):
    OPENING = "opening"
    IDLE = "idle"
    PREPARING = "preparing"
    BUSY = "busy"
    CLOSED = "closed"


# Who may say what, in which state, and the state it leads to.
RULES: dict[State, dict[type[AnyMessage], tuple[Optional[Role], State]]] = {
    State.OPENING: {
        Hello: (Role.RUNNER, State.IDLE),
        # Who has lost patience before the runner has spoken.
        Bye: (Role.CLIENT, State.CLOSED),
    },
    State.IDLE: {
        Check: (Role.CLIENT, State.PREPARING),
        Install: (Role.CLIENT, State.PREPARING),
        Have: (Role.CLIENT, State.PREPARING),
        Chunk: (Role.CLIENT, State.IDLE),
        Execute: (Role.CLIENT, State.BUSY),
        Bye: (Role.CLIENT, State.CLOSED),
        # A late interrupt crosses the reply on the wire. It is not an error.
        Interrupt: (Role.CLIENT, State.IDLE),
        Attach: (Role.CLIENT, State.BUSY),
        Release: (Role.CLIENT, State.IDLE),
        # So does the answer to a question that was given up.
        InputReply: (Role.CLIENT, State.IDLE),
        Lease: (Role.CLIENT, State.IDLE),
    },
    State.PREPARING: {
        Checked: (Role.RUNNER, State.IDLE),
        Installed: (Role.RUNNER, State.IDLE),
        Missing: (Role.RUNNER, State.IDLE),
        Stream: (Role.RUNNER, State.PREPARING),
        Interrupt: (Role.CLIENT, State.PREPARING),
        Bye: (Role.CLIENT, State.CLOSED),
        Lease: (Role.CLIENT, State.PREPARING),
    },
    State.BUSY: {
        Stream: (Role.RUNNER, State.BUSY),
        DisplayData: (Role.RUNNER, State.BUSY),
        UpdateDisplayData: (Role.RUNNER, State.BUSY),
        ClearOutput: (Role.RUNNER, State.BUSY),
        ExecuteResult: (Role.RUNNER, State.BUSY),
        Error: (Role.RUNNER, State.BUSY),
        Chunk: (Role.RUNNER, State.BUSY),
        Early: (Role.RUNNER, State.BUSY),
        Gauge: (Role.RUNNER, State.BUSY),
        Keeps: (Role.RUNNER, State.BUSY),
        Interrupt: (Role.CLIENT, State.BUSY),
        Reply: (Role.RUNNER, State.IDLE),
        Bye: (Role.CLIENT, State.CLOSED),
        At: (Role.RUNNER, State.BUSY),
        Unknown: (Role.RUNNER, State.IDLE),
        InputRequest: (Role.RUNNER, State.BUSY),
        InputReply: (Role.CLIENT, State.BUSY),
        Lease: (Role.CLIENT, State.BUSY),
    },
    State.CLOSED: {},
}

# Widgets and threads outlive their cell: both are spoken of at any time.
for _state in (State.IDLE, State.PREPARING, State.BUSY):
    for _kind in (*COMMS, Late):
        _speaker = None if _kind in (CommMessage, CommClose) else Role.RUNNER
        RULES[_state][_kind] = _speaker, _state


class Session:
    """
    The state of one conversation, seen from one side. It outlives its connections.

    Args:
        role: The side this object plays.
    """

    def __init__(self, role: Role) -> None:
        self.role = role
        self.state = State.OPENING
        self.received = 0
        """Highest number received from the other side."""
        self._next = 1
        self._kept: deque[tuple[int, AnyMessage]] = deque()
        self._cursor = 0
        self._silent = 0
        self._parts = bytearray()
        self.join = join
        """Reads what came in parts."""

    @property
    def unacknowledged(self) -> int:
        """Number of messages sent or waiting that the other side has not confirmed."""
        return len(self._kept)

    @property
    def unconfirmed(self) -> list[AnyMessage]:
        """Those messages."""
        return [message for _, message in self._kept]

    @property
    def owes(self) -> int:
        """Number of messages received since the last frame that went out."""
        return self._silent

    def send(self, message: AnyMessage) -> None:
        """
        Take a message to be sent; `frames` gives it out.

        Raises:
            LocalProtocolError: This side may not say that now, or it cannot be encoded.
        """
        pieces = parts(message)
        if not self._step(message, self.role, LocalProtocolError):
            return
        for piece in pieces:
            self._kept.append((self._next, piece))
            self._next += 1

    def acknowledge(self) -> bytes:
        """Return a frame that says nothing but what has been received."""
        self._silent = 0
        return encode(Frame(0, self.received, Ack()))

    @staticmethod
    def taken() -> bytes:
        """Return the frame that tells a client that another has come in its place."""
        return encode(Frame(0, 0, Taken()))

    def frame(self, shrink: Callable[[Chunk, int], Chunk] | None = None) -> bytes | None:
        """
        Return the next frame to put on the line, or nothing.

        Args:
            shrink: Makes of a chunk what goes, given how many messages are on their way.
        """
        if self._cursor >= len(self._kept):
            return None
        number, message = self._kept[self._cursor]
        if shrink is not None and isinstance(message, Chunk):
            message = shrink(message, self._cursor)
        self._cursor += 1
        self._silent = 0
        return encode(Frame(number, self.received, message))

    def receive(self, data: bytes) -> AnyMessage | None:
        """
        Read a frame; return its message unless it is an acknowledgement or came before.

        Raises:
            RemoteProtocolError: The frame is unreadable, out of order, or out of turn.
        """
        frame = decode(data)
        self._confirm(frame.received)
        if frame.sequence == 0:
            if isinstance(frame.message, Taken) and self.role is Role.CLIENT:
                return frame.message
            if not isinstance(frame.message, Ack):
                raise RemoteProtocolError("only an acknowledgement goes without a number")
            return None
        if frame.sequence <= self.received:
            return None
        if frame.sequence != self.received + 1:
            raise RemoteProtocolError(
                f"message {frame.sequence} came where {self.received + 1} was due"
            )
        message = self._whole(frame.message)
        has_place = message and self._step(message, self.role.other, RemoteProtocolError)
        self.received = frame.sequence
        self._silent += 1
        return message if has_place else None

    def reconnect(self) -> None:
        """Forget what the lost connection carried: all that is not confirmed goes out again."""
        self._cursor = 0

    def _whole(self, message: AnyMessage) -> AnyMessage | None:
        """Return a message that is complete; keep a part until its last one is here."""
        if not isinstance(message, Part):
            if self._parts:
                raise RemoteProtocolError("a message came between the parts of another")
            return message
        if len(self._parts) + len(message.data) > LARGEST:
            raise RemoteProtocolError("a message is too long")
        self._parts += message.data
        if not message.last:
            return None
        data, self._parts = self._parts, bytearray()
        whole = self.join(data)
        if isinstance(whole, Part):
            raise RemoteProtocolError("a part holds another part")
        return whole

    def _confirm(self, number: int) -> None:
        if number >= self._next:
            raise RemoteProtocolError(f"message {number} is confirmed and was never sent")
        while self._kept and self._kept[0][0] <= number:
            self._kept.popleft()
            self._cursor = max(0, self._cursor - 1)

    def _step(
        self,
        message: AnyMessage,
        speaker: Role,
        wrong: type[LocalProtocolError | RemoteProtocolError],
    ) -> bool:
        """Move by the table; say whether the message still has a place."""
        rule = RULES[self.state].get(type(message))
        name = type(message).__name__
        if rule is None:
            # What was on the wire when the other side closed, or an interrupt that came when
            # nothing ran, is nobody's fault.
            if isinstance(message, Interrupt) or self.state is State.CLOSED:
                return False
            raise wrong(f"{name} has no place while the session is {self.state.value}")
        if rule[0] not in (speaker, None):
            other = speaker.other.value
            raise wrong(f"only the {other} sends {name} while the session is {self.state.value}")
        self.state = rule[1]
        return True
