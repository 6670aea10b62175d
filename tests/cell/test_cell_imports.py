"""Which modules code and values need, found without importing any."""

from __future__ import annotations

import ast
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nosana_jupyter.cell import bundle
from nosana_jupyter.cell.imports import find_imports, imports_by_name


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("import a", {"a"}, id="plain"),
        pytest.param("import a.b as c", {"a.b"}, id="dotted"),
        pytest.param("from a import b", {"a", "a.b"}, id="from"),
        pytest.param("from a import *", {"a"}, id="star"),
        pytest.param("def f():\n    import a", {"a"}, id="lazy"),
        pytest.param("try:\n    import a\nexcept ImportError:\n    import b", {"a", "b"}, id="try"),
        pytest.param("from . import b", {"top.pkg", "top.pkg.b"}, id="relative"),
        pytest.param("from ..x import y", {"top.x", "top.x.y"}, id="relative-up"),
        pytest.param("from ....x import y", set(), id="relative-above-the-top"),
        pytest.param("import_module('a.b')", {"a.b"}, id="import-module"),
        pytest.param("importlib.import_module('.b', __package__)", {"top.pkg.b"}, id="by-dots"),
        pytest.param("__import__('a')", {"a"}, id="dunder"),
        pytest.param("import_module(name)", set(), id="unknown"),
    ],
)
def test_imports_are_found(code: str, expected: set[str]) -> None:
    """
    Every spelling of an import is found, wherever it stands.
    """
    assert set(find_imports(ast.parse(code), package="top.pkg")) == expected


def test_imports_by_name_are_noticed() -> None:
    """
    Code that picks its modules as it runs is told from code that names them.
    """
    assert imports_by_name(ast.parse("import_module(name)"))
    assert not imports_by_name(ast.parse("import_module('json')"))


def reached_modules(values: dict[str, Any], namespace: dict[str, Any]) -> tuple[str, ...]:
    """Return the modules that values need on the other side."""
    return bundle.pack(values, namespace).modules


def notebook(code: str) -> dict[str, Any]:
    """Return a namespace as a notebook leaves it."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(code, namespace)
    return namespace


def test_values_need_the_modules_of_their_types() -> None:
    """
    A value needs its type's module however deep it lies in containers.
    """
    values = {"x": {"a": [Decimal(1)], "b": (pd.DataFrame(),)}}

    assert {name.partition(".")[0] for name in reached_modules(values, {})} >= {"decimal", "pandas"}


def test_plain_values_need_no_module() -> None:
    """
    Data of Python's own types need nothing.
    """
    assert reached_modules({"x": {"a": [1, 2.5, "b", b"c", None, {3}, (len,)]}}, {}) == ()


def test_values_need_what_they_hold() -> None:
    """
    What lies far behind in a list, or inside of an object of a package, counts as well.
    """
    values = {"x": [1] * 5000 + [Decimal(1)], "y": np.array([Fraction(1)], dtype=object)}

    assert {"decimal", "fractions"} <= set(reached_modules(values, {}))


def test_submodules_of_functions_are_needed() -> None:
    """
    A submodule that a function reaches by attributes is needed as if it were imported there.
    """
    namespace = notebook("import xml.dom.minidom\ndef f(): return lambda: xml.dom.minidom.Node")

    assert "xml.dom.minidom" in reached_modules({"f": namespace["f"]}, namespace)


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    import wave",
        "import wave\ndef f(): return wave",
        "import wave\ndef g(): return wave\ndef f(): return g()",
        "import wave\nclass f:\n    def m(self): return wave",
        "import wave\nclass C:\n    def m(self): return wave\nf = [C()]",
        "def outer():\n    import wave\n    return lambda: wave\nf = outer()",
    ],
    ids=["lazy", "global", "through-a-function", "method", "instance", "closure"],
)
def test_functions_need_what_they_import(code: str) -> None:
    """
    A function or class of the notebook needs what its code and its globals need.
    """
    namespace = notebook(code)

    assert "wave" in reached_modules({"f": namespace["f"]}, namespace)


def test_values_that_hold_themselves_are_walked_once() -> None:
    """
    A list within itself does not hold up the walk.
    """
    loop: list[Any] = []
    loop.append(loop)

    assert reached_modules({"loop": loop}, {}) == ()
