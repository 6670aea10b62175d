"""Values arrive as they left: shared, uncopied; what carries code says so."""

from __future__ import annotations

import sys
import tracemalloc
import types
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from cell_host import Host, notebook

from nosana_jupyter.cell import bundle
from nosana_jupyter.cell.missing import missing
from nosana_jupyter.cell.modules import find_modules
from nosana_jupyter.cell.names import find_names
from nosana_jupyter.errors import CannotTravel, UsageError

BIG = 200 << 20


def pack(**values: Any) -> bundle.Bundle:
    return bundle.pack(values, {})


@pytest.mark.parametrize(
    ("before", "cell"),
    [
        pytest.param("a = [1]\nb = {'a': a}", "a.append(2)\nresult = b", id="between-names"),
        pytest.param("a = []\na.append(a)", "result = a[0] is a", id="cycle"),
        pytest.param(
            "class N: pass\na, b = N(), N()\na.b, b.a = b, a", "result = a.b.a is a", id="objects"
        ),
        pytest.param(
            "import numpy as np\na = np.arange(1e4)\nb = [a, a]",
            "a[0] = 7\nresult = b[0][0], b[1] is a",
            id="arrays",
        ),
        pytest.param(
            "a = b'x' * 100_000\nb = [a]\nc = bytearray(a)\nd = (c, c)",
            "c[0] = 1\nresult = b[0] is a, d[0] is c, bytes(d[1][:2]), type(a), len(a)",
            id="bytes",
        ),
        pytest.param(
            "a = [1]\ndef f(): return a\nclass K:\n    at = a",
            "a.append(2)\nresult = f(), K.at is a",
            id="with-code",
        ),
        pytest.param(
            "g = globals()\nk = 1", "result = g is globals(), globals()['k']", id="namespace"
        ),
        pytest.param(
            "import pandas as pd\nd = pd.DataFrame({'a': [1.5, 2], 'b': ['x', None]})\ns = d.a",
            "result = d.to_dict(), s.tolist(), list(d.dtypes.astype(str))",
            id="frame",
        ),
    ],
)
def test_sharing_lasts(host: Host, before: str, cell: str) -> None:
    """
    What is one object at home is one object on the host.
    """
    namespace = notebook(before, "k = 1")

    assert repr(host.run(cell, namespace)) == repr(run_here(cell, namespace))


def run_here(cell: str, namespace: dict[str, Any]) -> Any:
    exec(compile(cell, "<cell>", "exec", dont_inherit=True), namespace)
    return namespace["result"]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("writable", [True, False])
def test_arrays_are_not_copied(host: Host, order: Any, writable: bool) -> None:
    """
    An array's memory goes beside the header, and may be written there if it may be here.
    """
    array = np.asarray(np.arange(20_000.0).reshape(100, 200), order=order)
    array.flags.writeable = writable
    packed = pack(array=array)

    assert len(packed.header) < 1000
    assert np.shares_memory(np.frombuffer(packed.buffers[0]), array)
    there = host.load(packed, "result = array.flags.writeable, array.flags.f_contiguous, array")
    assert there[:2] == (writable, order == "F")
    assert np.array_equal(there[2], array)


def test_strided_arrays_arrive() -> None:
    """
    A view with gaps is copied once, and only what it shows travels.
    """
    array = np.arange(1_000_000)[::10]

    assert pack(array=array).size < 1_000_000


def test_frames_and_bytes_are_not_copied() -> None:
    """
    Columns of a frame and large bytes go beside the header too.
    """
    frame = pd.DataFrame(np.zeros((50_000, 4)))
    packed = pack(frame=frame, text=b"x" * 100_000, room=bytearray(100_000))

    assert len(packed.header) < 3000
    assert sorted(buffer.nbytes for buffer in packed.buffers)[-1] == 1_600_000
    assert [buffer.readonly for buffer in packed.buffers][-2:] == [True, False]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: np.ones(BIG // 8), id="array"),
        pytest.param(lambda: bytes(BIG), id="bytes"),
        pytest.param(lambda: bytearray(BIG), id="bytearray"),
        pytest.param(lambda: pd.DataFrame(np.ones((BIG // 32, 4))), id="frame"),
        pytest.param(lambda: {"a": [np.ones(BIG // 8)]}, id="inside"),
    ],
)
def test_big_values_take_no_memory(make: Any) -> None:
    """
    To pack, to measure and to judge 200 MB takes next to no memory.
    """
    values = {"big": make()}
    tracemalloc.start()
    try:
        packed = bundle.pack(values, {})
        items = bundle.describe(values, {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 2 << 20
    assert BIG <= packed.size < BIG + 10_000
    assert abs(items[0].size - packed.size) < 200


CODE = """
import functools, dataclasses, enum
def f(): pass
class K: pass
k = K()
@dataclasses.dataclass
class D:
    hook: object = None
@functools.lru_cache
def cached(): pass
def outer():
    def inner(): return f
    return functools.partial(len, inner)
class E(enum.Enum):
    A = 1
"""


@pytest.mark.parametrize(
    ("expression", "carries"),
    [
        ("f", True),
        ("lambda: 0", True),
        ("K", True),
        ("K()", True),
        ("{'a': [lambda: 0]}", True),
        ("(1, {2: {f}})", True),
        ("[K()]", True),
        ("functools.partial(f)", True),
        ("functools.partial(len, f)", True),
        ("object.__init__", False),
        ("D()", True),
        ("dataclasses.field(default_factory=lambda: 0)", True),
        ("cached", True),
        ("outer()", True),
        ("E.A", True),
        ("f.__code__", True),
        ("staticmethod(f)", True),
        ("property(lambda self: 0)", True),
        ("type('T', (), {})()", True),
        ("len", False),
        ("functools.partial(len)", False),
        ("dataclasses", False),
        ("[1, 'a', b'c', None, 2.5, {3}, (4,)]", False),
        ("collections.Counter('aab')", False),
        ("datetime.datetime.now()", False),
        ("np.ones(3), pd.DataFrame({'a': [1]})", False),
        ("type(None), int, type(len), np.ndarray, [].append, type(f)", False),
        ("re.compile('a')", False),
    ],
)
def test_code_is_noticed(expression: str, carries: bool) -> None:
    """
    Whatever holds a function or a class of the notebook needs the same Python, nothing else does.
    """
    namespace = notebook("import collections, datetime, re, numpy as np, pandas as pd", CODE)
    namespace["x"] = eval(expression, namespace)

    assert bundle.pack({"x": namespace["x"]}, namespace).has_code == (("x",) if carries else ())


def test_code_is_noticed_by_name() -> None:
    """
    Of several names those that hold code are told, also when it is the same.
    """
    namespace = notebook(CODE, "g = f\nl = [1]\ni = K()\nj = K()")
    names = ["l", "f", "g", "i", "j", "K"]
    packed = bundle.pack({name: namespace[name] for name in names}, namespace)

    assert packed.has_code == ("f", "g", "i", "j", "K")


def test_modules_by_value_are_code() -> None:
    """
    What the user has registered with cloudpickle travels by value, and counts as code.
    """
    module = types.ModuleType("by_value")
    exec("k = 3\ndef f(): return k\nclass K: pass", module.__dict__)
    sys.modules["by_value"] = module
    try:
        assert pack(f=module.f).has_code == ()
        cloudpickle.register_pickle_by_value(module)
        try:
            assert pack(f=module.f, k=module.K()).has_code == ("f", "k")
        finally:
            cloudpickle.unregister_pickle_by_value(module)
    finally:
        del sys.modules["by_value"]


def test_sources_of_travelling_code_are_told() -> None:
    """
    The cell a function stands in travels with it, for tracebacks.
    """
    namespace = notebook("def f():\n    return 1")
    (source,) = bundle.pack({"d": {"f": namespace["f"]}}, namespace).sources

    assert source.text == "def f():\n    return 1"
    assert source.filename == namespace["f"].__code__.co_filename


def test_a_mention_that_cannot_travel_is_left_out() -> None:
    """
    A name that only may be meant does not hold up the cell.
    """
    namespace = notebook("import threading\nframe = 1\nlock = threading.Lock()")
    cell = "q = 'select * from frame join lock'"

    assert bundle.collect(find_names(cell), namespace) == {"frame": 1}


def test_a_maybe_of_a_function_that_cannot_travel_is_left_out() -> None:
    """
    The same holds for a name in a string of a function.
    """
    namespace = notebook("import threading\nx = threading.Lock()\ndef f(): return eval('x')")

    assert bundle.pack({"f": namespace["f"]}, namespace).names == ("f",)


def test_a_name_only_bound_by_a_function_stays() -> None:
    """
    What a function only replaces need not travel, and so need not be able to.
    """
    namespace = notebook("import threading\nx = threading.Lock()\ndef f():\n  global x\n  x = 1")

    assert bundle.pack({"f": namespace["f"]}, namespace).names == ("f",)


def test_what_the_shell_makes_stays() -> None:
    """
    The shell's own names do not travel; a user's of the same name do.
    """
    from IPython.display import display

    namespace: dict[str, Any] = {"display": display, "In": ["a"], "_i3": "b", "open": len}
    namespace["_ih"] = namespace["In"]
    names = find_names("display(In, _i3, open)")

    assert bundle.collect(names, namespace) == {"open": len}
    assert bundle.collect(names, {"display": 1, "In": 2, "_i3": 3}) == {
        "display": 1, "In": 2, "_i3": 3,
    }  # fmt: skip


def test_named_names_are_taken() -> None:
    """
    `--in` replaces what the analysis found, and knows what is near.
    """
    names = find_names("a + b")

    assert bundle.collect(names, {"a": 1, "b": 2, "c": 3}, only=["c"]) == {"c": 3}
    with pytest.raises(UsageError, match="no name 'fram'") as caught:
        bundle.collect(names, {"frame": 1}, only=["fram"])
    assert caught.value.hint == "Did you mean frame?"


def test_missing_names_are_told() -> None:
    """
    A name nobody has is told; one that only may be meant is not.
    """
    cell = "a + b + len(c)\n!echo $HOME\nd = 'select * from e'"

    assert missing(find_names(cell), {"a": 1}) == ["b", "c"]


def test_outputs_are_taken_by_number() -> None:
    """
    Of the history of outputs only those that the cell names travel.
    """
    found = bundle.collect(find_names("Out[2] + Out[9]"), {"Out": {1: "a", 2: "b"}})

    assert found == {"Out": {2: "b"}}


def test_what_travels_is_described() -> None:
    """
    Names are told with type, size and who reads them.
    """
    namespace = notebook("import numpy as np\nw = np.ones((100, 20))\ndef f(): return w\nn = 'abc'")
    items = bundle.describe({"f": namespace["f"], "n": "abc"}, namespace)

    assert [(each.name, each.type, each.via) for each in items] == [
        ("f", "function", "the cell"), ("n", "str of 3", "the cell"),
        ("w", "numpy.ndarray 100×20", "function f"),
    ]  # fmt: skip
    assert 16_000 < items[2].size < 16_300
    assert items[0].size < 500


def test_deep_nesting_is_refused() -> None:
    """
    What overflows the stack here would there: it is refused before anything is spent.
    """
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(CannotTravel, match=r"^deep.*nested too deeply"):
        pack(deep=deep)


def test_own_submodules_come_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    `import a.b.c` in an earlier cell, `a.b.c.f()` in this one: all three files are needed.
    """
    folder = tmp_path / "own_a" / "b"
    folder.mkdir(parents=True)
    for file in (tmp_path / "own_a" / "__init__.py", folder / "__init__.py"):
        file.write_text("")
    (folder / "c.py").write_text("def f(): return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    namespace = notebook("import own_a.b.c\ndef g(): return own_a.b.c.f()")

    for cell in ("own_a.b.c.f()", "g()"):
        values = bundle.collect(find_names(cell), namespace)
        needed = bundle.pack(values, namespace).modules
        assert {each.path for each in find_modules(needed)} == {
            "own_a/__init__.py", "own_a/b/__init__.py", "own_a/b/c.py",
        }  # fmt: skip
    for name in ("own_a.b.c", "own_a.b", "own_a"):
        monkeypatch.delitem(sys.modules, name)


def test_a_script_in_a_spawned_process_travels_by_value(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What `multiprocessing` loads as `__mp_main__` is the user's script, and no module of the host.
    """
    module = types.ModuleType("__mp_main__")
    monkeypatch.setitem(sys.modules, "__mp_main__", module)
    code = "class K:\n    def m(self): return 2\ndef f(x): return x * K().m()\nk = K()"
    exec(code, vars(module))

    for cell in ("result = f(3)", "result = 3 * K().m()", "result = 3 * k.m()"):
        assert host.run(cell, vars(module)) == 6
