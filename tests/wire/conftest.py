"""Two sessions and a perfect wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from nosana_jupyter.wire.keeping import Kept
from nosana_jupyter.wire.messages import (
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
    CommOpen,
    CommOutput,
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
    Unknown,
    UpdateDisplayData,
    Value,
)
from nosana_jupyter.wire.session import Role, Session, State

MESSAGES: dict[type[Any], AnyMessage] = {
    type(message): message
    for message in (
        Check(["numpy"]),
        Install(["pandas==3.1.1"]),
        Execute(code="1", count=1, header=b"", buffers=0, returns=[]),
        Interrupt(),
        Bye(),
        Chunk(0, 3, 0, b"abc"),
        Have([], b"k" * 32),
        Missing(b""),
        Ack(),
        Part(b"", last=True),
        Hello(1, "3.11.7", "cpython", "linux", "x86_64", "3.1", 2, 8.0, 10.0),
        Checked({"numpy": "2.0", "pandas": None}),
        Installed(ok=True, log=""),
        Stream("stdout", "a\n"),
        DisplayData({"text/plain": "a"}),
        UpdateDisplayData({"text/plain": "b"}, transient={"display_id": "1"}),
        ClearOutput(wait=True),
        CommOpen("1", "jupyter.widget", {"state": {}}, buffers=[b"x"]),
        CommMessage("1", {"method": "update", "state": {"value": 1}}),
        CommClose("1"),
        CommOutput("1", Stream("stdout", "a"), captured=True),
        ExecuteResult({"text/plain": "3"}),
        Error("ValueError", "x", ["x"]),
        Reply("ok", 0.5),
        Attach("9f86d081884c7d65", after=3),
        Release("9f86d081884c7d65"),
        Lease(60.0),
        At(7),
        Unknown("9f86d081884c7d65"),
        InputRequest(1, "? "),
        InputReply(1, "x"),
        Late("9f86d081884c7d65", Stream("stdout", "x")),
        Gauge(1.5, 24.0, None, True),
        Keeps([], [Kept("hub", "me/model", 7)]),
        Early({"x": Value(msgspec.Raw(b"\x01"))}, {"y": "is a lock"}),
    )
}


@dataclass
class Pair:
    """A client and a runner joined by a wire that loses nothing."""

    client: Session = field(default_factory=lambda: Session(Role.CLIENT))
    runner: Session = field(default_factory=lambda: Session(Role.RUNNER))

    def session(self, role: Role) -> Session:
        return self.client if role is Role.CLIENT else self.runner

    def say(self, role: Role, message: AnyMessage) -> AnyMessage | None:
        """Send a message from one side; return what the other side received."""
        self.session(role).send(message)
        return self.carry(role)

    def carry(self, role: Role) -> AnyMessage | None:
        """Carry all frames of one side across; return the last message."""
        last = None
        while (frame := self.session(role).frame()) is not None:
            last = self.session(role.other).receive(frame) or last
        return last


WAYS: dict[State, list[tuple[Role, type[Any]]]] = {
    State.OPENING: [],
    State.IDLE: [(Role.RUNNER, Hello)],
    State.PREPARING: [(Role.RUNNER, Hello), (Role.CLIENT, Check)],
    State.BUSY: [(Role.RUNNER, Hello), (Role.CLIENT, Execute)],
    State.CLOSED: [(Role.RUNNER, Hello), (Role.CLIENT, Bye)],
}


@pytest.fixture
def messages() -> dict[type[Any], AnyMessage]:
    return MESSAGES


@pytest.fixture
def pair_in() -> Callable[[State], Pair]:
    """Make a pair whose two sides are in a state."""

    def make(state: State) -> Pair:
        pair = Pair()
        for role, kind in WAYS[state]:
            pair.say(role, MESSAGES[kind])
        assert pair.client.state is pair.runner.state is state
        return pair

    return make
