"""What a message holds is counted before it is made, and what waits is weighed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.line import bounds
from nosana_jupyter.line.inbox import HEAVIEST, Inbox
from nosana_jupyter.wire import envelope
from nosana_jupyter.wire import messages as say


def count(found: Any) -> int:
    if isinstance(found, dict):
        return 1 + sum(count(key) + count(value) for key, value in found.items())
    return 1 + sum(map(count, found)) if isinstance(found, list) else 1


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats()
    | st.text(max_size=40) | st.binary(max_size=300) | st.text(min_size=250, max_size=300),
    lambda inner: st.lists(inner, max_size=20)
    | st.dictionaries(st.text(max_size=9), inner, max_size=20),
    max_leaves=40,
)  # fmt: skip


@settings(max_examples=60)
@given(TREES)
def test_each_is_counted_once(tree: Any) -> None:
    """Whatever there is of it: numbers, texts, bytes, lists and maps of every size."""
    assert bounds.items(msgspec.msgpack.encode(tree), most=1 << 40) == count(tree)


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_any_bytes_have_an_end(data: bytes) -> None:
    """Bytes of nobody are no more than so many items."""
    assert bounds.items(data, most=1 << 40) <= len(data)


def test_what_runners_send() -> None:
    """Long texts, and lists of numbers that a value may hold, are no bombs."""
    numbers = [[float(number), "ab", number] for number in range(100_000)]
    for message in (
        say.Stream("stdout", "é" * (4 << 20)),
        say.DisplayData({"text/html": "\x90" * (8 << 20)}),
        say.Reply("ok", 1.0, values={"x": ["list", numbers], "y": ["list", [0.5] * 3_000_000]}),
    ):
        assert bounds.join(envelope.pack(message)) == message


BOMB = """
import resource, sys
from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.line import bounds, link
from nosana_jupyter.wire import envelope, messages as say
from nosana_jupyter.wire.session import Role, Session, State

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
kind, byte = sys.argv[1], bytes.fromhex(sys.argv[2])
size = 160_000_000
session = Session(Role.CLIENT)
session.join = bounds.join
session.state = State.BUSY
head = bytes([0x82]) + b"\\xa4type" + bytes([0xa0 + len(kind)]) + kind.encode()
head += {"Reply": b"\\xa6values", "DisplayData": b"\\xa4data"}[kind]
head += b"\\x81\\xa1x\\xdd" + (size // len(byte)).to_bytes(4, "big")
data = memoryview(head + byte * (size // len(byte)))
before, number = peak(), 0
try:
    for start in range(0, len(data), 1 << 18):
        number += 1
        piece = say.Part(bytes(data[start:start + (1 << 18)]), start + (1 << 18) >= len(data))
        session.receive(envelope.encode(envelope.Frame(number, 0, piece)))
except RemoteProtocolError as error:
    print(peak() - before, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="its peak is not told")
@pytest.mark.parametrize(("kind", "byte"), [("Reply", "90"), ("DisplayData", "80")])
def test_a_bomb_of_lists(kind: str, byte: str) -> None:
    """160 MB that stand for 10 GB of empty lists or maps take their own size, and an error."""
    done = subprocess.run(
        [sys.executable, "-c", BOMB, kind, byte], text=True, capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    grown, _, why = done.stdout.partition(" ")
    assert "holds more than" in why
    assert int(grown) < 500 << 20


def test_early_values_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that comes before the end of its cell is encoded for itself."""
    from nosana_jupyter.line import hearing

    monkeypatch.setattr(bounds, "MOST_VALUES", 100)
    raw = say.Value(msgspec.Raw(msgspec.msgpack.encode(["list", [[]] * 200])))
    with pytest.raises(RemoteProtocolError, match="more than 100 items"):
        hearing._given(say.Early({"x": raw}, {}), hearing.Assembly(limit=0), ["x"])


def test_what_waits_is_weighed() -> None:
    """Few heavy messages wait, and not as many as of light ones; none is lost, nor its order."""

    async def story() -> None:
        inbox = Inbox()
        heavy = say.DisplayData({})
        await inbox.put(heavy, HEAVIEST)
        filling = asyncio.create_task(inbox.put(say.ClearOutput(), 10))
        await asyncio.sleep(0.01)
        assert not filling.done()
        assert await inbox.get() is heavy
        await filling
        inbox.put_back(heavy)
        assert [await inbox.get(), await inbox.get()] == [heavy, say.ClearOutput()]
        assert inbox._weight == 0

        async def fill() -> None:
            for number in range(1000):
                await inbox.put(say.At(number), 20)

        task = asyncio.create_task(fill())
        await asyncio.sleep(0.01)
        assert not task.done()
        assert [await inbox.get() for _ in range(1000)] == [say.At(n) for n in range(1000)]

    asyncio.run(story())
