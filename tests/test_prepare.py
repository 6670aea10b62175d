"""What is found out about a cell before anything is spent."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nosana_jupyter.errors import UsageError
from nosana_jupyter.events import Cell
from nosana_jupyter.prepare import Prepared, prepare
from nosana_jupyter.settings import Settings


def prepared(source: str, namespace: dict[str, Any] | None = None, **options: Any) -> Prepared:
    """Prepare a cell of a notebook."""
    cell = Cell(source=source, namespace=namespace or {}, timeout=60, **options)
    return prepare(cell, Settings())


def test_what_is_changed_in_place_comes_back() -> None:
    """
    A cell that changes a value of the notebook brings it back, after what it binds.
    """
    found = prepared("y = 1\nlst.append(y)\nd['k'] = len(lst)", {"lst": [], "d": {}})

    assert found.load.returns == ("y", "lst", "d")
    assert found.changes == ("lst", "d")
    assert not found.load.explicit


def test_what_is_bound_as_well_is_not_only_changed() -> None:
    """
    A name that the cell binds comes back as any other that it binds.
    """
    found = prepared("lst = list(lst)\nlst.append(1)", {"lst": []})

    assert found.load.returns == ("lst",)
    assert found.changes == ()


def test_what_cannot_be_changed_does_not_come_back() -> None:
    """
    Modules, functions, classes, numbers and text stay as they are, whatever is called on them.
    """
    namespace: dict[str, Any] = {"math": math, "f": len, "K": int, "n": 1, "s": "a"}
    found = prepared("math.x = 1\nf.y = 1\nK.z = 1\nfor i in range(n): i += s", namespace)

    assert found.load.returns == ("i",)


def test_what_is_not_here_does_not_come_back() -> None:
    """
    A name that the cell imports, or that is not the notebook's, is not its value.
    """
    assert prepared("import sys\nsys.path.append('a')").load.returns == ()


def test_what_a_function_changes_comes_back() -> None:
    """
    A global that a function of the notebook changes travels with it, and comes back.
    """
    found = prepared("def put():\n    lst.append(1)\nput()", {"lst": []})

    assert found.load.returns == ("put", "lst")


def test_what_is_named_comes_back_alone() -> None:
    """
    With --out nothing else comes; what the cell does not bind is known to be the notebook's.
    """
    found = prepared("y = 1\nlst.append(y)\nd['k'] = 1", {"lst": [], "d": {}}, returns=("y", "d"))

    assert found.load.returns == ("y", "d")
    assert found.changes == ("d",)


def test_what_does_not_travel_does_not_come_back() -> None:
    """
    What --in leaves out is not on the host, so nothing of it can be changed there.
    """
    found = prepared(
        "lst = []\nlst.append(x)\nif 0:\n    d['k'] = 1", {"x": 1, "d": {}}, takes=("x",)
    )

    assert found.load.returns == ("lst",)


def test_what_is_no_name_is_refused() -> None:
    """
    A word behind --out that is no name is refused.
    """
    with pytest.raises(UsageError, match="'a b' is not a name"):
        prepared("a = 1", returns=("a b",))
