"""Which names a cell reads and binds: the cases that naive analysis gets wrong."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.cell.names import find_names
from nosana_jupyter.errors import CellError

MATCH = """
match v:
    case {'a': b, **rest}:
        c = b
    case [d, *more] if k:
        c = d
    case Point(x=px):
        c = px
    case other:
        c = other
z = c
"""
CLASS = """
class K(Base, metaclass=M):
    a = v
    b = a

    def m(self):
        return a, w
"""

# name of the case, cell, names it reads (builtins left out), names it binds
CASES = [
    ("plain", "y = x + 1", "x", "y"),
    ("bound before read", "x = 1\ny = x", "", "x y"),
    ("read before bound", "y = x\nx = 1", "x", "y x"),
    ("itself", "x = x + 1", "x", "x"),
    ("augmented", "x += 1", "x", "x"),
    ("augmented item", "d['a'] += v", "v d", ""),
    ("attribute target", "obj.field = v", "v obj", ""),
    ("delete", "del x", "x", ""),
    ("delete own", "x = 1\ndel x\ny = x", "x", "y"),
    ("branch both", "if c:\n    x = 1\nelse:\n    x = 2\ny = x", "c", "x y"),
    ("branch one", "if c:\n    x = 1\ny = x", "c x", "x y"),
    ("branch that raises", "if c:\n    x = 1\nelse:\n    raise ValueError\ny = x", "c", "x y"),
    ("loop target", "for i in items:\n    s = i\nt = s", "items s", "i s t"),
    ("loop own", "for i in items:\n    s = i\n    t = s", "items", "i s t"),
    ("loop else", "for i in a:\n    pass\nelse:\n    b = i", "a i", "i b"),
    ("while", "while c:\n    x = 1\ny = x", "c x", "x y"),
    ("while true", "while True:\n    x = 1\n    break\ny = x", "", "x y"),
    ("with", "with open(p) as f:\n    t = f.read()", "p", "f t"),
    ("try", "try:\n    x = f()\nexcept ValueError as e:\n    x = e\ny = x", "f", "x e y"),
    ("try maybe", "try:\n    x = f()\nexcept ValueError:\n    pass\ny = x", "f x", "x y"),
    ("handler name ends", "try:\n    f()\nexcept E as e:\n    pass\nz = e", "f E e", "e z"),
    ("finally", "try:\n    f()\nfinally:\n    x = 1\ny = x", "f", "x y"),
    ("group", "try:\n    f()\nexcept* E as e:\n    g(e)", "f E g", "e"),
    ("match", MATCH, "v k Point", "b rest c d more px other z"),
    ("match open", "match v:\n    case 1:\n        c = 1\nz = c", "v c", "c z"),
    ("comprehension", "y = [f(a) for a in xs if p(a)]", "xs p f", "y"),
    ("comprehension keeps", "y = [i for i in xs]\nz = i", "xs i", "y z"),
    ("nested comprehension", "y = [b for a in xs for b in a]", "xs", "y"),
    ("dict comprehension", "y = {k: v for k, v in d.items()}", "d", "y"),
    ("generator", "y = sum(a * w for a in xs)", "xs w", "y"),
    ("walrus", "if (n := len(xs)) > k:\n    y = n", "xs k", "n y"),
    ("walrus in comprehension", "y = [last := a for a in xs]\nz = last", "xs", "last y z"),
    ("function late", "def f():\n    return g() + k\ndef g():\n    return 1", "k", "f g"),
    ("function argument", "def f(a, *b, c=d, **e):\n    return a, b, c, e", "d", "f"),
    ("function local", "def f():\n    x = 1\n    return x", "", "f"),
    ("function local late", "def f():\n    print(x)\n    x = 1", "", "f"),
    ("global", "def f():\n    global x\n    x = x + 1\nf()", "x", "x f"),
    ("global read", "def f():\n    global x\n    return x", "x", "f"),
    ("nonlocal", "def f():\n  n = 0\n  def g():\n    nonlocal n\n    n += k\n  return g", "k", "f"),
    ("closure", "def f():\n    a = 1\n    def g():\n        return a + b\n    return g", "b", "f"),
    ("decorator", "@wrap(k)\ndef f():\n    pass", "wrap k", "f"),
    ("annotation", "def f(a: A) -> B:\n    c: C = a", "A B C", "f"),
    ("annotation only", "x: T", "T", ""),
    ("lambda", "f = lambda a, b=c: a + b + d", "c d", "f"),
    ("class body", CLASS, "Base M v a w", "K"),
    ("class in function", "def f():\n    class K:\n        a = v\n    return K", "v", "f"),
    ("class self reference", "class K:\n    def m(self):\n        return K()", "", "K"),
    ("import", "import numpy as np\nimport os.path\nfrom a import b as c", "", "np os c"),
    ("import then use", "import math\ny = math.pi * r", "r", "math y"),
    ("unpack", "(a, *b), c.d = e", "e c", "a b"),
    ("star args", "f(*a, **b)", "f a b", ""),
    ("f-string", "s = f'{a!r:>{w}} {b[c]}'", "a w b c", "s"),
    ("await", "r = await f(x)", "f x", "r"),
    ("async for", "async for i in it:\n    s = i", "it", "i s"),
    ("async with", "async with c as d:\n    e = d", "c", "d e"),
    ("query", "y = df.query('a > @limit and b < @o.c')", "df limit o", "y"),
    ("query keyword", "y = df.query(expr='a > @limit')", "df limit", "y"),
    ("eval", "y = eval('secret + 1')", "secret", "y"),
    ("shell", "!echo {x} $y $$z", "x y", ""),
    ("shell capture", "out = !ls {folder}", "folder", "out"),
    ("line magic time", "%time y = f(x)", "f x", "y"),
    ("timeit", "%timeit -n 10 -r 3 f(x)", "f x", ""),
    ("other magic", "%cd {folder}", "folder", ""),
    ("cell magic time", "%%time\ny = f(x)", "f x", "y"),
    ("cell magic capture", "%%capture out\ny = f(x)", "f x", "y out"),
    ("nested cell magics", "%%time\n%%capture c\ny = x", "x", "y c"),
    ("bash cell", "%%bash\necho $HOME {x}", "x HOME", ""),
    ("help", "x?", "", ""),
    ("ellipsis and semicolon", "f(x);", "f x", ""),
    ("conditional expression", "y = a if c else b", "c a b", "y"),
    ("slice", "y = x[i:j:k]", "x i j k", "y"),
    ("chained", "a = b = c", "c", "a b"),
    ("output", "y = Out[3] + _", "Out _", "y"),
    ("return ends", "def f():\n    if a:\n        return b\n    return c", "a b c", "f"),
    ("empty", "", "", ""),
    ("comment", "# nothing", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "reads", "binds"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_names(source: str, reads: str, binds: str) -> None:
    """
    A cell reads what it may need from outside and binds what it may leave.
    """
    found = find_names(source)
    known = {"ValueError", "open", "len", "print", "sum", "eval", "get_ipython"}

    assert [name for name in found.reads if name not in known] == reads.split()
    assert sorted(found.binds) == sorted(binds.split())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters are of Python 3.12")
def test_type_parameters() -> None:
    """
    Type parameters belong to their function, class or alias.
    """
    found = find_names("def f[T](a: T) -> list[T]:\n    return [b]\ntype A[K] = dict[K, V]")

    assert set(found.reads) >= {"b", "V"}
    assert "K" not in found.reads


def test_numbers_of_outputs_are_found() -> None:
    """
    Of the history only what the cell names is taken.
    """
    assert find_names("y = Out[3]").outputs == (3,)


def test_imports_are_told_from_values() -> None:
    """
    A module that is imported is no value of the cell; a name that is also assigned is one.
    """
    found = find_names("import numpy as np\nfrom a import b, c\nc = 1\nx = np.pi")

    assert found.imports == ("np", "b")
    assert set(found.binds) == {"np", "b", "c", "x"}


def test_star_imports_are_told() -> None:
    """
    What a star import binds is not known; that there is one is.
    """
    assert find_names("from os.path import *").stars == ("os.path",)


def test_a_syntax_error_names_its_line() -> None:
    """
    A cell that is not Python is refused before anything is spent, with its line.
    """
    with pytest.raises(CellError, match="line 2"):
        find_names("x = 1\ny = = 2")


@pytest.mark.filterwarnings("ignore:.*make_tokens_by_line")
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@given(st.text(max_size=60))
def test_any_text_is_analysed_or_refused(source: str) -> None:
    """
    Whatever stands in a cell, the analysis returns or raises `CellError`.
    """
    try:
        found = find_names(source)
    except CellError as error:
        assert error.hint  # noqa: PT017 - either outcome is right
    else:
        assert isinstance(found.reads, tuple)
