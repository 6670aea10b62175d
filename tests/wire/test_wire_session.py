"""Whose turn it is, and what survives a cut line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nosana_jupyter.errors import LocalProtocolError, RemoteProtocolError
from nosana_jupyter.wire.envelope import Frame, encode
from nosana_jupyter.wire.messages import (
    CHUNK,
    Ack,
    AnyMessage,
    Bye,
    Check,
    Checked,
    Chunk,
    DisplayData,
    Execute,
    Hello,
    Interrupt,
    Part,
    Reply,
    Stream,
)
from nosana_jupyter.wire.session import RULES, Role, Session, State

Make = Callable[[State], Any]
Messages = dict[type[Any], AnyMessage]

HELLO = Hello(1, "3.11.7", "cpython", "linux", "x86_64", "3.1", 2, 8.0, 10.0)
EXECUTE = Execute(code="1", count=1, header=b"", buffers=0, returns=[])
KINDS = sorted(
    {kind for rules in RULES.values() for kind in rules} | {Ack, Part},
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
class TestTheTable:
    def test_sending_follows_it(
        self, state: State, role: Role, kind: type[Any], pair_in: Make, messages: Messages
    ) -> None:
        """What the table gives to a side moves it; all else is refused and changes nothing."""
        session = pair_in(state).session(role)
        rule = RULES[state].get(kind)

        if rule is not None and rule[0] in (role, None):
            session.send(messages[kind])
            assert session.state is rule[1]
        elif rule is None and (kind is Interrupt or state is State.CLOSED):
            before = session.unacknowledged
            session.send(messages[kind])
            assert (session.state, session.unacknowledged) == (state, before)
        else:
            with pytest.raises(LocalProtocolError):
                session.send(messages[kind])
            assert session.state is state

    def test_receiving_follows_it(
        self, state: State, role: Role, kind: type[Any], pair_in: Make, messages: Messages
    ) -> None:
        """What the other side may not say ends the conversation, and moves nothing."""
        session = pair_in(state).session(role)
        frame = encode(Frame(session.received + 1, 0, messages[kind]))
        rule = RULES[state].get(kind)

        if kind is Part:  # An empty part holds no message.
            with pytest.raises(RemoteProtocolError):
                session.receive(frame)
        elif rule is not None and rule[0] in (role.other, None):
            assert type(session.receive(frame)) is kind
            assert session.state is rule[1]
        elif rule is None and (kind is Interrupt or state is State.CLOSED):
            assert session.receive(frame) is None
            assert session.state is state
        else:
            with pytest.raises(RemoteProtocolError):
                session.receive(frame)
            assert session.state is state


def test_late_interrupt_is_ignored(pair_in: Make) -> None:
    """An interrupt that crosses the reply on the wire is not an error."""
    pair = pair_in(State.BUSY)
    pair.client.send(Interrupt())
    pair.runner.send(Reply("ok", 0.1))

    assert isinstance(pair.carry(Role.RUNNER), Reply)
    assert isinstance(pair.carry(Role.CLIENT), Interrupt)
    assert pair.runner.state is pair.client.state is State.IDLE


def test_what_crosses_a_goodbye_is_dropped(pair_in: Make) -> None:
    """Outputs that were on the wire when the client left are nobody's fault."""
    pair = pair_in(State.BUSY)
    pair.runner.send(Stream("stdout", "x"))
    pair.client.send(Bye())

    assert pair.carry(Role.RUNNER) is None
    assert isinstance(pair.carry(Role.CLIENT), Bye)
    assert pair.client.state is pair.runner.state is State.CLOSED


def test_goodbye_before_hello(pair_in: Make) -> None:
    """A client that has lost patience may leave before the runner has spoken."""
    pair = pair_in(State.OPENING)
    pair.client.send(Bye())
    pair.runner.send(HELLO)

    assert isinstance(pair.carry(Role.CLIENT), Bye)
    assert pair.carry(Role.RUNNER) is None


def test_confirmed_messages_are_forgotten(pair_in: Make) -> None:
    """A frame confirms all that its sender has received."""
    pair = pair_in(State.BUSY)
    for number in range(10):
        pair.say(Role.RUNNER, Stream("stdout", str(number)))
    assert pair.client.owes == 10

    pair.runner.receive(pair.client.acknowledge())

    assert pair.runner.unacknowledged == pair.client.owes == 0


@pytest.mark.parametrize(
    "frame",
    [
        Frame(3, 0, Stream("stdout", "x")),
        Frame(1, 9, HELLO),
        Frame(0, 0, HELLO),
        Frame(1, 0, Part(b"x", last=True)),
    ],
    ids=["a gap", "confirms what was never said", "no number", "a broken part"],
)
def test_frames_that_break_the_rules(frame: Frame) -> None:
    """Numbers that cannot be end the conversation."""
    session = Session(Role.CLIENT)

    with pytest.raises(RemoteProtocolError):
        session.receive(encode(frame))


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    """Bytes that are no frame are a protocol error and nothing else."""
    session = Session(Role.CLIENT)
    try:
        session.receive(data)
    except RemoteProtocolError:
        assert session.state is State.OPENING


class TestLongMessages:
    def test_come_in_parts(self, pair_in: Make) -> None:
        """A message longer than a frame arrives whole, and no frame is longer than a chunk."""
        pair = pair_in(State.BUSY)
        long = DisplayData({"text/html": "x" * (3 * CHUNK + 5)})
        pair.runner.send(long)

        frames = []
        while (frame := pair.runner.frame()) is not None:
            frames.append(frame)

        assert len(frames) == 4
        assert max(map(len, frames)) < CHUNK + 100
        assert [pair.client.receive(frame) for frame in frames] == [None, None, None, long]

    def test_resume_in_their_middle(self, pair_in: Make) -> None:
        """Of a message that was cut, only the missing parts are sent again."""
        pair = pair_in(State.BUSY)
        long = DisplayData({"text/html": "x" * (3 * CHUNK + 5)})
        pair.runner.send(long)
        for _ in range(2):
            pair.client.receive(pair.runner.frame())
        pair.runner.reconnect()
        pair.runner.receive(pair.client.acknowledge())

        assert pair.runner.unacknowledged == 2
        assert pair.carry(Role.RUNNER) == long

    def test_nothing_comes_between(self, pair_in: Make) -> None:
        """A message between the parts of another is refused, as is a part in a part."""
        pair = pair_in(State.BUSY)
        number = pair.client.received
        pair.client.receive(encode(Frame(number + 1, 0, Part(b"abc", last=False))))

        with pytest.raises(RemoteProtocolError, match="between"):
            pair.client.receive(encode(Frame(number + 2, 0, Stream("stdout", "x"))))

    def test_what_cannot_be_encoded_changes_nothing(self, pair_in: Make) -> None:
        """A message that is not data is refused on this side, before it has a number."""
        pair = pair_in(State.BUSY)

        with pytest.raises(LocalProtocolError):
            pair.runner.send(DisplayData({"x": object()}))
        with pytest.raises(LocalProtocolError):
            pair.runner.send(Chunk(0, CHUNK + 1, 0, b"x" * (CHUNK + 1)))
        assert pair.say(Role.RUNNER, Stream("stdout", "x")) == Stream("stdout", "x")


SCRIPT: list[tuple[Role, AnyMessage]] = [
    (Role.RUNNER, HELLO),
    (Role.CLIENT, Check(["numpy"])),
    (Role.RUNNER, Checked({"numpy": None})),
    (Role.CLIENT, Chunk(0, 3, 0, b"abc")),
    (Role.CLIENT, EXECUTE),
    *[(Role.RUNNER, Stream("stdout", str(number))) for number in range(5)],
    (Role.RUNNER, DisplayData({"text/html": "y" * (CHUNK + 9)})),
    (Role.RUNNER, Chunk(0, 1, 0, b"z")),
    (Role.RUNNER, Reply("ok", 0.5, buffers=1)),
]


def play(deliver: Callable[[], bool]) -> dict[Role, list[AnyMessage]]:
    """Play the script over a line that is cut whenever `deliver` says so."""
    sessions = {role: Session(role) for role in Role}
    heard: dict[Role, list[AnyMessage]] = {role: [] for role in Role}

    def cut() -> None:
        """Lose what is on the line; on the next one both say first what they have."""
        for role in Role:
            sessions[role].reconnect()
            sessions[role.other].receive(sessions[role].acknowledge())

    def carry(role: Role) -> None:
        while (frame := sessions[role].frame()) is not None:
            if not deliver():
                cut()
                continue
            message = sessions[role.other].receive(frame)
            if message is not None:
                heard[role.other].append(message)
            if not deliver():
                cut()

    for role, message in SCRIPT:
        sessions[role].send(message)
        carry(role)
    return heard


EXPECTED = {role: [said for speaker, said in SCRIPT if speaker is role.other] for role in Role}


@pytest.mark.parametrize("index", range(40))
def test_a_cut_at_each_message_loses_nothing(index: int) -> None:
    """Wherever the line is cut, each message comes once and in order."""
    steps = iter(range(10_000))

    assert play(lambda: next(steps) != index) == EXPECTED


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), max_size=60))
def test_many_cuts_lose_nothing(cuts: list[bool]) -> None:
    """However often the line is cut, each message comes once and in order."""
    steps = iter(cuts)

    assert play(lambda: not next(steps, False)) == EXPECTED


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(0, 29), st.integers(0, 5))
def test_frames_may_be_lost_from_the_end(count: int, arrived: int, confirmed: int) -> None:
    """A line that dies keeps a prefix; the rest comes on the next line, once."""
    client, runner = Session(Role.CLIENT), Session(Role.RUNNER)
    runner.send(HELLO)
    client.receive(runner.frame() or b"")
    client.send(EXECUTE)
    runner.receive(client.frame() or b"")
    texts = [Stream("stdout", str(number)) for number in range(count)]
    for text in texts:
        runner.send(text)
    frames = [runner.frame() or b"" for _ in range(count)]
    heard = [client.receive(frame) for frame in frames[:arrived]]
    if confirmed < arrived:
        runner.receive(client.acknowledge())

    runner.reconnect()
    client.reconnect()
    runner.receive(client.acknowledge())
    while (frame := runner.frame()) is not None:
        heard.append(client.receive(frame))

    assert [message for message in heard if message] == texts
