"""What containers say, between the thread that listens and the loop that passes it on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.host.logs import MOST_TOLD
from nosana_jupyter.host.output import KINDS, Output

PIECES = st.lists(st.tuples(st.sampled_from(KINDS), st.binary(max_size=40), st.booleans()))


@given(PIECES)
def test_nothing_is_lost_or_made_up(pieces: list[tuple[str, bytes, bool]]) -> None:
    """
    However output is cut and read, each kind is the text of its bytes, and is counted.
    """
    output = Output()
    said: list[tuple[str, str]] = []
    for kind, data, look in pieces:
        output.add(kind, data)
        if look:
            said += output.read()
    for rest in output.drain():
        said += rest

    for kind in KINDS:
        whole = b"".join(data for other, data, _ in pieces if other == kind)
        assert "".join(text for other, text in said if other == kind) == whole.decode(
            errors="replace"
        )
    assert output.said == sum(len(data) for _, data, _ in pieces)


def test_lines_come_whole_and_an_end_that_waits_is_shown() -> None:
    """
    A line that is still being written waits for one look, and no longer.
    """
    output = Output()
    output.add("stdout", b"one\ntw")
    assert output.read() == [("stdout", "one\n")]
    output.add("stdout", b"o\nthree? ")
    assert output.read() == [("stdout", "two\n")]
    assert output.read() == [("stdout", "three? ")]
    assert output.read() == []


def test_both_kinds_keep_their_order() -> None:
    """
    An error stands where it was said.
    """
    output = Output()
    for kind, data in (("stdout", b"a\n"), ("stderr", b"b\n"), ("stdout", b"c\n")):
        output.add(kind, data)

    assert output.read() == [("stdout", "a\n"), ("stderr", "b\n"), ("stdout", "c\n")]


def test_a_flood_is_not_kept() -> None:
    """
    What nobody reads in time is left out, and said to be; the end is there, all of it is counted.
    """
    output = Output()
    for number in range(100):
        output.add("stdout", b"%09d\n" % number * (MOST_TOLD // 100))
    said = "".join(text for _, text in output.read())

    assert output.said == 10 * 100 * (MOST_TOLD // 100)
    assert said.startswith("[")
    assert "bytes are left out]\n" in said[:60]
    assert said.endswith("000000099\n")
    assert len(said) < MOST_TOLD + 100
