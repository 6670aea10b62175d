"""What counts as under way, of what stands on the board."""

from __future__ import annotations

from nosana_jupyter.board import Live, State
from nosana_jupyter.server.scene import under_way


def cell(job: str, state: State = "detached") -> Live:
    """Return a cell."""
    return Live(
        cell=f"{job} {state}", job=job, network="local", title="x", owner="7@1", text="",
        state=state, since=0, created=0, updated=0,
    )  # fmt: skip


def test_a_job_that_was_taken_up_is_one() -> None:
    """A cell whose kernel is gone is not told beside the one that has attached to its job."""
    lives = [cell("A"), cell("A", "running"), cell("B")]

    assert under_way(lives, "local", {"A", "B"}) == lives[1:]


def test_a_job_that_is_settled_is_over() -> None:
    """A cell that nobody follows is over when its job is, whatever still stands on the board."""
    assert under_way([cell("A")], "local", {}) == []
    assert under_way([cell("A", "running")], "local", {}) == [cell("A", "running")]
