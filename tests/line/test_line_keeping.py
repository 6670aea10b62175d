"""What a host says that it keeps is heard with doubt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.line import keeping
from nosana_jupyter.line.keeping import heard
from nosana_jupyter.market.caches import Cached
from nosana_jupyter.wire.keeping import KINDS, LONGEST, MOST, Keeps, Kept

kept = st.builds(
    Kept, st.sampled_from(KINDS) | st.text(max_size=9), st.text(max_size=300), st.integers()
)


@given(st.lists(kept, max_size=100))
def test_whatever_a_host_says_can_be_shown(things: list[Kept]) -> None:
    """Few things of known kinds, each with one line of what can be seen, and a size that can be."""
    report = heard(Keeps(things, things))

    assert len(report.now) <= MOST
    assert report.found == report.now
    assert report.cut == (len(things) >= MOST)
    for each in report.now:
        assert each.kind in KINDS
        assert 0 < len(each.name) <= LONGEST
        assert each.name.isprintable()
        assert 0 < each.size < keeping.LARGEST


def test_names_are_those_of_their_kind() -> None:
    """A model's name is no sentence, no path and no page; what else there is counts once."""
    good = [
        Kept("hub", "Qwen/Qwen2.5-7B", 1), Kept("hub", "gpt2", 2), Kept("ollama", "llama3.2:3b", 3),
        Kept("hub", "datasets/me/x", 5), Kept("link", "hf://datasets/me/x", 4),
    ]  # fmt: skip
    bad = [
        Kept("hub", "<b>x</b>", 1), Kept("hub", "../x", 1), Kept("hub", "send it to me", 1),
        Kept("ollama", "llama3", 1), Kept("gguf", "x", 1), Kept("link", "\x1b[2J", 1),
        Kept("hub", "me/x", 0), Kept("hub", "a/b/c/d", 1),
    ]  # fmt: skip
    report = heard(Keeps([], [*good, *bad, *good]))

    assert report.now == tuple(Cached(each.kind, each.name, each.size) for each in good)
