"""What the client sends becomes the cell's namespace."""

from __future__ import annotations

import io
import pickle
import sys
from typing import Any

import pytest

from nosana_jupyter.cell import bundle
from nosana_jupyter.wire import rebuild


def notebook(code: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, "<cell>", "exec", dont_inherit=True), namespace)
    return namespace


def there(code: str, *names: str, into: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a host's namespace with names of a notebook."""
    here = notebook(code)
    packed = bundle.pack({name: here[name] for name in names}, here)
    space: dict[str, Any] = {"__name__": "__main__"} if into is None else into
    rebuild.load(packed.header, [bytearray(each) for each in packed.buffers], space)
    return space


class _Marked(pickle.Pickler):
    """Writes a mark for one value."""

    pid: Any = None

    def persistent_id(self, value: Any) -> Any:
        return value if value is self.pid else None


def marked(pid: Any) -> bytes:
    out = io.BytesIO()
    pickler = _Marked(out, 5)
    pickler.pid = pid
    pickler.dump(pid)
    return out.getvalue()


@pytest.mark.parametrize("pid", ["other", ("bytes", 1), ("list", 0), ("bytes", -1), ("bytes", "0")])
def test_unknown_marks_are_refused(pid: Any) -> None:
    """
    A mark that no client of this version writes is an error, not a guess.
    """
    with pytest.raises(pickle.UnpicklingError, match="unknown mark"):
        rebuild.load(marked(pid), [], {})


def test_nothing_is_nothing() -> None:
    """
    An empty header and an empty bundle leave the namespace as it is.
    """
    space: dict[str, Any] = {"a": 1}
    rebuild.load(b"", [], space)
    rebuild.load(bundle.pack({}, {}).header, [], space)

    assert space == {"a": 1}


def test_a_failure_leaves_the_namespace() -> None:
    """
    Names are put in place when all have been loaded.
    """
    header = bundle.pack({"a": 1, "b": bytes(100_000)}, {}).header
    space: dict[str, Any] = {}

    with pytest.raises(pickle.UnpicklingError, match="missing"):
        rebuild.load(header, [], space)
    assert space == {}


def test_functions_share_the_namespace() -> None:
    """
    A function reads and writes the names of the namespace it was loaded into.
    """
    space = there("n = 1\ndef f():\n    global n\n    n += 1\n    return n", "f")
    space["n"] = 5

    assert space["f"]() == 6
    assert space["n"] == 6
    assert space["f"].__globals__ is space


def test_a_class_that_comes_again_is_the_same() -> None:
    """
    In a session, what stayed on the host is still of the class that a later cell sends.
    """
    here = notebook("import enum\nclass K:\n    n = 1\nclass E(enum.Enum):\n    A = 1\nk = K()")
    space: dict[str, Any] = {"__name__": "__main__"}
    values = {name: here[name] for name in ("K", "E", "k")}
    rebuild.load(bundle.pack(values, here).header, [], space)
    kept, member, kind = space["k"], space["E"].A, space["K"]
    here["K"].n = 2
    rebuild.load(bundle.pack(values, here).header, [], space)

    assert isinstance(kept, space["K"])
    assert kind is space["K"]
    assert kept.n == 2
    assert member is space["E"].A


def test_a_class_defined_again_is_another() -> None:
    """
    A cell that was run again at home has made another class, and so it is here.
    """
    space = there("class K: pass", "K")
    first = space["K"]
    there("class K: pass", "K", into=space)

    assert space["K"] is not first


def test_hooks_run_for_what_the_cell_defines() -> None:
    """
    `__init_subclass__` is back in place once the classes are loaded.
    """
    space = there(
        "class Base:\n    seen = []\n    def __init_subclass__(cls):\n"
        "        Base.seen.append(cls.__name__)\n"
        "class A(Base): pass\nclass B(A): pass",
        "B",
        "Base",
    )
    exec("class C(B): pass", space)

    assert space["Base"].seen == ["A", "B", "C"]


def test_modules_are_imported_and_not_bound() -> None:
    """
    A dotted name is a module to import; the namespace has no such name.
    """
    import wave

    space: dict[str, Any] = {}
    rebuild.load(bundle.pack({"wave": wave, "xml.dom.minidom": sys}, {}).header, [], space)

    assert space == {"wave": wave}


def test_large_bytes_take_the_buffers_as_they_come() -> None:
    """
    A `bytearray` keeps the memory it came in; a `bytes` that comes as such is not copied.
    """
    room, text = bytearray(100_000), bytes(100_000)
    packed = bundle.pack({"room": room, "text": text, "again": [text, room]}, {})
    buffers = [bytearray(packed.buffers[0]), bytes(packed.buffers[1])]
    space: dict[str, Any] = {}
    rebuild.load(packed.header, buffers, space)

    assert len(packed.buffers) == 2
    assert space["room"] is buffers[0]
    assert space["text"] is buffers[1]
    assert space["again"][0] is space["text"]
    assert space["again"][1] is space["room"]
