"""What is said to which client, whenever lines are cut and clients come anew."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nosana_jupyter.runner.outbox import Outbox
from nosana_jupyter.runner.records import Records
from nosana_jupyter.runner.telling import Telling
from nosana_jupyter.wire.messages import (
    AnyMessage,
    At,
    Attach,
    Chunk,
    DisplayData,
    Execute,
    Hello,
    Interrupt,
    Reply,
    Stream,
    UpdateDisplayData,
)
from nosana_jupyter.wire.session import Role, Session, State

HELLO = Hello(1, "3.11.7", "cpython", "linux", "x86_64", "3.1", 2, 8.0, 10.0)
EXECUTE = Execute(code="1", count=1, header=b"", buffers=0, returns=[], cell="a")


class World:
    """A runner's telling, and the client that it has at the moment."""

    def __init__(self, folder: Path) -> None:
        self.outbox = Outbox(lambda: None)
        self.telling = Telling(self.outbox, folder)
        self.outbox.put(HELLO)
        self.client = Session(Role.CLIENT)
        self.shown: list[int] = []
        self.ended = False
        self.heard = 0

    def say(self, message: AnyMessage) -> None:
        self.client.send(message)
        self.carry()

    def carry(self, most: int = 10_000) -> None:
        """Carry frames both ways, at most so many from the runner."""
        while (frame := self.client.frame()) is not None:
            message = self.telling.session.receive(frame)
            if isinstance(message, Execute):
                self.telling.expect(message)
            elif isinstance(message, Attach):
                self.telling.attach(message)
        for _ in range(most):
            self.telling.fill()
            data = self.telling.session.frame()
            if data is None:
                break
            self.take(self.client.receive(data))
        self.telling.session.receive(self.client.acknowledge())

    def take(self, message: AnyMessage | None) -> None:
        if isinstance(message, DisplayData):
            self.heard += 1
            self.shown.append(message.data["n"])
        elif isinstance(message, At):
            self.heard = message.number
        elif isinstance(message, Reply):
            self.ended = True

    def cut(self) -> None:
        """Lose what is on the line."""
        self.telling.session.reconnect()
        self.client.reconnect()
        self.telling.session.receive(self.client.acknowledge())

    def anew(self, *, from_start: bool) -> None:
        """Let another client come, and attach."""
        self.telling.renew()
        self.client = Session(Role.CLIENT)
        self.carry()
        if from_start:
            self.shown, self.heard = [], 0
        self.ended = False
        self.say(Attach("a", after=self.heard))


STEPS = st.lists(
    st.sampled_from(["output", "output", "carry", "little", "cut", "anew", "go on", "interrupt"]),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_each_output_is_shown_once_and_in_order(steps: list[str]) -> None:
    """Whatever happens to lines and clients, the last client has shown all of it once."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.carry()
        world.say(EXECUTE)
        count = 0
        for step in steps:
            if step == "output":
                world.outbox.put(DisplayData({"n": count}))
                count += 1
            elif step == "carry":
                world.carry()
            elif step == "little":
                world.carry(most=1)
            elif step == "cut":
                world.cut()
            elif step == "interrupt":
                world.say(Interrupt())
            else:
                world.anew(from_start=step == "anew")
        world.outbox.put(Chunk(0, 3, 0, b"abc"))
        world.outbox.put(Reply("ok", 0.1, values={"x": 1}, buffers=1))
        for _ in range(count + 3):
            world.carry()

        assert world.shown == list(range(count))
        assert world.ended
        assert world.client.state is world.telling.session.state is State.IDLE


SAID = st.lists(
    st.one_of(
        st.text("ab\n", min_size=1, max_size=5).map(lambda text: Stream("stdout", text)),
        st.integers(0, 9).map(lambda n: DisplayData({"n": n}, transient={"display_id": "d"})),
        st.integers(0, 9).map(lambda n: UpdateDisplayData({"n": n}, transient={"display_id": "d"})),
    ),
    max_size=40,
)


def state(messages: list[AnyMessage]) -> tuple[str, list[Any]]:
    """Return what is on the screen after these messages."""
    text, displays = "", []
    for message in messages:
        if isinstance(message, Stream):
            text += message.text
        elif isinstance(message, DisplayData):
            displays.append(message.data)
        elif isinstance(message, UpdateDisplayData):
            displays = [message.data] * len(displays)
    return text, displays


@settings(max_examples=150, deadline=None)
@given(SAID, st.integers(0, 45))
def test_a_replay_shows_the_same(said: list[AnyMessage], after: int) -> None:
    """What is left out when a cell is said again leaves the same on the screen."""
    with tempfile.TemporaryDirectory() as folder:
        record = Records(Path(folder)).begin("a")
        for message in said:
            record.add(message)
        again = list(record.replay(after))
        numbers = [each.number for each in again if isinstance(each, At)]

    assert state([*said[:after], *again]) == state(said)
    assert numbers == sorted(numbers)
    assert sum(isinstance(each, UpdateDisplayData) for each in again) <= 1
