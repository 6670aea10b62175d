"""What cells were seen to take of a card, and errors of cards that were full."""

from __future__ import annotations

from pathlib import Path

import pytest

from nosana_jupyter.vram import learned


def test_the_most_of_the_last_runs_is_kept(tmp_path: Path) -> None:
    """
    Of several runs the largest counts; old ones go, and another cell has its own.
    """
    for gib in (30.0, 9.0, 11.0, 10.0, 9.5, 9.0):
        learned.learn(tmp_path, "one", gib, card="RTX 4090")
    learned.learn(tmp_path, "other", 3.0)

    found = learned.find(tmp_path, "one")

    assert found
    assert (found.gib, found.runs, found.card, found.failed) == (11.0, 5, "RTX 4090", False)
    assert learned.find(tmp_path, "third") is None


def test_a_card_that_was_full_says_that_more_is_needed(tmp_path: Path) -> None:
    """
    Running out counts until the cell has run on a larger card.
    """
    learned.learn(tmp_path, "one", 24.0, failed=True)
    short = learned.find(tmp_path, "one")
    learned.learn(tmp_path, "one", 31.0)
    held = learned.find(tmp_path, "one")

    assert short
    assert (short.gib, short.failed) == (24.0, True)
    assert held
    assert (held.gib, held.failed) == (31.0, False)


def test_nonsense_is_not_kept(tmp_path: Path) -> None:
    """
    A host says what it likes: what no card can have is nothing learned.
    """
    for gib in (0.0, -1.0, 1e9, float("nan")):
        learned.learn(tmp_path, "one", gib)
    learned.learn(tmp_path, "", 3.0)

    assert learned.find(tmp_path, "one") is None


@pytest.mark.parametrize(
    ("name", "text", "tried", "capacity"),
    [
        (
            "OutOfMemoryError",
            "CUDA out of memory. Tried to allocate 2.50 GiB. It has a total capacity of 23.65 GiB",
            2.5,
            23.65,
        ),
        (
            "RuntimeError",
            "CUDA out of memory. Tried to allocate 512.00 MiB (GPU 0; 11.17 GiB total capacity; 1",
            0.5,
            11.17,
        ),
        ("torch.cuda.OutOfMemoryError", "", 0.0, 0.0),
        ("RuntimeError", "CUDA error: out of memory", 0.0, 0.0),
        ("XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory while trying", 0.0, 0.0),
        ("ValueError", "No available memory for the cache blocks.", 0.0, 0.0),
    ],
)
def test_full_cards_are_recognised(name: str, text: str, tried: float, capacity: float) -> None:
    """
    The errors of several libraries are known, with what they say of sizes.
    """
    assert learned.ran_out(name, text)
    assert learned.tried(text) == tried
    assert learned.capacity(text) == capacity


def test_other_errors_are_not_taken_for_it() -> None:
    """
    A machine without memory, or a cell that speaks of it, is no full card.
    """
    assert not learned.ran_out("MemoryError", "")
    assert not learned.ran_out("ValueError", "out of memory of last year's summer")
