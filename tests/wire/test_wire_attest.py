"""What a runner signs: the same however it came, and another for anything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.wire import attest
from nosana_jupyter.wire.messages import (
    Chunk,
    ClearOutput,
    CommMessage,
    DisplayData,
    Execute,
    Reply,
    Stream,
)
from nosana_jupyter.wire.shrink import Shrinker

SECRET = bytes(32)

TEXTS = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.text(max_size=5)), max_size=6)


def digest(*messages: Any) -> str:
    transcript = attest.Transcript(SECRET)
    for message in messages:
        transcript.add(message)
    transcript.add(Reply("ok", 0.0))
    return transcript.digest()


def joined(texts: list[tuple[Any, str]]) -> list[tuple[Any, str]]:
    """Put together what follows of one stream."""
    found: list[tuple[Any, str]] = []
    for name, text in texts:
        if found and found[-1][0] == name:
            found[-1] = name, found[-1][1] + text
        else:
            found.append((name, text))
    return found


@given(one=TEXTS, two=TEXTS)
def test_text_counts_however_it_was_cut(one: Any, two: Any) -> None:
    """The digest tells what was written where, in which order, and not in which pieces."""
    same = joined(one) == joined(two)

    assert (digest(*(Stream(*e) for e in one)) == digest(*(Stream(*e) for e in two))) == same
    assert digest(*(Stream(*e) for e in one)) == digest(*(Stream(*e) for e in joined(one)))


def test_all_that_is_said_counts() -> None:
    """Outputs, values and how it ended are in the digest, and what only widgets say is not."""
    said = [
        digest(), digest(Stream("stdout", "a")), digest(Stream("stderr", "a")),
        digest(DisplayData({"text/plain": "a"})), digest(DisplayData({"text/plain": "b"})),
        digest(ClearOutput()), digest(Chunk(0, 1, 0, b"a")), digest(Chunk(0, 1, 0, b"b")),
        digest(Chunk(0, 2, 0, b"ab"), Chunk(1, 1, 0, b"c")),
        digest(Chunk(0, 1, 0, b"a"), Chunk(1, 2, 0, b"bc")),
    ]  # fmt: skip

    assert len(set(said)) == len(said)
    assert digest(CommMessage("c", {})) == digest()
    other = attest.Transcript(bytes(31) + b"1")
    other.add(Reply("ok", 0.0))
    assert other.digest() != digest()


def test_values_count_as_they_were_before_they_were_compressed() -> None:
    """What goes compressed on a slow line has the same digest."""
    chunk = Chunk(0, 1 << 16, 0, bytes(1 << 16))
    packed = Shrinker("zlib").shrink(chunk)

    assert packed.packed
    assert digest(packed) == digest(chunk)


@pytest.mark.parametrize(
    "change",
    [{"code": "y"}, {"header": b"y"}, {"returns": ["y"]}, {"environment": {"A": "2"}},
     {"explicit": True}, {"cell": "y"}],
)  # fmt: skip
def test_all_that_is_asked_counts(change: dict[str, Any]) -> None:
    """Whatever a runner is asked is in what it signs, and nothing that is said beside it."""
    fields: dict[str, Any] = {
        "code": "x", "count": 1, "header": b"x", "buffers": 0, "returns": ["x"],
        "environment": {"A": "1"}, "cell": "x", "order": SECRET,
    }  # fmt: skip
    plain = attest.asked(Execute(**fields), [])

    assert attest.asked(Execute(**{**fields, **change}), []) != plain
    assert attest.asked(Execute(**fields, released=["z"]), []) == plain
    assert attest.asked(Execute(**fields), [b"z"])["inputs"] != plain["inputs"]


@given(st.text())
def test_a_log_holds_one_last_line(text: str) -> None:
    """Any log is read; the last whole line of a runner counts."""
    line = f"{'a' * 64} {'J' * 44} 3 {'b' * 64} {'c' * 128}"
    whole = f"{attest.MARK} {line}"

    assert attest.from_log([f"{whole.replace(' 3 ', ' 2 ')}\n", text, f"x {whole}\n"]) == line
    assert attest.from_log([text, whole[:-1]]) == ""
