"""
Runners that mean harm, at the end of a real line.

Whatever they send, nothing runs, no file appears outside the folder that was asked for, and the
cell ends with an error that has a name.
"""

from __future__ import annotations

import math
import sys
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from strange_runner import HELLO, Peer, Runner, after_hello, linked, load, run

from nosana_jupyter.errors import HostFailed, NosanaError, RemoteProtocolError, Unsealed
from nosana_jupyter.events import Event
from nosana_jupyter.line import conversation
from nosana_jupyter.line.hearing import Ended
from nosana_jupyter.portal import cellrun
from nosana_jupyter.travel.landing import Wanted
from nosana_jupyter.wire import messages as say
from nosana_jupyter.wire import seal
from nosana_jupyter.wire.envelope import Frame, encode

Says = Callable[[Peer], Awaitable[None]]

CODE = b"cos\nsystem\n(S'touch ran'\ntR."
"""A pickle that leaves a file behind."""

DONE = say.Reply("ok", 0.1)
BLANKS = zlib.compress(bytes(64 << 20))


def words(*messages: say.AnyMessage) -> Says:
    """Say messages once the cell is there."""

    async def says(peer: Peer) -> None:
        await peer.say(*messages)

    return says


def value(tree: object) -> say.Value:
    return say.Value(msgspec.Raw(msgspec.msgpack.encode(tree)))


def file(path: str, count: int = 1) -> Says:
    """Send files of one name."""
    chunks = [say.Chunk(number, 4, 0, b"evil") for number in range(count)]
    files = [say.File(path, number) for number in range(count)]
    return words(*chunks, say.Reply("ok", 0.1, files=files, buffers=count))


def sealed(peer: Peer, text: str) -> bytes:
    """Return a good frame, sealed as it should be."""
    assert peer.channel is not None
    peer.runner.sent += 1
    plain = Frame(peer.runner.sent, peer.runner.received, say.Stream("stdout", text))
    return peer.channel.seal(encode(plain))


async def replays(peer: Peer) -> None:
    """Send a frame twice."""
    data = sealed(peer, "a")
    await peer.line.send(data)
    await peer.line.send(data)


async def reorders(peer: Peer) -> None:
    """Send the second frame first."""
    first, second = sealed(peer, "a"), sealed(peer, "b")
    await peer.line.send(second)
    await peer.line.send(first)


async def cuts(peer: Peer) -> None:
    """Send a part of a frame."""
    await peer.line.send(sealed(peer, "a")[:-5])


async def cuts_inside(peer: Peer) -> None:
    """Seal a part of a message."""
    peer.runner.sent += 1
    await peer.octets(encode(Frame(peer.runner.sent, 0, DONE))[:-5])


async def skips(peer: Peer) -> None:
    """Leave a message out."""
    await peer.frame(peer.runner.sent + 2, peer.runner.received, DONE)


SEALED: dict[str, tuple[Says, str]] = {
    "pickle": (words(say.Reply("ok", 1, values={"x": ["pickle", CODE]})), "unknown tag"),
    "pickle as an array": (
        words(say.Reply("ok", 1, values={"x": ["array", "|O", [1], False, CODE]})), "."
    ),
    "pickle that comes early": (words(say.Early({"x": value(["pickle", CODE])}, {})), "unknown"),
    "early value twice": (
        words(say.Early({"x": value(1)}, {}), say.Early({}, {"x": "is gone"})), "gives .'x'. twice"
    ),
    "early value of another name": (words(say.Early({"print": value(1)}, {})), "nobody asked"),
    "value of another name": (words(say.Reply("ok", 1, values={"print": 1})), "nobody asked"),
    "size that lies": (words(say.Chunk(0, 1 << 60, 0, b"x")), "more comes"),
    "chunk bomb": (words(say.Chunk(0, 1 << 26, 0, BLANKS, "zlib")), "longer than it may be"),
    "chunk of noise": (words(say.Chunk(0, 10, 0, b"noise", "zlib")), "cannot be unpacked"),
    "buffers nobody sent": (words(say.Reply("ok", 1, buffers=3)), "3 buffers are due"),
    "frame cut within its seal": (cuts_inside, "unreadable message"),
    "frame left out": (skips, "."),
    "climbing path": (file("../evil"), "sends a file"),
    "climbing path within": (file("out/../../evil"), "sends a file"),
    "absolute path": (file("/tmp/evil"), "sends a file"),
    "path with NUL": (file("out/a\x00b"), "sends a file"),
    "path nobody asked for": (file("other/evil"), "nobody asked for it"),
    "path twice": (file("out/a", 2), "a file twice"),
    "cell for us to run": (words(say.Execute("1", 1, b"", 0, [])), "Execute"),
}  # fmt: skip
"""What only who holds the keys can have said."""

UNSEALED: dict[str, Says] = {"replayed": replays, "reordered": reorders, "cut": cuts}
"""What anybody on the way can do."""


def meet(says: Says, *, runner: Runner | None = None, here: Path) -> Ended:
    """Take a cell to a runner that says these words to it; what went wrong is raised."""

    async def script(peer: Peer) -> None:
        if peer.number == 1:
            await peer.hear_cell()
        await says(peer)
        await peer.stay()

    whole = after_hello(script)
    if runner is None:
        runner = Runner(whole)
    runner.script = whole
    wanted = Wanted(["out/*"], here)

    async def story() -> Ended:
        async with linked(runner, patience=1) as link:
            await conversation.greet(link)
            return await conversation.execute(link, load(gets=wanted), list[Event]().append)

    ended = run(story)
    assert isinstance(ended, Ended)
    return ended


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a notebook, with others around it."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def files(folder: Path) -> list[Path]:
    return [each for each in folder.parents[1].rglob("*") if not each.is_dir()]


@pytest.mark.parametrize("row", SEALED)
def test_who_lies_is_named(row: str, here: Path) -> None:
    """The error is one of broken rules, and nothing is written or has run."""
    says, why = SEALED[row]
    modules = set(sys.modules)
    with pytest.raises(RemoteProtocolError, match=why) as caught:
        meet(says, here=here)

    assert not isinstance(caught.value, Unsealed)
    assert files(here) == []
    assert {each for each in set(sys.modules) - modules if "evil" in each} == set()


@pytest.mark.parametrize("row", UNSEALED)
def test_who_is_on_the_way_is_not_the_runner(row: str, here: Path) -> None:
    """A frame that does not open is nobody's word: the line is made anew, and given up in time."""
    with pytest.raises(NosanaError) as caught:
        meet(UNSEALED[row], here=here)

    assert isinstance(caught.value, HostFailed | Unsealed)
    assert files(here) == []


@pytest.mark.parametrize("wrong", ["job", "token", "key"])
def test_frames_of_another_job(wrong: str, here: Path) -> None:
    """A runner of another job, or without its keys, is not heard at all."""

    async def nothing(_: Peer) -> None:
        pass

    runner = Runner(nothing)
    if wrong == "job":
        runner.job = "AnotherJob"
    if wrong == "token":
        runner.token = b"u" * 32

    async def script(peer: Peer) -> None:
        if wrong == "key":
            runner.client = seal.Key().public
        await after_hello(lambda peer: peer.say(DONE))(peer)

    runner.script = script

    async def story() -> None:
        async with linked(runner, patience=1) as link:
            await conversation.greet(link)

    with pytest.raises(NosanaError) as caught:
        run(story)
    assert isinstance(caught.value, HostFailed | Unsealed)
    assert files(here) == []


def test_a_link_in_the_folder_is_not_followed(here: Path) -> None:
    """What was asked for does not land behind a link that somebody has put there."""
    outside = here.parents[1] / "outside"
    outside.mkdir()
    (here / "out").symlink_to(outside)
    ended = meet(file("out/a"), here=here)

    assert [path for path, _ in ended.landed.left] == ["out/a"]
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, -1.0, 1e308])
def test_a_machine_that_cannot_be(number: float) -> None:
    """Whatever a runner says it has: files fit there or do not, and nothing else goes wrong."""
    hello = msgspec.structs.replace(HELLO, disk=number, memory=number, cpus=1 << 63)
    sent = load(buffers=[memoryview(b"data")], files=[say.File("a", 0)])
    with pytest.raises(HostFailed, match=r"0 B of disk|of memory"):
        conversation.check_room(hello, sent)


def test_events_weigh_what_they_hold() -> None:
    """Wherever in a message a host puts its gigabyte, it counts, and so the host has to wait."""
    from nosana_jupyter.events import Asked, Relayed, Said, Waiting

    text = "y" * 100_000
    nested: dict[str, Any] = {"application/json": {"a": [{"b": text}]}}
    many: dict[str, Any] = {"application/json": [[]] * 100_000}
    told: list[Event] = [
        Said(say.DisplayData(nested)), Said(say.DisplayData(many)),
        Said(say.DisplayData({text: 1})),
        Said(say.DisplayData({}, {"image/png": text})), Said(say.DisplayData({}, {}, nested)),
        Said(say.Error("E", text, [])), Said(say.Error("E", "", [text])), Waiting(text),
        Asked(say.InputRequest(1, text), lambda _: None),
        Relayed(say.CommMessage("c", nested), lambda _: None),
        Relayed(say.CommMessage("c", {}, {}, [text.encode()]), lambda _: None),
        Relayed(say.CommOutput("c", say.Stream("stdout", text), captured=True), lambda _: None),
    ]  # fmt: skip

    assert [each for each in told if cellrun.weight(each) < 100_000] == []
