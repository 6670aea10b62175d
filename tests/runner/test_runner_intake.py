"""What comes in for cells: it comes once, and cells do not share what they may change."""

from __future__ import annotations

import random
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nosana_jupyter.errors import RemoteProtocolError
from nosana_jupyter.runner.intake import SMALL, Intake
from nosana_jupyter.wire import pieces
from nosana_jupyter.wire.messages import CHUNK, Chunk, Have, Large
from nosana_jupyter.wire.pieces import ID, PIECE, Names

KEY = bytes(range(32))
NAMES = Names(KEY)


def named(*buffers: bytes) -> Have:
    views = [memoryview(each) for each in buffers]
    return Have([Large(len(view), NAMES.ids(view)) for view in views], KEY)


def ship(intake: Intake, *buffers: bytes) -> tuple[list[memoryview], int]:
    """Send buffers as a client does; return what the cell gets, and how many bytes it took."""
    have = named(*buffers)
    sent = 0
    for number, begin, end in pieces.runs(have.buffers, intake.want(have).pieces):
        intake.add(Chunk(number, len(buffers[number]), begin, buffers[number][begin:end]))
        sent += end - begin
    return intake.take(len(buffers)), sent


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def test_what_has_come_does_not_come_again() -> None:
    """The same data costs its ids; a piece that is in it ten times comes once."""
    intake = Intake()
    data = noise(3 * CHUNK + 77)
    first, sent = ship(intake, data, b"", bytes(10 * PIECE))
    again, none = ship(intake, data, b"", bytes(10 * PIECE))

    assert sent == len(data) + PIECE
    assert none == 0
    assert [bytes(each) for each in (*first, *again)] == [data, b"", bytes(10 * PIECE)] * 2


@pytest.mark.parametrize("edit", ["a row more", "one value", "a column more"])
def test_an_edit_costs_what_it_changes(edit: str) -> None:
    """A row at the end or a value sends less than a fiftieth; a new column sends itself."""
    frame = np.random.default_rng(0).random((100, 32_000))
    columns = [each.tobytes() for each in frame]
    whole = frame.tobytes()
    intake = Intake()
    held = [ship(intake, whole)[0], ship(intake, *columns)[0]]
    if edit == "a row more":
        taken, sent = ship(intake, whole + noise(800))
    elif edit == "one value":
        frame[50, 5] = 0
        taken, sent = ship(intake, frame.tobytes())
    else:
        taken, sent = ship(intake, noise(len(columns[0])), *columns)
        assert [bytes(each) for each in taken[1:]] == columns

    assert sent <= 0.02 * len(whole)
    assert len(held) == 2


def test_cells_do_not_share_memory() -> None:
    """What one cell changes in place is as it was for the next, and comes again for it."""
    intake = Intake()
    data = noise(5 << 20)
    (first,), _ = ship(intake, data)
    first[7] ^= 1
    (second,), sent = ship(intake, data)
    second[9] ^= 1
    left, right = ship(intake, data, data)[0]
    left[11] ^= 1

    assert sent == PIECE
    assert right == data
    assert (first[7], first[9]) == (data[7] ^ 1, data[9])
    assert (second[7], second[9]) == (data[7], data[9] ^ 1)


def test_memory_that_no_cell_holds_is_free() -> None:
    """A buffer is known while a cell has it; only a few small ones are held here."""
    intake = Intake()
    taken, _ = ship(intake, noise(2 << 20))
    del taken
    assert ship(intake, noise(2 << 20))[1] == 2 << 20

    count = 2 * SMALL // 1_000_000
    for seed in range(count):
        ship(intake, noise(1_000_000, seed))
    assert sum(kept.size for kept in intake._kept.values()) <= SMALL + 3_000_000
    assert len(intake._places) <= (SMALL + 3_000_000) // PIECE + count


def test_an_upload_that_broke_off_goes_on() -> None:
    """A client that comes anew sends only what is missing."""
    intake = Intake()
    data = noise(2 << 20)
    have = named(data)
    runs = list(pieces.runs(have.buffers, intake.want(have).pieces))
    for number, begin, end in runs[:5]:
        intake.add(Chunk(number, len(data), begin, data[begin:end]))
    intake.renew()
    taken, sent = ship(intake, data)

    assert sent == len(data) - 5 * CHUNK
    assert taken == [data]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_whatever_is_sent_is_what_comes(data: st.DataObject) -> None:
    """Edits here, changes in place there, losses and ends: each cell gets what was sent to it."""
    intake = Intake()
    sizes = st.sampled_from([0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 17 * PIECE + 5])
    arrays = [
        bytearray(noise(data.draw(sizes), n % 2)) for n in range(data.draw(st.integers(1, 4)))
    ]
    held: list[memoryview] = []
    for _ in range(data.draw(st.integers(1, 5))):
        for array in arrays:
            if array and data.draw(st.booleans()):
                array[data.draw(st.integers(0, len(array) - 1))] ^= 255
        for view in held:
            if view and data.draw(st.booleans()):
                view[data.draw(st.integers(0, len(view) - 1))] ^= 255
        if data.draw(st.booleans()):
            held.clear()
        sent = [bytes(each) for each in arrays]
        if data.draw(st.booleans()):
            have = named(*sent)
            for number, begin, end in list(pieces.runs(have.buffers, intake.want(have).pieces))[:2]:
                intake.add(Chunk(number, len(sent[number]), begin, sent[number][begin:end]))
            intake.renew()
        taken, _ = ship(intake, *sent)

        assert [bytes(each) for each in taken] == sent
        assert not any(each.readonly for each in taken)
        held += taken


@settings(deadline=None, max_examples=200)
@example([Have([Large(1 << 60, b"")], KEY)])
@example([Have([Large(1, b"i" * ID)], b"short")])
@given(
    st.lists(
        st.builds(
            Have,
            st.lists(
                st.builds(
                    Large,
                    st.integers(-1, 2 * PIECE),
                    st.integers(0, 3).map(lambda n: b"i" * ID * n),
                ),
                max_size=3,
            ),
            st.just(KEY),
        )
        | st.builds(
            Chunk,
            st.integers(-1, 3),
            st.integers(-1, 2 * PIECE),
            st.sampled_from([-1, 0, 1, PIECE, 2 * PIECE]),
            st.sampled_from([b"", b"x", bytes(PIECE), bytes(PIECE + 1)]),
            st.sampled_from(["", "zlib", "zstd"]),
        )
        | st.integers(-1, 3),
        max_size=8,
    )
)
def test_whatever_is_said(said: list[Have | Chunk | int]) -> None:
    """Sizes that lie, ids that never come and pieces out of place are refused."""
    intake = Intake()
    try:
        for each in said:
            if isinstance(each, Have):
                intake.want(each)
            elif isinstance(each, Chunk):
                intake.add(each)
            else:
                intake.take(each)
    except RemoteProtocolError:
        pass


def test_packed_chunks_are_bounded() -> None:
    """A chunk comes out as it went in, and never longer than a chunk may be."""
    data = bytes(CHUNK)
    for how in pieces.packers():
        assert pieces.unpack(pieces.pack(data, how), how) == data
        with pytest.raises(RemoteProtocolError):
            pieces.unpack(b"nothing of the kind", how)
        with pytest.raises(RemoteProtocolError):
            pieces.unpack(pieces.pack(data + b"1", how), how)
    with pytest.raises(RemoteProtocolError):
        pieces.unpack(zlib.compress(data), "lz4")
