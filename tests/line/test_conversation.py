"""What is said to runners that keep the rules, and to those that keep none, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import math
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strange_runner import HELLO as OTHER_HELLO
from strange_runner import Peer, Runner, Script, after_hello, linked, load, run

from nosana_jupyter.errors import (
    CellError,
    HostFailed,
    NosanaError,
    ProtocolError,
    RemoteProtocolError,
    VersionMismatch,
)
from nosana_jupyter.events import Event, Said, Waiting
from nosana_jupyter.line import conversation, inbox, installing, patience, transfer
from nosana_jupyter.line import link as link_module
from nosana_jupyter.line.hearing import Ended
from nosana_jupyter.line.installing import INSTALLING, Environment
from nosana_jupyter.line.link import Link
from nosana_jupyter.travel.load import Load
from nosana_jupyter.travel.pythons import table
from nosana_jupyter.wire import launch, seal
from nosana_jupyter.wire import messages as say
from nosana_jupyter.wire.chunks import split
from nosana_jupyter.wire.definition import RunOperation
from nosana_jupyter.wire.envelope import FRAME, Frame, encode

HELLO = msgspec.structs.replace(OTHER_HELLO, python=sys.version.split()[0])
HANDLE = say.Handle(type="lock", text="<lock>", reason="not plain")
NEEDY = load(packages=[("numpy", "1.0")])

SPOKEN: list[Any] = [
    HELLO, say.Checked({}), say.Installed(True, ""), say.Stream("stdout", "x"),
    say.DisplayData({"text/plain": "x"}), say.ClearOutput(), say.Error("E", "v", []),
    say.Reply("ok", 0.1), say.Chunk(0, 1, 0, b"x"), say.Check([]), say.Install(["x"]),
    say.Execute("1", 1, b"", 0, []), say.Interrupt(), say.Bye(), say.Ack(),
]  # fmt: skip
"""One of each that anybody can say."""


async def path(link: Link, cell: Load, events: list[Event] | None = None) -> Ended:
    """Take a cell along its way, as a client does."""
    emit = (events if events is not None else []).append
    hello = await conversation.greet(link)
    conversation.check_python(hello, cell.has_code)
    await Environment(link).prepare(cell, emit)
    await transfer.upload(link, cell.buffers, emit)
    ended = await conversation.execute(link, cell, emit)
    await link.goodbye()
    return ended


def meet(
    script: Script | Runner,
    cell: Load | None = None,
    *,
    events: list[Event] | None = None,
    patience: float = 5,
    within: float = 20,
) -> Ended:
    """Take a cell to a runner; what went wrong is raised."""

    async def story() -> Any:
        async with linked(script, patience=patience) as link:
            return await path(link, cell or load(), events)

    ended = run(story, within=within)
    assert isinstance(ended, Ended)
    return ended


def outputs_of(events: Iterable[Event]) -> list[Event]:
    """Return what the cell said, of all that happened to it."""
    return [each for each in events if isinstance(each, Said)]


def greeted(script: Script) -> Script:
    return after_hello(script, HELLO)


def answering(*replies: say.AnyMessage) -> Script:
    """Be a runner that answers a cell with these messages."""

    async def script(peer: Peer) -> None:
        await peer.hear_cell()
        await peer.say(*replies)
        await peer.stay()

    return greeted(script)


def raw(tree: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(tree))


async def hang_up(peer: Peer) -> None:
    await peer.line.close()


async def say_nothing(peer: Peer) -> None:
    while True:
        await peer.line.recv()


class TestOutOfTurn:
    """A runner that says what it may not say now is not listened to any longer."""

    @pytest.mark.parametrize("message", SPOKEN, ids=lambda each: type(each).__name__)
    def test_each_message_at_each_step(self, message: Any) -> None:
        """Each message has its places, and in all others it ends the conversation at once."""

        async def opening(peer: Peer) -> None:
            await peer.shake()
            await peer.say(message)
            await peer.stay()

        async def idle(peer: Peer) -> None:
            await peer.say(message)
            await peer.stay()

        async def checking(peer: Peer) -> None:
            await peer.hear()
            await peer.say(message, message)
            await peer.stay()

        async def installing(peer: Peer) -> None:
            await peer.hear()
            await peer.say(say.Checked({}))
            await peer.hear()
            await peer.say(message, message)
            await peer.stay()

        async def busy(peer: Peer) -> None:
            await peer.hear_cell()
            await peer.say(message, message)
            await peer.stay()

        prepared = (say.Checked, say.Installed)
        places = [
            (opening, (say.Hello, say.Interrupt), load()),  # Late ones are nobody's fault.
            (greeted(idle), (), load()),
            (greeted(checking), (say.Stream,), NEEDY),
            (greeted(installing), (say.Stream,), NEEDY),
            (greeted(busy), (*say.Output.__args__, say.Reply), load()),  # type: ignore[attr-defined]
        ]
        for script, allowed, cell in places:
            if isinstance(message, allowed):
                continue
            began = time.monotonic()
            with pytest.raises(RemoteProtocolError) as caught:
                meet(script, cell)
            assert time.monotonic() - began < 5
            assert "place" in str(caught.value) or "only" in str(caught.value) or (
                isinstance(message, (say.Chunk, *prepared)) and str(caught.value)
            )  # fmt: skip

    @pytest.mark.parametrize(
        ("sequence", "received", "said"),
        [
            (3, 0, "came where 2 was due"),
            (0, 0, "only an acknowledgement"),
            (2, 9, "was never sent"),
            (1 << 60, 0, "was due"),
        ],
    )
    def test_numbers_are_checked(self, sequence: int, received: int, said: str) -> None:
        """A message that skips others, or confirms what was never sent, is a lie."""

        async def script(peer: Peer) -> None:
            await peer.hear_cell()
            await peer.frame(sequence, received, say.Stream("stdout", "x"))
            await say_nothing(peer)

        with pytest.raises(RemoteProtocolError, match=said):
            meet(greeted(script))

    def test_what_came_before_comes_twice_and_counts_once(self) -> None:
        """A frame that was sent again is no fault, and is not heard again."""

        async def script(peer: Peer) -> None:
            await peer.hear_cell()
            for _ in range(3):
                await peer.frame(2, peer.runner.received, say.Stream("stdout", "x"))
            peer.runner.sent = 2
            await peer.say(say.Reply("ok", 0.1))
            await peer.stay()

        events: list[Event] = []
        meet(greeted(script), events=events)
        assert outputs_of(events) == [Said(say.Stream("stdout", "x"))]


class TestGarbage:
    @pytest.mark.parametrize(
        "data",
        [b"", b"\x00", b"\xc1" * 50, b"\x93\x02\x00\xc0", b"\x93" * 200_000, b"\x80", b"x" * 999],
        ids=range(7),
    )
    def test_sealed_garbage(self, data: bytes) -> None:
        """A frame that opens and holds no message ends it: nobody but the runner can seal it."""

        async def script(peer: Peer) -> None:
            await peer.hear_cell()
            await peer.octets(data)
            await say_nothing(peer)

        with pytest.raises(RemoteProtocolError, match="unreadable message"):
            meet(greeted(script))

    @pytest.mark.parametrize("data", [b"", b"x", b"\x00" * 5000, "text", "🦜" * 9000])
    def test_garbage_that_is_not_sealed(self, data: bytes | str) -> None:
        """What does not open may be anybody's: another connection is made, but not for ever."""

        async def script(peer: Peer) -> None:
            await peer.line.send(data)
            await say_nothing(peer)

        runner = Runner(greeted(script))
        with pytest.raises(RemoteProtocolError, match="does not open"):
            meet(runner)
        assert runner.connections == link_module.FORGERIES

    @pytest.mark.parametrize("data", [b"", b"\xc0", b"\x81" * 70_000, "text"], ids=range(4))
    def test_garbage_in_place_of_an_opening(self, data: bytes | str) -> None:
        """So it is with the first word of a connection."""

        async def script(peer: Peer) -> None:
            await peer.line.recv()
            await peer.line.send(data)
            await say_nothing(peer)

        with pytest.raises(RemoteProtocolError, match="opening"):
            meet(script)

    def test_openings_of_others(self) -> None:
        """A knock for an answer, another version, and keys that give no secret are refused."""
        key = seal.Key()
        weak = msgspec.structs.replace(seal.answer(key), public=bytes(32))
        short = msgspec.structs.replace(seal.answer(key), public=b"x")
        newer = msgspec.structs.replace(seal.answer(key), version=9)
        for opening, said in (
            (seal.knock(), "not an answer"),
            (weak, "not usable"),
            (short, "not usable"),
            (newer, "version 9"),
        ):

            async def script(peer: Peer, opening: seal.Knock | seal.Answer = opening) -> None:
                await peer.line.recv()
                await peer.line.send(seal.encode_opening(opening))
                await say_nothing(peer)

            with pytest.raises(RemoteProtocolError, match=said):
                meet(script)

    def test_frames_that_are_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A frame over the limit is not read, and who goes on sending such is given up."""
        monkeypatch.setattr(patience, "HOLLOW", 3)

        async def script(peer: Peer) -> None:
            await peer.line.send("x" * (2 * say.FRAME))
            await say_nothing(peer)

        with pytest.raises(HostFailed, match=r"hangs up again and again|has not answered"):
            meet(greeted(script), patience=1)

    def test_a_message_without_an_end(self) -> None:
        """Parts of one message are put together up to a limit."""

        async def script(peer: Peer) -> None:
            await peer.hear_cell()
            while True:
                await peer.say(say.Part(bytes(say.CHUNK), False))

        with pytest.raises(RemoteProtocolError, match="too long"):
            meet(greeted(script))

    @settings(
        max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    @given(data=st.data())
    def test_whatever_it_says(self, data: st.DataObject) -> None:
        """
        Any messages with any contents end in a value or in an error of ours, and soon.
        """
        text = st.text(max_size=20)
        number = st.floats() | st.integers(-(2**63), 2**63 - 1).map(float)
        tree = st.recursive(
            st.none() | st.integers(-9, 9) | text | st.binary(max_size=9),
            lambda each: st.lists(
                each | st.sampled_from(["array", "dict", "frame", "buffer"]), max_size=5
            ),
            max_leaves=9,
        )
        handle = st.builds(say.Handle, text, text, text)
        spoken = st.one_of(
            st.builds(say.Stream, st.sampled_from(["stdout", "stderr"]), text),
            st.builds(say.Checked, st.dictionaries(st.just("numpy") | text, st.none() | text)),
            st.builds(say.Installed, st.booleans(), text),
            st.builds(say.Error, text, text, st.lists(text, max_size=2)),
            st.builds(say.Chunk, *[st.integers(-2, 1 << 40)] * 3, st.binary(max_size=5)),
            st.builds(
                say.Reply, st.sampled_from(["ok", "error", "interrupted"]), number,
                st.dictionaries(st.sampled_from("xy"), tree), st.integers(-1, 2),
                st.dictionaries(st.sampled_from("xy"), handle, max_size=1), number,
            ),
        )  # fmt: skip
        hello = msgspec.structs.replace(HELLO, python=data.draw(text), implementation="cpython")
        rounds = data.draw(st.lists(st.lists(spoken, max_size=3), min_size=3, max_size=3))

        async def script(peer: Peer) -> None:
            for said in rounds if peer.number == 1 else ():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await peer.hear()
                await peer.say(*said)
            await peer.line.close()

        cell = msgspec_load(NEEDY, has_code=data.draw(st.sampled_from([(), ("f",)])))
        with contextlib.suppress(NosanaError), mock.patch.object(patience, "HOLLOW", 2):
            ended = meet(after_hello(script, hello), cell, patience=0.1, within=10)
            assert math.isfinite(ended.seconds)
            assert math.isfinite(ended.peak_memory)
            assert set(ended.values) | set(ended.handles) <= {"x"}


def msgspec_load(cell: Load, **changes: Any) -> Load:
    import dataclasses

    return dataclasses.replace(cell, **changes)


class TestGoingAway:
    """A runner that closes the line is looked for again; one that always does is given up."""

    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(patience, "HOLLOW", 4)

    @pytest.mark.parametrize("after", ["connecting", "the knock", "the handshake"])
    def test_before_the_first_word(self, after: str) -> None:
        """Who never gets to a first word has not answered."""

        async def script(peer: Peer) -> None:
            if after == "the handshake":
                await peer.shake()
            elif after == "the knock":
                await peer.line.recv()
            await peer.line.close()

        with pytest.raises(HostFailed, match="has not answered for"):
            meet(script, patience=0.3)

    @pytest.mark.parametrize("after", ["hello", "check", "install", "a chunk", "the cell"])
    def test_at_each_step(self, after: str) -> None:
        """
        Who comes back each time and hangs up at once is given up, wherever the cell is.
        """
        cell = load(buffers=[memoryview(bytes(9))]) if after == "a chunk" else NEEDY

        async def script(peer: Peer) -> None:
            if peer.number > 1 or after == "hello":
                await asyncio.sleep(0.05)  # So that its last word is heard, and nothing else.
                return
            await peer.hear()
            if after == "install":
                await peer.say(say.Checked({}))
                await peer.hear()
            if after == "the cell":
                await peer.say(say.Checked({"numpy": "1.0"}))
                await peer.hear_cell()

        with pytest.raises(
            HostFailed, match=r"hangs up again and again|has not answered"
        ) as caught:
            meet(greeted(script), cell, patience=2)
        assert caught.value.hint

    def test_a_line_that_brings_something_is_kept(self) -> None:
        """However often it breaks: a line on which the cell goes on is not given up."""

        async def script(peer: Peer) -> None:
            if peer.number == 1:
                await peer.hear_cell()
            await peer.say(say.Stream("stdout", f"{peer.number}\n"))
            if peer.number < 12:
                await asyncio.sleep(0.02)
                peer.line.transport.abort()
                return
            await peer.say(say.Reply("ok", 0.1))
            await peer.stay()

        events: list[Event] = []
        runner = Runner(greeted(script))
        meet(runner, events=events)
        text = "".join(each.message.text for each in events if isinstance(each, Said))  # type: ignore[union-attr]
        assert runner.connections == 12
        # A frame that was on its way when the line was torn is for the runner to send again.
        assert text.endswith("12\n")

    @pytest.mark.parametrize(
        "location", ["http://[x", "mailto:x", "http://", "ws://127.0.0.1:1/", "/again", ""]
    )
    def test_redirects_lead_nowhere(self, location: str) -> None:
        """Whoever sends the client elsewhere is no runner, and does not stop it for good."""

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(
                f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
            )
            await writer.drain()
            writer.close()

        async def story() -> None:
            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            async with server, Link(url, seal.Key(), b"", "job", first=0.2) as link:
                await link.receive()

        with pytest.raises(HostFailed, match="has not answered"):
            run(story, within=10)


class TestSilence:
    """A runner that is there and says nothing is given up while no cell runs."""

    def test_after_the_handshake(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever opens a line and then confirms nothing has not answered."""
        monkeypatch.setattr(link_module, "FIRST", 0.1)

        async def script(peer: Peer) -> None:
            await peer.shake()
            await say_nothing(peer)

        with pytest.raises(HostFailed, match="has not answered"):
            meet(script, patience=0.3)

    def test_in_place_of_hello(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever confirms and does not say what it is, is given up."""
        monkeypatch.setattr(conversation, "GREETING", 0.2)

        async def script(peer: Peer) -> None:
            await peer.shake()
            await peer.acknowledge()
            await say_nothing(peer)

        with pytest.raises(HostFailed, match="does not say what it is"):
            meet(script)

    def test_in_place_of_versions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """So is who does not say what it has."""
        monkeypatch.setattr(installing, "CHECKING", 0.2)

        with pytest.raises(HostFailed, match="which packages it has"):
            meet(greeted(say_nothing), NEEDY)

    def test_an_image_may_take_its_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The time for hello begins when there is a line, not when it is looked for."""
        monkeypatch.setattr(conversation, "GREETING", 0.2)

        async def script(peer: Peer) -> None:
            if peer.number < 8:
                return  # The tunnel answers; the container is not there yet.
            await peer.shake()
            await peer.say(HELLO)
            await peer.hear_cell()
            await peer.say(say.Reply("ok", 0.1))
            await peer.stay()

        assert meet(script).status == "ok"


class TestTooMuch:
    def test_a_line_is_left_while_it_speaks(self) -> None:
        """Whoever gives a cell up is out at once, however much the runner says meanwhile."""

        async def script(peer: Peer) -> None:
            await peer.hear_cell()
            while True:
                await peer.say(say.Stream("stdout", "y" * 1000))

        async def story() -> None:
            for pause in (0.0, 0.01, 0.1, 0.2):
                heard: list[Event] = []
                async with linked(greeted(script)) as link:
                    await conversation.greet(link)
                    cell = asyncio.create_task(conversation.execute(link, load(), heard.append))
                    while not heard:
                        await asyncio.sleep(0.005)
                    await asyncio.sleep(pause)
                    cell.cancel()
                    began = time.monotonic()
                assert time.monotonic() - began < 3

        run(story, within=30)

    def test_nothing_piles_up(self) -> None:
        """Where nobody takes what the runner says, the runner waits, and the memory is ours."""
        said = 0

        async def script(peer: Peer) -> None:
            nonlocal said
            await peer.hear_cell()
            while True:
                await peer.say(say.Stream("stdout", "y" * 1000))
                said += 1

        async def story() -> None:
            room = asyncio.Event()
            room.set()
            runner = Runner(greeted(script))
            async with linked(runner, room=room) as link:
                await conversation.greet(link)
                heard: list[Event] = []

                def take(event: Event) -> None:
                    heard.append(event)
                    if len(heard) == 10:
                        room.clear()

                cell = asyncio.create_task(conversation.execute(link, load(), take))
                before = -1
                while before != said or not said:
                    before = said
                    await asyncio.sleep(0.3)
                assert len(heard) == 10
                assert len(link._inbox._items) <= inbox.MOST
                room.set()
                while len(heard) < 1000:
                    await asyncio.sleep(0.01)
                cell.cancel()

        run(story, within=20)

    @pytest.mark.parametrize(
        "chunk",
        [
            say.Chunk(0, 3 << 30, 0, b"x"),
            say.Chunk(0, 1 << 62, 0, b"x"),
            say.Chunk(0, -5, 0, b"x"),
            say.Chunk(0, 5, 3, b"x"),
            say.Chunk(7, 5, 0, b"x"),
            say.Chunk(0, 5, 0, b"xxxxxxxxx"),
        ],
    )
    def test_announcements(self, chunk: say.Chunk) -> None:
        """Three gigabytes that are announced cost no memory, and are refused as they are."""
        with pytest.raises(RemoteProtocolError, match=r"more comes|out of place|wrong size"):
            meet(answering(chunk))


class TestReplies:
    @pytest.mark.parametrize(
        ("reply", "said"),
        [
            (say.Reply("ok", 0.1, values={"y": 1}), "nobody asked for: .'y'"),
            (say.Reply("ok", 0.1, handles={"y": HANDLE}), "nobody asked for: .'y'"),
            (say.Reply("ok", 0.1, values={"x": ["pickle", b"cos\nsystem\n"]}), "unknown tag"),
            (say.Reply("ok", 0.1, values={"x": ["same", "x"]}), "unknown tag"),
            (say.Reply("ok", 0.1, values={"x": ["same", "gone"]}), "unknown tag"),
            (say.Reply("ok", 0.1, values={"x": {"a": 1}}), "without a tag"),
            (say.Reply("ok", 0.1, values={"x": ["array", "|O", [2], b"ab"]}), "."),
            (say.Reply("ok", 0.1, values={"x": ["buffer", 0]}), "unknown tag"),
            (say.Reply("ok", 0.1, buffers=2), "2 buffers are due and 0 have come"),
            (say.Reply("ok", 0.1, buffers=-1), "-1 buffers are due"),
        ],
    )
    def test_values_that_are_not_ours(self, reply: say.Reply, said: str) -> None:
        """Names nobody asked for and values that are not plain data are refused."""
        with pytest.raises(RemoteProtocolError, match=said):
            meet(answering(reply))

    @pytest.mark.parametrize(
        ("early", "said"),
        [
            (say.Early({"y": say.Value(raw(1))}, {}), "nobody asked for: .'y'"),
            (say.Early({}, {"y": "is a lock"}), "nobody asked for: .'y'"),
            (say.Early({"x": say.Value(raw(["pickle", b"cos"]))}, {}), "unknown tag"),
            (say.Early({"x": say.Value(raw({"a": 1}))}, {}), "without a tag"),
            (say.Early({"x": say.Value(raw(["buffer", 0]))}, {}), "unknown tag"),
            (say.Early({"x": say.Value(raw(1), 2)}, {}), "2 buffers are due and 0 have come"),
            (say.Early({"x": say.Value(raw(1), -1)}, {}), "less than no buffers"),
        ],
    )
    def test_early_values_that_are_not_ours(self, early: say.Early, said: str) -> None:
        """What comes before the reply is looked at as what comes with it."""
        with pytest.raises(RemoteProtocolError, match=said):
            meet(answering(early, say.Reply("ok", 0.1)))

    @pytest.mark.parametrize("depth", [250, 20_000])
    def test_a_deep_value(self, depth: int) -> None:
        """A value that is too deep to be read is no way to break the reader."""
        plain = encode(Frame(2, 0, say.Reply("ok", 0.1, values={"x": 7})))
        deep = plain.replace(b"\xa1x\x07", b"\xa1x" + b"\x92\xa4list\x91" * depth + b"\x07")

        async def script(peer: Peer) -> None:
            await peer.hear_cell()
            await peer.octets(deep)
            await say_nothing(peer)

        with pytest.raises(RemoteProtocolError, match=r"too deep|unreadable message"):
            meet(greeted(script))

    def test_a_frame_that_is_too_long(self) -> None:
        """A frame that is not taken in ends the conversation: it would come again for ever."""

        async def script(peer: Peer) -> None:
            await peer.octets(bytes(FRAME + 1))
            await say_nothing(peer)

        with pytest.raises(RemoteProtocolError, match="a frame is too long"):
            meet(greeted(script))

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, -3.0, 1e300])
    def test_measures_are_measures(self, number: float) -> None:
        """A time or a memory that nobody can have measured is not taken for one."""
        ended = meet(answering(say.Reply("ok", number, peak_memory=number)))

        assert (ended.seconds, ended.peak_memory) == (0.0, 0.0)
        assert meet(answering(say.Reply("ok", 1.5, peak_memory=0.25))).seconds == 1.5

    def test_outputs_pass_in_order(self) -> None:
        """All that a cell says is passed on as it was said."""
        outputs = [each for each in SPOKEN if isinstance(each, say.Output)]
        events: list[Event] = []
        ended = meet(answering(*outputs, say.Reply("error", 0.5, handles={"x": HANDLE})),
                     events=events)  # fmt: skip

        assert outputs_of(events) == [Said(each) for each in outputs]
        assert (ended.status, ended.handles, ended.values) == ("error", {"x": HANDLE}, {})


class TestPython:
    def test_a_mismatch_is_one_table(self) -> None:
        """Two Pythons that cannot share functions are told before anything is sent."""
        runner = Runner(after_hello(say_nothing, msgspec.structs.replace(HELLO, python="3.99.1")))
        cell = load(has_code=("helper", "Model"), buffers=[memoryview(b"data")])
        with pytest.raises(VersionMismatch) as caught:
            meet(runner, cell)

        here = sys.version.split()[0]
        lines = str(caught.value).splitlines()
        assert lines[2:5] == [
            f"{'':14}  {'here':<7}  on the host".rstrip(),
            f"{'Python':14}  {here:<7}  3.99.1",
            f"{'implementation':14}  {'cpython':<7}  cpython",
        ]
        assert lines[-1] == "They are: helper, Model"
        assert "--image" in caught.value.hint
        assert runner.heard == []

    def test_without_functions_it_does_not_matter(self) -> None:
        """Plain data and the source of a cell run on any Python."""

        async def script(peer: Peer) -> None:
            await peer.hear_cell()
            await peer.say(say.Reply("ok", 0.1))
            await peer.stay()

        hello = msgspec.structs.replace(HELLO, python="3.99.1", implementation="pypy")
        assert meet(after_hello(script, hello)).status == "ok"

    @pytest.mark.parametrize(
        "python", ["", "3.²", "3." + "1" * 5000, "٣.١١", "3", "x.y", "3.11\n\x1b[2Jfree", "3.1"]
    )
    def test_versions_that_are_none(self, python: str) -> None:
        """A host may call its Python what it likes: it is another one, told in few words."""
        with pytest.raises(VersionMismatch) as caught:
            conversation.check_python(msgspec.structs.replace(HELLO, python=python), ["f"])
        assert len(str(caught.value)) < 400
        assert "\x1b" not in str(caught.value)

    def test_the_last_number_may_differ(self) -> None:
        """Bytecode is of a minor version: another patch of it will do."""
        ours = f"{sys.version_info.major}.{sys.version_info.minor}"
        for python in (f"{ours}.99", f"{ours}.0rc1", f"{ours}"):
            conversation.check_python(msgspec.structs.replace(HELLO, python=python), ["f"])


def having(versions: dict[str, str | None], *, ok: bool = True, log: str = "") -> Script:
    """Be a runner that has these packages."""

    async def script(peer: Peer) -> None:
        while not isinstance(heard := await peer.hear(), say.Execute):
            if isinstance(heard, say.Check):
                await peer.say(say.Checked({each: versions.get(each) for each in
                                            heard.distributions}))  # fmt: skip
            elif isinstance(heard, say.Install):
                await peer.say(say.Installed(ok, log))
        await peer.say(say.Reply("ok", 0.1))
        await peer.stay()

    return greeted(script)


class TestPackages:
    def compare(
        self, versions: dict[str, str | None], **needs: Any
    ) -> tuple[list[say.AnyMessage], str]:
        """Return what was asked of a runner that has these, and what the user was told."""
        events: list[Event] = []
        runner = Runner(having(versions))
        meet(runner, load(**needs), events=events)
        asked = [each for each in runner.heard if isinstance(each, say.Check | say.Install)]
        told = [each.message.text for each in events if isinstance(each, Said)]  # type: ignore[union-attr]
        return asked, "".join(told)

    def test_nothing_needed_is_nothing_asked(self) -> None:
        """A cell without packages asks nothing."""
        assert self.compare({}) == ([], "")

    def test_what_is_there_is_left_alone(self) -> None:
        """Equal versions are not worth a word, and nothing is installed."""
        asked, told = self.compare(
            {"numpy": "2.0", "any": "1"}, packages=[("numpy", "2.0"), ("any", "")]
        )
        assert asked == [say.Check(["numpy", "any"])]
        assert told == ""

    def test_differences_are_told(self) -> None:
        """Other versions are used as they are, and told as one table."""
        asked, told = self.compare(
            {"numpy": "2.0", "scikit-learn": "1.5.2"},
            packages=[("numpy", "1.26.4"), ("scikit-learn", "1.5.2")],
        )
        assert asked == [say.Check(["numpy", "scikit-learn"])]
        assert told == (
            "Versions differ on the host:\n"
            "package  here    on the host\n"
            "numpy    1.26.4  2.0\n"
        )  # fmt: skip

    def test_what_is_missing_is_installed(self) -> None:
        """Only what the host lacks, in the versions used here."""
        asked, told = self.compare(
            {"numpy": "2.0"},
            packages=[("numpy", "2.0"), ("tqdm", "4.66"), ("own", "")],
            extras=["einops>=0.8"],
        )
        assert asked[1] == say.Install(["tqdm==4.66", "own", "einops>=0.8"])
        assert told == ""

    def test_what_the_user_names_counts(self) -> None:
        """A requirement of the user's takes the place of the version used here."""
        asked, _ = self.compare(
            {}, packages=[("Scikit_Learn", "1.5.2"), ("numpy", "2.0")], extras=["scikit-learn<1.5"]
        )
        check, install = asked
        assert check == say.Check(["numpy", "scikit-learn"])
        assert isinstance(install, say.Install)
        assert install.requirements == ["numpy==2.0", "scikit-learn<1.5"]
        assert not [pin for pin in install.pins if pin.startswith("numpy==")]

    def test_a_failed_installation_tells_why(self) -> None:
        """The line that tells why is the error; the whole log folds below the cell."""
        log = "begin" + "x" * 5000 + "\nERROR: No matching distribution found for <b>numpy</b>\nend"
        script, events = having({}, ok=False, log=log), []
        with pytest.raises(CellError, match=r"numpy==1\.0 cannot be installed") as caught:
            meet(script, NEEDY, events=events)

        assert str(caught.value).endswith("No matching distribution found for <b>numpy</b>")
        assert "begin" not in str(caught.value)
        assert "--image" in caught.value.hint
        (shown,) = [each.message for each in events if isinstance(each, Said)]
        assert isinstance(shown, say.DisplayData)
        assert "begin" in shown.data["text/html"]
        assert "<b>" not in shown.data["text/html"]
        assert shown.data["text/plain"].endswith("end")


class TestUpload:
    def test_little_data_is_not_worth_a_word(self) -> None:
        """What is sent in a moment is sent without telling."""
        events: list[Event] = []
        meet(answering(say.Reply("ok", 0.1)), load(buffers=[memoryview(bytes(1_000_000))]),
             events=events)  # fmt: skip
        assert not [each for each in events if isinstance(each, Waiting) and each.text]

    def test_a_runner_that_takes_nothing_is_sent_little(self) -> None:
        """Without confirmations only a window is sent; the rest waits here."""

        async def script(peer: Peer) -> None:
            while True:
                await peer.hear(confirm=False)

        runner = Runner(greeted(script))

        async def story() -> None:
            async with linked(runner) as link:
                await conversation.greet(link)
                data = [memoryview(bytes(1)) for _ in range(200)]
                sending = asyncio.create_task(transfer.upload(link, data, lambda _: None))
                deadline = time.monotonic() + 10
                while runner.chunks() < link_module.WINDOW:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.2)
                assert runner.chunks() == link_module.WINDOW
                assert not sending.done()
                sending.cancel()

        run(story)

    def test_whoever_waits_to_send_hears_of_the_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A line that is lost while the window is full ends the upload."""
        monkeypatch.setattr(patience, "HOLLOW", 3)

        async def script(peer: Peer) -> None:
            if peer.number == 1:
                for _ in range(link_module.WINDOW):
                    await peer.hear(confirm=False)
            peer.runner.received = 0
            await asyncio.sleep(0.02)

        data = [memoryview(bytes(1)) for _ in range(200)]
        with pytest.raises(HostFailed):
            meet(greeted(script), load(buffers=data), patience=1)


# A real runner, with an index that is a folder.


def wheel(folder: Path, name: str, version: str) -> None:
    """Write the smallest wheel there is."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = '{version}'\n")
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        archive.writestr(f"{info}/METADATA", head)
        archive.writestr(f"{info}/WHEEL", tags)
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")


Start = Callable[[], Awaitable[Link]]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[], tuple[str, seal.Key]]]:
    """Start real runners of one host, one after the other; give their addresses."""
    index = tmp_path / "wheels"
    wheel(index, "nosana_test_there", "1.0")
    started: list[subprocess.Popen[bytes]] = []

    def start() -> tuple[str, seal.Key]:
        key = seal.Key()
        definition = launch.cell_definition(image="x", client_key=key.public, token=b"t" * 32)
        operation = definition.ops[0]
        assert isinstance(operation, RunOperation)
        assert isinstance(operation.args.cmd, list)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "TMPDIR": str(tmp_path),
            "UV_FIND_LINKS": str(index),
            "UV_NO_INDEX": "1",
            "UV_OFFLINE": "1",
            "PIP_FIND_LINKS": str(index),
            "PIP_NO_INDEX": "1",
            launch.JOB: "job",
            launch.port_variable(launch.PORT): str(port),
            launch.NOT_ISOLATED: "1",
            launch.CACHE: str(tmp_path / "cache"),
        }
        started.append(
            subprocess.Popen(
                [sys.executable, *operation.args.cmd],
                env=environment | (operation.args.env or {}),
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
        return f"ws://127.0.0.1:{port}/", key

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def test_a_missing_package_comes_from_an_index_once(
    begin: Callable[[], tuple[str, seal.Key]], tmp_path: Path
) -> None:
    """
    What is missing goes into the host's cache, never into an environment that is in use.

    The next cell of the session finds it; the next job of the host need not install it again; and
    what cannot be installed says why.
    """
    installed = {each.name for each in Path(sysconfig.get_path("purelib")).iterdir()}
    there = load("import nosana_test_there as t\nx = (t.VERSION, t.__file__)",
                 extras=["nosana-test-there==1.0"])  # fmt: skip

    async def cell(link: Link, what: Load) -> tuple[Ended, list[Event]]:
        events: list[Event] = []
        await Environment(link).prepare(what, events.append)
        return await conversation.execute(link, what, events.append), events

    async def story() -> None:
        url, key = begin()
        async with Link(url, key, b"t" * 32, "job", patience=20) as link:
            await conversation.greet(link)
            ended, events = await cell(link, there)
            assert Waiting(f"{INSTALLING}: nosana-test-there==1.0") in events
            assert not [each for each in events if isinstance(each, Said)]
            version, file = ended.values["x"]
            assert version == "1.0"
            assert Path(file).is_relative_to(tmp_path / "cache")

            _, events = await cell(link, there)
            assert not [each for each in events if INSTALLING in getattr(each, "text", "")]

            with pytest.raises(CellError, match="nosana-test-nowhere==9 cannot be") as caught:
                await cell(link, load(packages=[("nosana-test-nowhere", "9")]))
            assert "nosana-test-nowhere" in str(caught.value).partition(": ")[2]
            await link.goodbye()

        url, key = begin()
        async with Link(url, key, b"t" * 32, "job", patience=20) as link:
            await conversation.greet(link)
            ended, events = await cell(link, there)
            assert isinstance(events[0], Waiting)
            assert not [each for each in events if isinstance(each, Said)]
            assert ended.values["x"] == (version, file)
            await link.goodbye()

    run(story, within=60)
    assert {each.name for each in Path(sysconfig.get_path("purelib")).iterdir()} == installed
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("nosana-test-there")


def test_tables_are_columns() -> None:
    """Each column is as wide as its widest word, and no line ends in spaces."""
    rows = [("a", "bb", ""), ("aaaa", "b", "c")]
    assert table(rows) == "a     bb\naaaa  b   c"
    assert list(split([])) == []
    assert issubclass(RemoteProtocolError, ProtocolError)
