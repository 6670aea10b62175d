"""What a cell left behind, put in its place."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_notebook_card import JOB, RECEIPT

from nosana_jupyter.events import Outcome
from nosana_jupyter.notebook import returned
from nosana_jupyter.notebook.handles import RemoteHandle
from nosana_jupyter.wire.messages import Handle

MODEL = Handle(type="sklearn.SGD", text="SGD()", reason="is a sklearn.SGD, not plain data")
BIG = Handle(
    type="numpy.ndarray", text="…",
    reason="is 500.0 MB or more, over the limit of 268.4 MB: name it with --out to fetch it",
)  # fmt: skip
HUGE = Handle(type="bytes", text="…", reason="is 3.0 GB or more, over the limit of 2.1 GB")
WITHIN = Handle(type="dict", text="…", reason="['model'] is a sklearn.SGD, not plain data")


def outcome(values: Mapping[str, Any], changed: tuple[str, ...] = (), **handles: Handle) -> Outcome:
    """Return what a cell that ended well left."""
    return Outcome(receipt=RECEIPT, status="ok", values=values, handles=handles, changed=changed)


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
    namespace = {"value": old}

    bound = returned.place(namespace, outcome({"value": new}, changed=("value",)))

    assert bound == {}
    assert namespace["value"] is old
    assert np.array_equal(old, new)
    assert isinstance(old, np.ndarray) or list(old) == list(new)


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
        bound = returned.place({"value": old}, outcome({"value": new}, changed=("value",)))
        assert bound["value"] is new
    # What the cell bound is bound, whatever was here.
    old_list, new_list = [1], [2]
    bound = returned.place({"value": old_list}, outcome({"value": new_list}))
    assert bound["value"] is new_list
    assert old_list == [1]


def test_a_handle_replaces_what_the_cell_bound_and_not_what_it_changed() -> None:
    """
    A model that was fitted on the host is as it was here, and a line says so.
    """
    found = outcome({}, changed=("model",), model=MODEL, scaler=MODEL)

    bound = returned.place({"model": "here", "scaler": "here"}, found)

    assert list(bound) == ["scaler"]
    assert isinstance(bound["scaler"], RemoteHandle)
    assert returned.notes(found) == [
        "[Not brought back, not being plain data: scaler (SGD)]",
        "[Changed on the host only, not being plain data: model (SGD)]",
    ]


def test_the_line_gives_the_true_reason() -> None:
    """
    What is too large says how large, the limit and how to have it; what holds something else says
    what; modules are not worth a word.
    """
    found = outcome(
        {}, big=BIG, huge=HUGE, results=WITHIN, np=Handle(type="module", text="", reason="is")
    )

    assert returned.notes(found) == [
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
    assert list(returned.place({}, found)) == ["big", "huge", "results"]


def test_names_asked_for_in_vain_are_told() -> None:
    """
    `--out` of a name the cell never bound is not passed over in silence.
    """
    found = outcome({"there": 1}, model=MODEL)

    assert returned.notes(found, asked=("there", "model", "nothing_here"))[1:] == [
        "[The cell left no nothing_here, which --out asks for]"
    ]
    assert JOB in found.receipt.job
