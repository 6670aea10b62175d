"""Files that grow, read by lines; lines in order, bounded, and followed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from host_world import awaited
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.host import logs
from nosana_jupyter.host.logs import Bell, Book, Tail


@given(
    pieces=st.lists(
        st.text(alphabet="aä€😀\n\r \x0b\u2028", max_size=8).map(lambda text: text.encode())
        | st.binary(max_size=4),
        max_size=12,
    )
)
def test_a_tail_loses_and_invents_nothing(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    """However a file grows, what is read is what it holds, cut at line ends."""
    path = tmp_path_factory.mktemp("tail") / "file"
    tail = Tail(path)
    assert tail.read() == []
    found: list[str] = []
    for piece in pieces:
        with path.open("ab") as file:
            file.write(piece)
        found += tail.read()
    for texts in tail.drain():
        found += texts

    assert "".join(found) == b"".join(pieces).decode(errors="replace")
    assert "" not in found


def test_an_unfinished_line_is_passed_on_at_the_next_look(tmp_path: Path) -> None:
    """A prompt without an end is not held back for ever."""
    path = tmp_path / "file"
    tail = Tail(path)
    path.write_text("a\nprompt> ")

    assert tail.read() == ["a\n"]
    assert tail.read() == ["prompt> "]
    assert tail.read() == []


def test_many_lines_at_once_are_passed_on_by_the_sheet(tmp_path: Path) -> None:
    """A flood costs by its bytes, not by its line ends."""
    path = tmp_path / "file"
    path.write_text("y\n" * 100_000)
    texts = Tail(path).read()

    assert len(texts) < 100
    assert "".join(texts) == "y\n" * 100_000
    assert all(text.endswith("\n") for text in texts)


def test_of_very_much_only_the_end_is_drained(tmp_path: Path) -> None:
    """What a host has not read when an operation ends is cut, and says so."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * (logs.MOST_TOLD + 1000) + b"end\n")
    text = "".join(each for texts in Tail(path).drain() for each in texts)

    assert text.startswith("[1004 bytes are left out]\n")
    assert text.endswith("xend\n")
    assert len(text) < logs.MOST_TOLD + 100


@given(moments=st.lists(st.integers(1, 50) | st.none(), max_size=20))
def test_no_two_lines_have_the_same_time(moments: list[int | None]) -> None:
    """Times grow strictly, whatever a clock says: they name lines."""
    book = Book()
    for moment in moments:
        book.add("a", "g", "stdout", "x", moment=moment)
    found = [line.moment for line in book.of("a")]

    assert found == sorted(set(found))
    assert len(found) == len(moments)


def test_a_book_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go when it is too much; empty lines weigh too; results take the newest."""
    monkeypatch.setattr(logs, "MOST_KEPT", 10_000)
    monkeypatch.setattr(logs, "MOST_LINES", 10)
    book = Book()
    for number in range(1000):
        book.add("a", "g", "stdout", f"{number}")
    kept = [line.text for line in book.of("a")]

    assert kept == [str(number) for number in range(990, 1000)]
    assert len(book._lines) < 10_000 // logs.OVERHEAD
    book.add("a", "g", "stdout", "x" * 20_000)
    assert book.of("a")[-1].text == "x" * 20_000


@awaited
async def test_all_followers_see_all_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who follows from the beginning misses nothing; who is slow misses only what was dropped."""
    monkeypatch.setattr(logs, "MOST_KEPT", 5000)
    book = Book()

    async def follow(pause: int) -> list[str]:
        found = []
        async for lines in book.follow():
            found += [line.text for line in lines]
            for _ in range(pause):
                await asyncio.sleep(0)
        return found

    quick, slow = asyncio.create_task(follow(0)), asyncio.create_task(follow(500))
    for number in range(300):
        book.add("a", "g", "stdout", str(number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    book.close()
    everything = [str(number) for number in range(300)]

    assert await quick == everything
    seen = await slow
    assert seen == sorted(set(seen), key=int)
    assert seen[-1] == "299"


def test_a_line_is_told_as_a_result_has_it() -> None:
    """Type, text and a time in UTC."""
    book = Book()
    book.add("a", "g", "stderr", "x\n", moment=1_700_000_000_123)

    assert book.of("a")[0].told() == {
        "type": "stderr", "log": "x\n", "timestamp": "2023-11-14T22:13:20.123Z",
    }  # fmt: skip


async def rung_before_it_waits() -> None:
    bell = Bell()
    waiting = asyncio.ensure_future(bell.wait())
    bell.ring()
    await asyncio.wait_for(waiting, 5)


def test_a_bell_wakes_whoever_has_asked_before() -> None:
    """A task that is made to wait misses no ring, though it has not begun to run."""
    asyncio.run(rung_before_it_waits())
