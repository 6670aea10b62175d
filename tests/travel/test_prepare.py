"""What is found out about a cell before anything is spent."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest

from nosana_jupyter.errors import CellError, UsageError
from nosana_jupyter.events import Cell
from nosana_jupyter.settings import Settings
from nosana_jupyter.travel.prepare import Prepared, prepare, title


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


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        (
            "x = 1\ny = undefined + x",
            "line 2 would raise NameError: undefined is nowhere",
            "Bind it",
        ),
        (
            "\n%%time\nfrme.head()",
            "line 3 would raise NameError: frme is nowhere",
            "Did you mean frame?",
        ),
        ("math.pi", "line 1 would raise NameError: math is nowhere", "Import it: import math"),
        (
            "np.ones(3)",
            "line 1 would raise NameError: np is nowhere",
            "Import it: import numpy as np",
        ),
        ("del gone", "line 1 would raise NameError: gone is nowhere", ""),
        ("gone += 1", "line 1 would raise NameError: gone is nowhere", ""),
        ("if gone:\n    pass", "line 1 would raise NameError: gone is nowhere", ""),
        ("[x for x in gone]", "line 1 would raise NameError: gone is nowhere", ""),
        ("def f(x=gone): pass", "line 1 would raise NameError: gone is nowhere", ""),
        ("!ls\n%matplotlib inline\ngone", "line 3 would raise NameError: gone is nowhere", ""),
        ("with open('a') as f:\n    gone", "line 2 would raise NameError: gone is nowhere", ""),
    ],
)
def test_a_name_that_nobody_has_is_refused(source: str, message: str, hint: str) -> None:
    """
    A cell that is bound to raise `NameError` is refused before anything is spent, by its line.
    """
    with pytest.raises(CellError, match=message) as caught:
        prepared(source, {"frame": 1})

    assert "Nothing was spent" in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "source",
    [
        "if c: gone",
        "for i in r: gone",
        "while c: gone",
        "try:\n    gone\nexcept NameError:\n    pass",
        "with contextlib.suppress(NameError):\n    gone",
        "c and gone",
        "x = gone if c else 1",
        "1 < c < gone",
        "def f(): gone",
        "def f(x: gone): pass",
        "x: gone = 1",
        "f = lambda: gone",
        "[gone for i in r]",
        "if c: gone = 1\ngone",
        "for gone in r: pass\ngone",
        "from os.path import *\ngone",
        "exec(text)\ngone",
        "%run script.py\ngone",
        "%pylab\ngone",
        "%store -r gone\ngone",
        "%%bash --out gone\nls",
        "globals().update(d)\ngone",
        "globals()[text] = 1\ngone",
        "ip = get_ipython()\nip.push(d)\ngone",
        "import builtins\nbuiltins.gone = 1\ngone",
        "import gettext\ngettext.install('a')\ngone",
        "def f():\n    global gone\n    gone = 1\nf()\ngone",
        "make()\ngone",
        "assert c, gone",
        "match c:\n    case gone.x: pass",
        "ls",
        "_, __, In, Out, get_ipython, display, __name__, ValueError",
    ],
)
def test_what_may_work_is_not_refused(source: str) -> None:
    """
    A name that may be there when it is needed, or may never be needed, refuses nothing.
    """
    namespace: dict[str, Any] = {"c": 0, "r": [], "text": "", "d": {}, "__name__": "__main__"}
    exec("import contextlib\ndef make():\n    global gone\n    gone = 1", namespace)

    assert prepared(source, namespace)


def test_generators_of_random_numbers_come_back() -> None:
    """
    Whoever draws from one changes it, also through a function: the next cell is to draw others.
    """
    namespace: dict[str, Any] = {"__name__": "__main__", "rng": random.Random(1), "other": [1]}
    exec("def sample(): return rng.random()", namespace)

    for source in ("x = rng.random()", "x = sample()", "x = other and rng"):
        found = prepared(source, namespace)
        assert (found.load.returns, found.load.changes) == (("x", "rng"), ("rng",))


def test_memory_that_is_shared_here_only_is_told() -> None:
    """Where a cell changes an array, and reads another that would show it here."""
    base = np.arange(4)
    names = {"base": base, "part": base[:2], "more": base[2:]}

    [note] = prepared("part[0] = base.sum()", names).notes
    assert note.startswith("base, part share memory here, and not on the host: ")
    assert not prepared("part[0] = more.sum()", names).notes
    assert not prepared("x = part.sum() + base.sum()", names).notes


def test_what_may_be_missing_is_told() -> None:
    """
    A name that nobody has and that may be needed is a note.
    """
    assert prepared("if 0: gone").notes == ("gone is nowhere: the cell may raise NameError",)


@pytest.mark.parametrize(
    "source",
    [
        "for i in range(3): loss = i\nprint(loss, i)",
        "for i in []:\n    with open('x') as file: pass\nfile.closed",
        "try: found = 1\nexcept ValueError: pass\nfound",
        "match {}:\n    case {'r': radius, **rest}: pass\nradius, rest",
        "for i in range(3): globals()[f'v_{i}'] = i\nv_2",
    ],
)
def test_what_the_cell_binds_itself_is_not_said_to_be_missing(source: str) -> None:
    """
    A name that a loop, a block or a pattern of the cell binds before it is read, as a rule, is no
    reason for a warning.
    """
    assert prepared(source).notes == ()


def test_what_is_left_out_by_the_user_is_refused() -> None:
    """
    A name that --in leaves out and the cell needs is refused; what functions bring is there.
    """
    namespace: dict[str, Any] = {"lst": [], "x": 1, "__name__": "__main__"}
    exec("def f(): return lst", namespace)

    with pytest.raises(CellError, match="line 1 would raise NameError: --in leaves lst out"):
        prepared("lst + [x]", namespace, takes=("x",))
    assert prepared("lst + f()", namespace, takes=("f",))
    assert prepared("lst = x", namespace, takes=("x",))


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\nimport nosana_jupyter as nj\nnj.run('1')",
        "x = 1\nfrom nosana_jupyter import remote",
        "x = 1\nfrom nosana_jupyter.api import run",
        "x = 1\nimport nosana_jupyter.client",
        "def f():\n    import nosana_jupyter\n    nosana_jupyter.run('1')",
    ],
)
def test_what_is_left_of_us_here_is_refused(source: str) -> None:
    """
    A cell that uses what hosts do not have of this package is refused before anything is spent.
    """
    with pytest.raises(CellError, match=r"line 2 imports nosana_jupyter, .* Nothing was spent"):
        prepared(source)


@pytest.mark.parametrize(
    "source",
    ["import nosana_jupyter", "from nosana_jupyter import errors", "import nosana_jupyter.units"],
)
def test_what_hosts_have_of_us_is_not_refused(source: str) -> None:
    """
    What is there may be imported there.
    """
    assert prepared(source).load.code == source


def test_what_is_no_name_is_refused() -> None:
    """
    A word behind --out that is no name is refused.
    """
    with pytest.raises(UsageError, match="'a b' is not a name"):
        prepared("a = 1", returns=("a b",))


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("x = 1\n%nosana jobs", 2),
        ("%%nosana\nx = 1", 1),
        ("%%time\n%%nosana --vram 8\nx = 1", 2),
        ("if True:\n    y = %nosana", 2),
        ("def f():\n    get_ipython().run_line_magic('nosana', '')", 2),
    ],
)
def test_our_own_magic_is_refused(source: str, line: int) -> None:
    """
    A host knows nothing of `%nosana`: a cell that has it is refused before anything is spent.
    """
    with pytest.raises(CellError, match=rf"line {line} has %nosana") as caught:
        prepared(source)

    assert "Nothing was spent" in str(caught.value)


@pytest.mark.parametrize("source", ["frame?", "frame??", "?frame", "%pinfo frame", "frame.x.head?",
                                    "%pdoc frame.x", "x = 1\nframe.head?"])  # fmt: skip
def test_what_is_asked_about_travels(source: str) -> None:
    """
    `?` tells about an object, for which the host must have it; it need not be anywhere.
    """
    alone = prepared("frame?", {"other": 1})
    found = prepared(source, {"frame": {"x": 1}, "other": 2})

    assert b"frame" in found.load.header
    assert b"other" not in found.load.header
    assert b"frame" not in alone.load.header


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("import time\n# wait\n\nx = 1\ny = 2", "x = 1"),
        ("%matplotlib inline\nfrom a import b\n  plot(b)", "plot(b)"),
        ("import time", "import time"),
        ("", ""),
        ("x" * 200, "x" * 80),
        ("# @remote train\n_result = 1", "# @remote train"),
    ],
)
def test_lists_name_a_cell_by_what_it_does(source: str, line: str) -> None:
    """Imports and comments are the same in every cell."""
    assert title(source) == line


def test_a_package_that_is_named_needs_no_note() -> None:
    """Who imports what is not installed here is told of `--pip`, unless it was used."""
    source = "import surely_not_installed"
    for pip, told in [((), True), (("surely-not_Installed>=1",), False)]:
        cell = Cell(source=source, namespace={}, timeout=60, pip=pip)
        notes = prepare(cell, Settings()).notes
        assert any("--pip" in note for note in notes) is told
