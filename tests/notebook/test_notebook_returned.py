"""What a cell left behind, put in its place."""

from __future__ import annotations

import collections
import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.compilerop import CachingCompiler
from test_notebook_card import JOB, RECEIPT

from nosana_jupyter.events import Cell
from nosana_jupyter.notebook import returned
from nosana_jupyter.notebook.handles import RemoteHandle
from nosana_jupyter.outcome import Outcome
from nosana_jupyter.units import Seconds
from nosana_jupyter.wire.messages import Handle
from nosana_jupyter.wire.values import NoClass

MODEL = Handle(type="sklearn.SGD", text="SGD()", reason="is a sklearn.SGD, not plain data")
BIG = Handle(
    type="numpy.ndarray", text="…",
    reason="is 500.0 MB or more, over the limit of 268.4 MB: name it with --out to fetch it",
)  # fmt: skip
HUGE = Handle(type="bytes", text="…", reason="is 3.0 GB or more, over the limit of 2.1 GB")
WITHIN = Handle(type="dict", text="…", reason="['model'] is a sklearn.SGD, not plain data")


class Shell:
    """As much of a shell as is asked for: names, and a compiler that keeps sources."""

    def __init__(self, **names: Any) -> None:
        self.user_ns: dict[str, Any] = {"__name__": "__main__", **names}
        self.bound: dict[str, Any] = {}
        self.compile = CachingCompiler()

    def push(self, names: dict[str, Any]) -> None:
        self.user_ns.update(names)
        self.bound.update(names)


def leave(shell: Shell, found: Outcome, source: str = "", *, out: Any = None) -> list[str]:
    """Put what a cell left in its place; return what is told."""
    cell = Cell(source=source, namespace=shell.user_ns, count=7, timeout=Seconds(60), returns=out)
    return returned.leave(shell, cell, found)


def outcome(values: Mapping[str, Any], changed: tuple[str, ...] = (), **handles: Handle) -> Outcome:
    """Return what a cell that ended well left."""
    return Outcome(
        job=RECEIPT.job, receipt=RECEIPT, status="ok",
        values=values, handles=handles, changed=changed,
    )  # fmt: skip


def test_arrays_that_share_memory_keep_what_was_changed_in_each() -> None:
    """What came back through one name does not undo what came through another."""
    base = np.arange(12.0).reshape(3, 4)
    shell = Shell(base=base, row=base[1], turned=base.T, other=np.zeros(2))
    row, turned = base[1].copy(), base.T.copy()
    row[0], turned[3, 0], turned[0, 0] = 99, -1, np.nan

    found = {"row": row, "turned": turned, "other": np.ones(2)}
    assert leave(shell, outcome(found, tuple(found))) == []

    expected = np.arange(12.0).reshape(3, 4)
    expected[1, 0], expected[0, 3], expected[0, 0] = 99, -1, np.nan
    assert shell.user_ns["base"] is base
    np.testing.assert_array_equal(base, expected)
    np.testing.assert_array_equal(shell.user_ns["row"], expected[1])
    assert shell.user_ns["turned"].base is base.base
    np.testing.assert_array_equal(shell.user_ns["other"], [1, 1])


@pytest.mark.parametrize("kind", [float, object])
def test_what_cannot_be_kept_of_shared_memory_is_told(kind: type) -> None:
    """Where two names were given other values at one place, and where nobody can compare."""
    base = np.zeros(4, dtype=kind)
    shell = Shell(base=base, part=base[:2])
    one, two = base.copy(), base[:2].copy()
    one[0], two[0] = 1, 2

    [line] = leave(shell, outcome({"base": one, "part": two}, ("base", "part")))

    assert line.startswith("[base, part share memory here, and did not on the host: ")
    assert ("lost is that of base" in line) is (kind is float)
    assert list(base) == [2, 0, 0, 0]


def test_names_that_nobody_could_see_are_told_of() -> None:
    """What a cell binds by `globals()[…]` is named, but not what is here or is a module."""
    shell = Shell(here=1)
    found = dataclasses.replace(
        outcome({}), bound=("v_1", "here", "json", "_x", "no name", *(f"w{n}" for n in range(12)))
    )

    [line] = leave(shell, found, "import json\nglobals()['v_1'] = 1")

    assert "v_1, w0, w1" in line
    assert "and 3 more" in line
    assert not any(word in line for word in ("here,", "json", "_x", "no name"))
    assert leave(shell, found, "globals()['v_1'] = 1", out=("a",)) == [
        "[The cell left no a, which --out asks for]"
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([1, 2], [3]),
        ({"a": 1, "b": 2}, {"b": 3}),
        ({1, 2}, {3}),
        (bytearray(b"ab"), bytearray(b"c")),
        (collections.deque([1], maxlen=3), collections.deque([2, 3], maxlen=3)),
        (collections.Counter("aab"), collections.Counter("a")),
        (collections.defaultdict(list, a=[1]), collections.defaultdict(list, b=[2])),
        (collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1)),
        (np.zeros((2, 3)), np.ones((2, 3))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_was_changed_in_place_is_renewed_in_place(old: Any, new: Any) -> None:
    """
    Other names of the same value see the change too.
    """
    shell = Shell(value=old)

    assert leave(shell, outcome({"value": new}, changed=("value",))) == []

    assert shell.bound == {}
    assert shell.user_ns["value"] is old
    assert np.array_equal(old, new)
    assert isinstance(old, np.ndarray) or list(old) == list(new)


def test_one_object_by_two_names_stays_one() -> None:
    """
    What came back as one object is one here, also where it renews one that was here before.
    """
    old, new, other = [1], [2], pd.DataFrame({"a": [1]})
    shell = Shell(grown=old)

    leave(shell, outcome({"grown": new, "last": new, "a": other, "b": other}, changed=("grown",)))

    names = shell.user_ns
    assert names["grown"] is names["last"] is old
    assert old == [2]
    assert names["a"] is names["b"] is other


def test_what_cannot_be_renewed_is_bound_anew() -> None:
    """
    A frame, an array of another shape or a value of another type takes the place of the old one.
    """
    frozen = np.zeros(2)
    frozen.flags.writeable = False
    pairs: list[tuple[Any, Any]] = [
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1], "b": [2]})),
        (np.zeros(2), np.zeros(3)),
        (np.zeros(2), np.zeros(2, dtype=int)),
        (frozen, np.ones(2)),
        ([1], (1, 2)),
        (type("Mine", (list,), {})([1]), [1, 2]),
    ]
    for old, new in pairs:
        shell = Shell(value=old)
        leave(shell, outcome({"value": new}, changed=("value",)))
        assert shell.user_ns["value"] is new
    # What the cell bound is bound, whatever was here.
    old_list, new_list = [1], [2]
    shell = Shell(value=old_list)
    leave(shell, outcome({"value": new_list}))
    assert shell.user_ns["value"] is new_list
    assert old_list == [1]


def test_a_handle_never_replaces_what_is_here() -> None:
    """
    A value that the cell bound or changed, and that cannot come back, stays here as it was, also
    when the cell failed; a line says so. A handle of an earlier cell gives way.
    """
    earlier = RemoteHandle("scaler", MODEL, JOB)
    shell = Shell(model="here", fitted="here", scaler=earlier)
    for status in ("ok", "error"):
        found = dataclasses.replace(
            outcome({}, changed=("fitted",), model=MODEL, fitted=MODEL, scaler=MODEL), status=status
        )

        assert leave(shell, found) == [
            "[Not brought back, not being plain data: scaler (SGD)]",
            (
                "[Not brought back, and still here as before the cell, not being plain data: "
                "model (SGD)]"
            ),
            "[Changed on the host only, not being plain data: fitted (SGD)]",
        ]
        assert list(shell.bound) == ["scaler"]
        assert isinstance(shell.user_ns["scaler"], RemoteHandle)
        assert shell.user_ns["scaler"] is not earlier


FUNCTION = Handle(type="function", text="…", reason="is a function, not plain data")

SOURCE = """
import math
import json as text
factor = compute()

def scaled(value, by=factor):
    return math.floor(value * by)

class Pair:
    def total(self):
        return scaled(2)

@broken
def decorated():
    return 1
"""


def test_what_the_cell_defines_is_made_here() -> None:
    """
    Functions, classes and imports of the cell's own source can be used here, after values that they
    need; nothing else of the cell runs. Their source is known under the number of the cell.
    """
    shell = Shell()
    found = outcome({"factor": 1.5}, scaled=FUNCTION, Pair=FUNCTION, decorated=FUNCTION)

    told = leave(shell, found, SOURCE)

    names = shell.user_ns
    assert names["scaled"](3) == 4
    assert names["Pair"]().total() == 3
    assert names["text"].dumps([1]) == "[1]"
    assert names["scaled"].__module__ == "__main__"
    assert inspect.getsource(names["scaled"]).startswith("def scaled(value, by=factor):")
    assert names["scaled"].__code__.co_firstlineno == 6
    assert told == ["[Not brought back, not being plain data: decorated (function)]"]
    assert isinstance(names["decorated"], RemoteHandle)


def test_objects_wait_for_the_classes_that_the_cell_defines() -> None:
    """
    What came back of a class that the cell defines is made once that is here, and renews what it
    was made of; where the class cannot be made here, a handle stands for it.
    """
    kept = Handle(type="value", text="", reason="is a Run, a class that is not here")
    source = "class Run:\n    def __init__(self): self.loss = 0\nrun = Run()"
    shell = Shell()

    def make() -> Any:
        if "Run" not in shell.user_ns:
            raise NoClass("is a Run, a class that is not here")
        made = shell.user_ns["Run"]()
        made.loss = 0.5
        return made

    found = dataclasses.replace(outcome({}, run=kept, Run=FUNCTION), later={"run": make})
    assert "run (value): it is a Run, a class that is not here" in leave(shell, found)[1]
    assert isinstance(shell.user_ns["run"], RemoteHandle)
    del shell.user_ns["Run"]
    assert leave(shell, found, source) == []
    run = shell.user_ns["run"]
    assert (run.loss, type(run)) == (0.5, shell.user_ns["Run"])
    run.loss = 9
    found = dataclasses.replace(outcome({}, changed=("run",), run=kept), later={"run": make})
    assert leave(shell, found) == []
    assert shell.user_ns["run"] is run
    assert run.loss == 0.5


def test_a_definition_replaces_a_local_one_when_the_cell_came_to_it() -> None:
    """
    A function that the cell defines anew is the new one here too, also of a cell that failed after
    it. What a failed cell did not come to stays as it is; an import takes no name's place then.
    """
    source = "import json as text, math\ndef good():\n    return 2\n1/0\ndef late():\n    return 2"
    shell = Shell(good=lambda: 1, late=lambda: 1, text="mine")
    found = outcome({}, good=FUNCTION)

    assert leave(shell, dataclasses.replace(found, status="error"), source) == []
    names = shell.user_ns
    assert (names["good"](), names["late"](), names["text"]) == (2, 1, "mine")
    assert names["math"].floor(1.5) == 1
    assert leave(shell, found, source) == []
    assert names["text"].dumps([1]) == "[1]"
    # Where the user says what comes back, nothing else does.
    leave(shell, outcome({}), "import sys", out=())
    assert "sys" not in shell.user_ns


def test_what_a_cell_is_done_with_is_not_worth_a_word() -> None:
    """
    Files, axes and pools that a cell has used are told of only where one was here before.
    """
    file, axes = (
        Handle(type=kind, text="…", reason=f"is a {kind}, not plain data")
        for kind in ("_io.TextIOWrapper", "matplotlib.axes._axes.Axes")
    )
    shell = Shell(ax="here")

    assert leave(shell, outcome({}, file=file, ax=axes)) == [
        "[Not brought back, and still here as before the cell, not being plain data: ax (Axes)]"
    ]
    assert isinstance(shell.user_ns["file"], RemoteHandle)


def test_the_line_gives_the_true_reason() -> None:
    """
    What is too large says how large, the limit and how to have it; what holds something else says
    what; modules are not worth a word.
    """
    found = outcome(
        {}, big=BIG, huge=HUGE, results=WITHIN, np=Handle(type="module", text="", reason="is")
    )

    shell = Shell()
    assert leave(shell, found) == [
        (
            "[Not brought back: big (ndarray): it is 500.0 MB or more, over the limit of 268.4 MB. "
            "Run the cell again with --out big.]"
        ),
        (
            "[Not brought back: huge (bytes): it is 3.0 GB or more, over the limit of 2.1 GB. "
            "Bring back less: a part of it, or numbers of fewer bytes.]"
        ),
        (
            "[Not brought back: results (dict): results['model'] is a sklearn.SGD, not plain data. "
            "Bind plain data in the cell (numbers, text, containers, arrays, frames), or make it "
            "and use it in one %%nosana cell.]"
        ),
    ]
    assert list(shell.bound) == ["big", "huge", "results"]


def test_names_asked_for_in_vain_are_told() -> None:
    """
    `--out` of a name the cell never bound is not passed over in silence.
    """
    found = outcome({"there": 1}, model=MODEL)

    assert leave(Shell(), found, out=("there", "model", "nothing_here"))[1:] == [
        "[The cell left no nothing_here, which --out asks for]"
    ]
    assert JOB in found.receipt.job
