"""Sessions in a real kernel: opened, used, interrupted, listed and ended."""

from __future__ import annotations

import re

import pytest
from front_ends import Kernel

pytestmark = [pytest.mark.kernel, pytest.mark.network]

MAKE = """%%nosana
class Model:
    def __repr__(self):
        return "Model()"
    def __del__(self):
        pass
count, model, weights = 41, Model(), bytes(1_000_000)"""


def test_a_session_in_a_notebook(kernel: Kernel) -> None:
    """
    Cells share a job and its state; what is large or no plain data stays and can be used there.
    """
    shown = kernel.run("%nosana up --idle 5m")
    assert not shown.error, shown.text
    try:
        assert re.search(r"session main is open on .*, job \w+: it ends after 5 min", told(shown))
        first = kernel.run(MAKE)
        assert "[In session main: model (Model), weights (bytes)]" in first.stream("stdout")
        assert re.search(r"NOS for [\d.]+ s of the session; start-up", told(first))
        again = kernel.run("%%nosana\ncount += 1\nlen(weights), repr(model)")
        assert again.result["text/plain"] == "(1000000, 'Model()')"
        assert kernel.run("count").result["text/plain"] == "42"
        handle = kernel.run("model").result["text/plain"]
        assert handle == "<model: Model in session main: Model()>"
        assert kernel.run("len(weights.get())").result["text/plain"] == "1000000"
        assert "is not plain data" in kernel.run("model.get()").traceback
        plan = " ".join(
            each["text/plain"] for each in kernel.run("%%nosana --dry-run\nweights, count").displays
        )
        assert "Would travel: 0 names" in plan
        assert re.search(r"session +main on .*\nprice +[\d.]+ NOS a second", plan)
        assert re.search(r"deposit +none for this cell", plan)
        refused = kernel.run("%%nosana --gpu H100\n1")
        assert "asks for gpu H100. Nothing was run" in refused.traceback
        assert re.search(r"main +open ", kernel.run("%nosana sessions").result["text/plain"])
    finally:
        ended = kernel.run("%nosana down")
    text = ended.result["text/plain"]
    assert re.search(r"status +done", text)
    assert re.search(r"cells +2 cells in", text)
    assert (
        kernel.run("model").result["text/plain"] == "<model: Model of session main, which is over>"
    )


def test_what_a_cell_deletes(kernel: Kernel) -> None:
    """
    What a session has made goes here as well; what is the user's own stays, and that is said.
    """
    assert not kernel.run("%nosana up brief").error
    try:
        kernel.run("ours = [1]")
        kernel.run("%%nosana\nspare = ours + [2]\nother, twice = object(), ours * 2")
        kernel.run("twice = [3]")
        shown = kernel.run("%%nosana\ndel spare, other, twice, ours")
        assert not shown.error, shown.text
        told = "[Deleted in session brief, and still here: ours, twice]"
        assert told in shown.stream("stdout")
        left = kernel.run("[name for name in ('spare', 'other') if name in globals()], twice, ours")
        assert left.result["text/plain"] == "([], [3], [1])"
    finally:
        kernel.run("%nosana down brief")


def test_an_interrupt_leaves_the_session(kernel: Kernel) -> None:
    """
    One interrupt, or two at once, end the cell and not the session.
    """
    assert not kernel.run("%nosana up tough").error
    try:
        ident = kernel.begin('%%nosana\nimport time\nprint("begun")\ntime.sleep(50)')
        kernel.follow(ident, until="begun\n")
        kernel.interrupt()
        kernel.interrupt()
        shown = kernel.follow(ident)
        assert shown.error is not None
        assert shown.error["ename"] == "KeyboardInterrupt"
        assert kernel.run("%%nosana\n6 * 7").result["text/plain"] == "42"
    finally:
        kernel.run("%nosana down tough")


def told(shown: object) -> str:
    """Return what the job card says last."""
    cards = shown.cards  # type: ignore[attr-defined]
    return str(cards[-1]["text/plain"])
