"""What a cell defines stays with the notebook, and nothing else of it runs here."""

from __future__ import annotations

import inspect
import linecache
from typing import Any

import pytest

from nosana_jupyter.cell.keeps import own_definitions
from nosana_jupyter.errors import CellError

# cell, names that it defines
CASES = [
    ("def f(): pass", "f"),
    ("async def f(): pass", "f"),
    ("def f(a, b=1, *, c=-x, d=(1, y), e=m.n, g=60 * 60, h=lambda: 1): pass", "f"),
    ("def f(a: list[int] | None = None) -> dict[str, A]: pass", "f"),
    ("def f(a=g()): pass", ""),
    ("def f(a=[x for x in y]): pass", ""),
    ("def f(a: g() = 1): pass", ""),
    ("@d\n@m.e\n@h(1, x, k='a')\ndef f(): pass", "f"),
    ("@d(g())\ndef f(): pass", ""),
    ("@d[0]\ndef f(): pass", ""),
    ("f = lambda x, y=1: x", "f"),
    ("f = lambda x=g(): x", ""),
    ("f = g", ""),
    ("class K: pass", "K"),
    ("class K(B, m.C, metaclass=M): pass", "K"),
    ("class K(Generic[T]): pass", "K"),
    ("class K(make()): pass", ""),
    ("class K:\n    'doc'\n    a: int\n    b: int = 1\n    c = d = 'x'\n    def m(self): g()", "K"),
    ("@dataclass(frozen=True)\nclass K:\n    a: list = field(default_factory=list)", "K"),
    ("class K(Enum):\n    A = auto()\n    B = 2", "K"),
    ("class K:\n    a = open('x')", ""),
    ("class K:\n    print(1)", ""),
    ("class K:\n    for i in range(3): pass", ""),
    ("class K:\n    @property\n    def a(self): 1\n    @a.setter\n    def a(self, v): 1", "K"),
    ("class K:\n    class L:\n        x = 1\n    @d(g())\n    def m(self): pass", ""),
    ("import math", "math"),
    ("import math as m, sys", "m sys"),
    ("import os.path\nimport os", "os"),
    ("import importlib.util as u", "u"),
    ("import a_module_that_is_not_here, math", "math"),
    ("from math import pi, sin as s", "pi s"),
    ("from math import nothing_of_that_name", ""),
    ("from a_module_that_is_not_here import a", ""),
    ("from keyword import *", "iskeyword issoftkeyword kwlist softkwlist"),
    ("from keyword import *\nkwlist = []", "iskeyword issoftkeyword softkwlist"),
    ("from a_module_that_is_not_here import *", ""),
    ("from . import a", ""),
    ("from __future__ import annotations", ""),
    # once, and whatever happens
    ("def f(): pass\ndef f(): pass", ""),
    ("def f(): pass\nf = d(f)", ""),
    ("def f(): pass\ndel f", ""),
    ("def f(): pass\nf.calls = 0", ""),
    ("import sys\nsys.x = 1", "sys"),
    ("def f(): pass\ndef g():\n    global f\n    f = 1", "g"),
    ("def f(): pass\nfor f in x: pass", ""),
    ("if c:\n    def f(): pass\n    import math", ""),
    ("try:\n    import math\nexcept ImportError:\n    math = None", ""),
    ("%%time\ndef f(): pass", "f"),
    ("%%capture f\ndef f(): pass", ""),
    ("def f():\n    !ls\nx = 1\n%time y = 2", "f"),
    ("%%bash\ndef f(): pass", ""),
    ("", ""),
]  # fmt: skip


@pytest.mark.parametrize(("source", "names"), CASES)
def test_definitions(source: str, names: str) -> None:
    """
    What only defines something is told from what does more, or may do nothing.
    """
    assert list(own_definitions(source)) == names.split()


def test_definitions_are_those_of_the_cell() -> None:
    """
    Each is made by itself, in the cell's lines, so that its source and its errors are found.
    """
    cell = "\nimport math\nraise ValueError\n@mark\ndef f(x):\n    return math.pi / x"
    name = "<cell of keeps>"
    linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
    marked: list[Any] = []
    namespace: dict[str, Any] = {"mark": lambda each: marked.append(each) or each}
    found = own_definitions(cell)
    for definition in found.values():
        exec(definition.compiled(name), namespace)

    assert {each.name: (each.line, each.is_import) for each in found.values()} == {
        "math": (2, True), "f": (4, False),
    }  # fmt: skip
    assert namespace["f"](1) > 3
    assert marked == [namespace["f"]]
    assert inspect.getsource(namespace["f"]) == "@mark\ndef f(x):\n    return math.pi / x"
    with pytest.raises(ZeroDivisionError) as caught:
        namespace["f"](0)
    assert caught.traceback[-1].lineno + 1 == 6


def test_imports_from_the_future_count() -> None:
    """
    A definition is compiled as its cell is.
    """
    namespace: dict[str, Any] = {}
    found = own_definitions("from __future__ import annotations\ndef f(a: Nowhere): pass")
    exec(found["f"].compiled("<cell>"), namespace)

    assert namespace["f"].__annotations__ == {"a": "Nowhere"}


def test_what_is_not_python_is_refused() -> None:
    """
    A cell that cannot be read defines nothing.
    """
    with pytest.raises(CellError):
        own_definitions("def f(:")
