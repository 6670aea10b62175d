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
    ("shell capture", "out = !ls", "", "out"),
    ("line magic time", "%time y = f(x)", "f x", "y"),
    ("timeit", "%timeit -n 10 -r 3 f(x)", "f x", ""),
    ("cell magic time", "%%time\ny = f(x)", "f x", "y"),
    ("cell magic capture", "%%capture out\ny = f(x)", "f x", "y out"),
    ("nested cell magics", "%%time\n%%capture c\ny = x", "x", "y c"),
    ("help", "x?", "", ""),
    ("ellipsis and semicolon", "f(x);", "f x", ""),
    ("conditional expression", "y = a if c else b", "c a b", "y"),
    ("slice", "y = x[i:j:k]", "x i j k", "y"),
    ("chained", "a = b = c", "c", "a b"),
    ("output", "y = Out[3] + _", "Out _", "y"),
    ("return ends", "def f():\n    if a:\n        return b\n    return c", "a b c", "f"),
    ("called early", "def f():\n    return x\ny = f()\nx = 1", "x", "f y x"),
    ("called late", "def f():\n    return x\nx = 1\ny = f()", "", "f x y"),
    ("called through", "def g():\n  return x\ndef f():\n  return g()\nf()\nx = 1", "x", "g f x"),
    ("while break", "while True:\n  if c:\n    break\n  x = 1\ny = x", "c x", "x y"),
    ("while two breaks", "while 1:\n  x = 1\n  if c: break\n  y = 1\n  break\nx, y", "c y", "x y"),
    ("for else raises", "for i in r:\n  x = 1\n  break\nelse:\n  raise E\nx", "r E", "i x"),
    ("and", "if a and (m := f()):\n    m.x", "a f", "m"),
    ("or", "if a or (m := f()):\n    m.x", "a f m", "m"),
    ("not and", "if not (a and (m := f())):\n    pass\nelse:\n    m.x", "a f", "m"),
    ("assert", "assert (m := f()), 'none'\nm.x", "f", "m"),
    ("class comprehension", "class K:\n    a = 1\n    b = [a for _ in r]", "r a", "K"),
    ("class generator", "class K:\n    a = [1]\n    b = [i for i in a]", "", "K"),
    ("class own", "class K:\n    a = a\n    b = a", "a", "K"),
    ("eval own", "exec('x = 1', {})\ny = x", "x", "y"),
    ("timeit own", "%timeit x = f()\ny = x", "f x", "y"),
    ("eval keyword", "y = eval('a', None)", "a", "y"),
    ("slice in time", "%time y = x[1:k]", "x k", "y"),
    ("del in branch", "if c:\n    x = 1\n    del x", "c", "x"),
    ("match class", "match p:\n    case P(a, b=[c]) | Q(a, c):\n        a, c", "p P Q", "a c"),
    ("finally binds", "try:\n    pass\nfinally:\n    x = 1\nx", "", "x"),
    ("attribute augmented", "o.n += k", "k o", ""),
    ("subscript augmented", "d[i] += k", "k d i", ""),
    ("starred", "a, *b = c", "c", "a b"),
    ("try else", "try:\n  f()\nexcept E:\n  raise\nelse:\n  x = 1\nx", "f E", "x"),
    ("lambda late", "f = lambda: g()\ndef g():\n    return k\nf()", "k", "f g"),
    ("globals binds", "globals()['x'] = 1\ny = x", "", "x y"),
    ("unpack in for", "for a, (b, c) in d:\n    a, b, c", "d", "a b c"),
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
    known = {"ValueError", "open", "len", "print", "sum", "eval", "exec", "get_ipython", "globals"}

    assert [name for name in found.reads if name not in known] == reads.split()
    assert sorted(found.binds) == sorted(binds.split())


# cell, names that it may mean
MENTIONS = [
    ("!echo {x} $y $$z", "x y"),
    ("!echo {d['a']} {x[1:k]:>{w}}", "d x k w"),
    ("out = !ls {folder}/{name!r}", "folder name"),
    ("%cd {folder}", "folder"),
    ("%run -i script.py $x {y}", "y x"),
    ("%%bash\necho $HOME {x}", ""),
    ("%%R -i frame,limit\nprint(frame)", "frame limit"),
    ("pd.eval('a + b')", "a b"),
    ("numexpr.evaluate('a * b')", "a b"),
    ("duckdb.sql('select * from frame f, other where x > 1')", "frame other"),
    ("con.execute(f'FROM frame JOIN {t} ON a = b')", "frame"),
    ('duckdb.query("""select a from "frame" left join side as s using (k)""")', "frame side"),
    ("q = 'select * from frame'", "frame"),
    ("q = 'a letter from frame to join'", ""),
    ("%%sql\nselect * from frame", "frame"),
    ("def f():\n    return duckdb.sql('select * from frame')", "frame"),
    ("y = globals()['x']", "x"),
    ("y = locals().get('x')", "x"),
    ("y = 'x' in globals()", "x"),
    ("y = get_ipython().user_ns['x']", "x"),
    ("with suppress(E):\n    x = f()\ny = x", "x"),
    ("with contextlib.suppress(E):\n    x = f()\ny = x", "x"),
    ("with no_grad():\n    x = f()\ny = x", ""),
    ("[last := i for i in r]\nlast", "last"),
    ("a and (x := 1)\nx", "x"),
    ("y = (x := 1) if a else 2\nx", "x"),
    ("try:\n    x = f()\nfinally:\n    x.close()", "x"),
    ("try:\n    x = f()\nexcept E:\n    x\n    raise\nx", "x"),
    ("def f():\n    global x\n    x = 1\nf()\nx", "x"),
    ("r = map(lambda i: i + k, s)\nk = 1", "k"),
    ("def f():\n    return k\nr = map(f, s)\nk = 1", "k"),
    ("class K:\n    def m(self):\n        return k\nK().m()\nk = 1", ""),
    ("class K:\n    if c:\n        a = 1\n    b = a", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "mentions"), MENTIONS)
def test_mentions(source: str, mentions: str) -> None:
    """
    What a cell only may mean is told from what it reads, so that nobody is warned in vain.
    """
    found = find_names(source)

    assert list(found.mentions) == mentions.split()


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("x = 1\nreturn x", 2),
        ("x = 1\nif x:\n    break", 3),
        ("continue", 1),
        ("yield 1", 1),
        ("x = 1\n\nx = (yield)", 3),
        ("nonlocal x", 1),
        ("def f(a, a):\n    pass", 1),
        ("def f():\n    x = 1\n    global x", 3),
        ("class K:\n    return 1", 2),
        ("%%time\nreturn 1", 2),
        ("x = 1\nf(x) = 2", 2),
        ("x = 1\n  y = 2", 2),
    ],
)
def test_what_cannot_run_is_refused(source: str, line: int) -> None:
    """
    What Python would refuse on the host is refused here, by its line.
    """
    with pytest.raises(CellError, match=rf"in line {line}\b.*Nothing was spent"):
        find_names(source)


@pytest.mark.parametrize(
    "source",
    ["x = '\\d'", "x is 1", "await f()", "async for i in f():\n    pass", "[await f() for f in g]",
     "1 in (1)(2)", "def f():\n    return 1", "assert (x, 'y')"],
)  # fmt: skip
def test_what_only_warns_is_not_refused(source: str) -> None:
    """
    A warning of the compiler is no error, also where warnings are errors. Nor is `await`.
    """
    assert isinstance(find_names(source).reads, tuple)


def test_what_is_nested_too_deeply_is_refused() -> None:
    """
    An expression that overflows the stack is refused as any other.
    """
    with pytest.raises(CellError):
        find_names("x = " + "-" * 5000 + "1")


def test_chains() -> None:
    """
    Attributes of names are told, since some may be modules.
    """
    found = find_names("xml.dom.minidom.parseString(a.b)\ndef f(c):\n    return c.d, e.g()")

    assert found.chains == ("xml.dom.minidom.parseString", "a.b", "e.g")


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


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("print(", "line 1: '(' was never closed. Nothing was spent\n\n    print(\n         ^"),
        ("x = 1\n  y = = 2", "line 2: unexpected indent. Nothing was spent\n\n    y = = 2"),
        (
            "\n\nif x:\n    y = = 2",
            "line 4: invalid syntax. Nothing was spent\n\n    y = = 2\n        ^",
        ),
        ("é = 1; return 2", "    é = 1; return 2\n           ^^^^^^^^"),
        ("def f(a,\ta):\n    pass", "    def f(a,\ta):\n            \t^"),
        ("%%time\nf(x) = 2", "line 2: cannot assign to function call here."),
        ("%%time\nf(x) = 2", "    f(x) = 2\n    ^^^^"),
        ("y = !ls\nx = 'abc", "    x = 'abc\n        ^"),
    ],
)
def test_a_syntax_error_shows_its_place(source: str, shown: str) -> None:
    """
    The line stands in the error with a caret under the place, as Python shows it.
    """
    with pytest.raises(CellError) as caught:
        find_names(source)

    assert shown in str(caught.value)
    assert not caught.value.hint


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
        assert "Nothing was spent" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert isinstance(found.reads, tuple)
