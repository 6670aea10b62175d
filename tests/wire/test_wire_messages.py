"""Messages and buffers on the line."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.wire.chunks import Assembly, split
from nosana_jupyter.wire.envelope import Frame, decode, encode
from nosana_jupyter.wire.messages import CHUNK, AnyMessage, Chunk


def test_messages_survive_the_line(messages: dict[type[Any], AnyMessage]) -> None:
    """Every kind of message reads back as written."""
    for number, message in enumerate(messages.values()):
        assert decode(encode(Frame(number, 7, message))) == Frame(number, 7, message)


def test_unknown_kinds_are_refused() -> None:
    """A message that this version does not know ends the conversation."""
    with pytest.raises(RemoteProtocolError):
        decode(msgspec.msgpack.encode([1, 0, {"type": "Reboot"}]))


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_buffers_survive_chunks(buffers: list[bytes]) -> None:
    """Buffers come out as they went in, empty ones too, in memory that can be written."""
    assembly = Assembly(limit=10_000)
    for chunk in split(buffers):
        assembly.add(chunk)

    taken = assembly.take(len(buffers))
    assert taken == buffers
    assert not any(buffer.readonly for buffer in taken)


def test_long_buffers_are_cut() -> None:
    """No chunk is longer than the limit, and nothing is copied to cut."""
    data = bytearray(b"ab" * CHUNK + b"c")
    chunks = list(split([data, b"x"]))

    assert [len(chunk.data) for chunk in chunks] == [CHUNK, CHUNK, 1, 1]
    assert all(isinstance(chunk.data, memoryview) for chunk in chunks)
    assembly = Assembly(limit=10 * CHUNK)
    for chunk in chunks:
        assembly.add(chunk)
    assert assembly.take(2) == [data, b"x"]


@settings(max_examples=200)
@example([Chunk(-1, 0, 0, b"")])
@given(
    st.lists(
        st.builds(
            Chunk,
            st.integers(-1, 3),
            st.integers(-5, 100),
            st.integers(-5, 100),
            st.binary(max_size=9),
        ),
        max_size=6,
    )
)
def test_chunks_of_a_stranger(chunks: list[Chunk]) -> None:
    """Chunks out of place are refused, and never take more memory than what came."""
    assembly = Assembly(limit=50)
    try:
        for chunk in chunks:
            assembly.add(chunk)
        assembly.take(len(chunks))
    except RemoteProtocolError:
        pass
    assert assembly.bytes <= sum(len(chunk.data) for chunk in chunks)
    assert assembly.bytes <= 50


def test_a_claimed_size_takes_no_memory() -> None:
    """A buffer over the limit is refused before it is there, one within it grows as it comes."""
    with pytest.raises(RemoteProtocolError, match="more comes"):
        Assembly(limit=100).add(Chunk(0, 1 << 60, 0, b"x"))
    with pytest.raises(RemoteProtocolError, match="wrong size"):
        Assembly(limit=1 << 62).add(Chunk(0, 1 << 60, 0, b"x"))
