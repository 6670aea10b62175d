"""What a cell reads and binds through functions, and what a session has of it, never older."""

from __future__ import annotations

from typing import Any

from nosana_jupyter.cell import indirect
from nosana_jupyter.cell.held import Held
from nosana_jupyter.cell.travel import Elsewhere
from nosana_jupyter.events import Cell
from nosana_jupyter.settings import Settings
from nosana_jupyter.travel.prepare import prepare
from nosana_jupyter.units import Seconds

DEFINED = """
def scaled(x):
    return x * scale

def total():
    return scaled(sum(data))

def bump():
    global counter
    counter += 1

class Model:
    def go(self):
        return scaled(1)

    @property
    def first(self):
        return data[0]
"""


def notebook() -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__main__", "scale": 2, "data": [1], "counter": 0}
    exec(DEFINED, namespace)
    return namespace


def sent(source: str, namespace: dict[str, Any], held: Held) -> dict[str, Any]:
    cell = Cell(source=source, namespace=namespace, timeout=Seconds(60))
    return dict(prepare(cell, Settings(), held).sent)


class Handle(Elsewhere):
    """Stands for a value."""

    def __init__(self, name: str, made_by: str = "", serial: int = 1) -> None:
        self.lives_as, self.made_by, self.serial = name, made_by, serial


class TestReads:
    def test_through_functions_classes_and_their_objects(self) -> None:
        """Functions bring what they read, and what those that they call read."""
        namespace = notebook()
        for name, found in {
            "total": {"scaled", "data", "scale"},
            "bump": {"counter"},
            "Model": {"scaled", "data", "scale"},
        }.items():
            read = indirect.reads({name: namespace[name]}, namespace, lambda *_: True)
            assert set(read) == found
        model = Handle("model", "Model")
        assert "scale" in indirect.reads({"model": model}, namespace, lambda *_: True)

    def test_binds(self) -> None:
        """A name that a function declares global comes back with the cell that calls it."""
        namespace = notebook()
        cell = Cell(source="bump()", namespace=namespace, timeout=Seconds(60))
        assert prepare(cell, Settings()).changes == ("counter",)
        assert indirect.binds({"total": namespace["total"]}, namespace) == []


class TestUnseen:
    def test_what_lives_there_reads_what_was_changed_here(self) -> None:
        """
        What a cell made there may read what was sent: bound anew or changed here, it goes along.
        """
        namespace: dict[str, Any] = {"scale": 2, "rows": [1], "other": 1, "f": Handle("f")}
        held = Held("job")
        held.renewed(["f"], namespace)
        for name in ("scale", "rows"):
            held.take(name, namespace[name], namespace)
        assert sent("f()", namespace, held) == {}
        namespace["scale"] = 3
        namespace["rows"].append(2)
        held.forget(namespace)
        assert sent("f()", namespace, held) == {"scale": 3, "rows": [1, 2]}
        assert sent("1 + 1", namespace, held) == {}

    def test_what_is_large_is_told_once(self) -> None:
        """What would take long to send unasked is not, and the user hears of it."""
        namespace: dict[str, Any] = {"data": b"1", "f": Handle("f")}
        held = Held("job")
        held.renewed(["f"], namespace)
        held.take("data", namespace["data"], namespace)
        namespace["data"] = bytes(2_000_000)
        held.forget(namespace)
        cell = Cell(source="f()", namespace=namespace, timeout=Seconds(60))
        first, second = prepare(cell, Settings(), held), prepare(cell, Settings(), held)
        [note] = first.notes
        assert note.startswith("data is another one here now; what lives in the session sees it")
        assert (dict(first.sent), second.notes) == ({}, ())


class TestHeld:
    def test_what_functions_made_there_read_is_sent_once_changed(self) -> None:
        """A function that a cell has defined there sees what was bound or changed here since."""
        namespace = notebook()
        held = Held("job")
        held.settle(list(namespace), ["scale", "data"], namespace)
        assert sent("total()", namespace, held) == {}
        namespace["scale"] = 3
        assert sent("total()", namespace, held) == {"scale": 3}
        namespace["data"].append(5)
        assert sent("Model().first", namespace, held) == {"scale": 3, "data": [1, 5]}

    def test_a_handle_within_a_value(self) -> None:
        """What holds a handle is sent again when the handle, or the rest of it, changes."""
        namespace: dict[str, Any] = {"m": Handle("m")}
        held = Held("job")
        held.renewed(["m"], namespace)
        namespace["r"] = {"model": namespace["m"], "k": 1}
        held.take("r", namespace["r"], namespace)
        assert held.has("r", namespace["r"], namespace)
        namespace["r"]["k"] = 2
        assert not held.has("r", namespace["r"], namespace)
        held.take("r", namespace["r"], namespace)
        namespace["r"]["model"] = Handle("m", serial=2)
        assert not held.has("r", namespace["r"], namespace)

    def test_what_nobody_can_compare_is_sent(self) -> None:
        """What cannot be pickled is never taken for unchanged."""
        value = [(i for i in range(3))]
        held = Held("job")
        held.take("value", value, {})
        assert not held.has("value", value, {})


class TestShared:
    def test_what_is_one_object_stays_one(self) -> None:
        """A value that is sent anew takes along the names of what it holds."""
        inner = [1]
        namespace: dict[str, Any] = {"inner": inner, "outer": {"in": inner}, "other": [1]}
        held = Held("job")
        for name in ("inner", "outer", "other"):
            held.take(name, namespace[name], namespace)
        namespace["outer"]["more"] = 2

        found = sent("print(outer)", namespace, held)

        assert found.keys() == {"outer", "inner"}
        assert found["outer"]["in"] is found["inner"]

    def test_what_is_newer_there_stays(self) -> None:
        """A name that was bound there since keeps its value there."""
        inner = [1]
        namespace: dict[str, Any] = {"inner": inner, "outer": {"in": inner}}
        held = Held("job")
        held.take("outer", namespace["outer"], namespace)
        held.renewed(["inner"], namespace)
        namespace["outer"]["more"] = 2

        assert sent("print(outer)", namespace, held).keys() == {"outer"}
