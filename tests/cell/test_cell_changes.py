"""What a cell changes in place: it must come back, or the notebook goes on with stale values."""

from __future__ import annotations

import ast
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from cell_host import notebook

from nosana_jupyter.cell.changes import find_changes
from nosana_jupyter.cell.names import find_names

# cell, names of `OUTSIDE` whose values it may change
OUTSIDE = "a b c d df df2 x y obj rows lst arr model opt q w f"
CASES = [
    ("df['b'] = df.a * 2", "df"),
    ("df.loc[0, 'b'] = 1", "df"),
    ("df.loc[df.a > 1, 'b'] = 1", "df"),
    ("df.columns = ['x']", "df"),
    ("df.a.iloc[0] = x", "df"),
    ("lst.append(x)", "lst"),
    ("lst[0].append(x)", "lst"),
    ("arr[0] = 9", "arr"),
    ("arr[arr > 0] += 1", "arr"),
    ("d['k'] = lst", "d"),
    ("d['k']['l'] += 1", "d"),
    ("d.setdefault('k', []).append(1)", "d"),
    ("d.get('k').append(1)", "d"),
    ("obj.x = 1", "obj"),
    ("obj.a.b[0].c = 1", "obj"),
    ("obj.n: int = 1", "obj"),
    ("obj.n: int", "obj"),
    ("del d['k']", "d"),
    ("del obj.x, lst[0]", "obj lst"),
    ("for d['i'] in range(3): pass", "d"),
    ("for i, obj.j in enumerate(q): pass", "obj"),
    ("with open('f') as obj.file: pass", "obj"),
    ("(a, b[0], *c.d) = q", "b c"),
    ("x += [1]", "x"),
    ("y = x\ny += [1]", "x y"),
    # aliases
    ("y = lst\ny.append(1)", "lst y"),
    ("y = lst[0]\ny.append(1)", "lst y"),
    ("for row in rows: row['x'] = 1", "rows"),
    ("for k, v in d.items(): v.append(k)", "d"),
    ("for i, row in enumerate(rows): row.x = 1", "rows"),
    ("for p, q in zip(a, b): p[0] = 1", "a"),
    ("for v in (df, df2): v['x'] = 1", "df df2"),
    ("for v in tqdm(rows): v['x'] = 1", "rows"),
    ("for v in [r for r in rows if r]: v['x'] = 1", "rows"),
    ("for v in arr: v *= 2", "arr"),
    ("both = [a, b]\nfor v in both: v.append(1)", "a b"),
    ("both = [a, b]\nboth[0].append(1)", "a b"),
    ("both = [a, b]\nboth.append(1)", ""),
    ("first, *rest = rows\nfirst['x'] = 1", "rows"),
    ("(v := lst).append(1)", "lst"),
    ("(a if x else b).append(1)", "a b"),
    ("(a or b).append(1)", "a b"),
    ("v = np.asarray(arr)\nv[0] = 1", "arr"),
    ("v = arr.reshape(2, 2)\nv[0] = 1", "arr"),
    ("v = iter(rows)\nnext(v)['x'] = 1", "rows"),
    ("match rows:\n    case [r, *_]:\n        r['x'] = 1", "rows"),
    ("[r.update(x=1) for r in rows]", "rows"),
    ("[r.update(x=1) for r in rows for s in r]", "rows"),
    ("globals()['lst'].append(1)", "lst"),
    ("get_ipython().user_ns['lst'].append(1)", "lst"),
    # what makes something new changes nothing
    ("df2 = df.dropna()\ndf2['x'] = 1", "df2"),
    ("df2 = df[df.a > 1]\ndf2['x'] = 1", "df2"),
    ("df2 = df[['a']]\ndf2['x'] = 1", "df2"),
    ("df2 = df.copy()\ndf2['x'] = 1", "df2"),
    ("df.set_index('a')", ""),
    ("df.eval('a + b')", ""),
    ("y = sorted(lst)", ""),
    ("y = lst + [1]\ny.append(1)", "y"),
    ("for i, row in df.iterrows(): row['x'] = 1", ""),
    ("for k, g in df.groupby('a'): g['x'] = 1", ""),
    ("print(lst, d['k'], obj.x)", ""),
    ("df.sort_values('a', inplace=False)", ""),
    # methods and functions that are known to
    ("df.sort_values('a', inplace=True)", "df"),
    ("df.a.fillna(0, inplace=x)", "df"),
    ("np.add(a, b, out=c)", "c"),
    ("np.add(a, b, out=(c,))", "c"),
    ("np.add.at(arr, x, 1)", "arr"),
    ("random.shuffle(lst)", "lst"),
    ("np.random.default_rng().shuffle(lst)", "lst"),
    ("shuffle(lst)", "lst"),
    ("heapq.heappush(lst, 1)", "lst"),
    ("bisect.insort(lst, 1)", "lst"),
    ("np.fill_diagonal(arr, 0)", "arr"),
    ("np.copyto(arr, a)", "arr"),
    ("setattr(obj, 'x', 1)", "obj"),
    ("dict.update(d, a)", "d"),
    ("dict.update(d['k'], a)", "d"),
    ("model.fit(a, b).predict(c)", "model"),
    ("y = model.fit_transform(a)", "model"),
    ("model.eval()", "model"),
    ("opt.step()", "opt"),
    ("arr.zero_()", "arr"),
    ("torch.nn.init.normal_(w)", "w"),
    ("torch.nn.utils.clip_grad_norm_(model.parameters(), 1)", "model"),
    ("q.put(1)", "q"),
    ("obj.add_node(1)", "obj"),
    ("put = lst.append\nput(1)", "lst"),
    ("list(map(lst.append, q))", "lst"),
    ("y = obj.train", ""),
    # text, functions, classes
    ("%time lst.append(1)", "lst"),
    ("%%time\nlst.append(1)", "lst"),
    ("exec('lst.append(1)')", "lst"),
    ("def g():\n    lst.append(1)\ng()", "lst"),
    ("def g():\n    lst = []\n    lst.append(1)\ng()", ""),
    ("def g(lst):\n    lst.append(1)", ""),
    ("def g(z):\n    z.append(1)\ng(lst)", "lst"),
    ("def g(k, z=None):\n    z.append(1)\ng(1, z=lst)", "lst"),
    ("def g(z):\n    v = z[0]\n    v.append(1)\ng(lst)", "lst"),
    ("def h(z):\n    z.append(1)\ndef g(z):\n    h(z)\ng(lst)", "lst"),
    ("def g(z):\n    g(z[1:])\n    z.append(1)\ng(lst)", "lst"),
    ("def g():\n    global x\n    x += [1]", "x"),
    ("def g():\n    def h():\n        lst.append(1)\n    h()", "lst"),
    ("def g():\n    v = []\n    def h():\n        v.append(1)\n    h()", ""),
    ("g = lambda z: z.append(1)\ng(lst)", "lst"),
    ("list(map(lambda z: lst.append(z), q))", "lst"),
    ("class K:\n    def m(self):\n        self.x = 1\nobj.m()", "obj"),
    ("class K:\n    def m(self, z):\n        z.x = 1\nobj.m(a)", "a"),
    ("class K:\n    lst.append(1)", "lst"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "changes"), CASES)
def test_changes(source: str, changes: str) -> None:
    """
    What a cell may change in place is told, by all names it may be known by.
    """
    found = [name for name in find_names(source).changes if name in OUTSIDE.split()]

    assert sorted(found) == sorted(changes.split())


def changes(cell: str, namespace: dict[str, Any]) -> set[str]:
    """Return the names of a notebook that a cell changes, but for its modules."""
    found = find_changes(ast.parse(cell), namespace)
    return {
        name
        for name in found
        if name in namespace and not isinstance(namespace[name], types.ModuleType)
    }


def test_functions_of_the_notebook_are_looked_into() -> None:
    """
    What a function changes, be it a global or its argument, is changed by the cell that calls it.
    """
    namespace = notebook(
        "lst, d = [], {}\ndef put(): lst.append(1)\ndef fill(x, y): y['k'] = x\n"
        "def both(z):\n    put()\n    fill(1, z)\ndef only_reads(x): return x[0]"
    )

    assert changes("put()", namespace) == {"lst"}
    assert changes("fill(lst, d)", namespace) == {"d"}
    assert changes("both(z=d)", namespace) == {"lst", "d"}
    assert changes("only_reads(lst)", namespace) == set()


def test_methods_of_the_notebook_are_looked_into() -> None:
    """
    A method that changes its object changes the name it is called on.
    """
    namespace = notebook(
        "class Counter:\n    n = 0\n    def add(self): self.n += 1\n"
        "    def tell(self): return self.n\n    def count(self):\n        self.add()\n"
        "    def into(self, other): other.n = self.n\n"
        "one, two = Counter(), Counter()"
    )

    assert changes("one.count()", namespace) == {"one"}
    assert changes("one.tell()", namespace) == set()
    assert changes("one.into(two)", namespace) == {"two"}


def test_functions_of_own_modules_are_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    So are those of the user's own modules, but for what they do to names there.
    """
    (tmp_path / "own_changing.py").write_text(
        "seen = []\ndef add(frame):\n    seen.append(1)\n    frame['x'] = 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    namespace = notebook("import own_changing\nfrom own_changing import add\ndf, seen = {}, []")

    assert changes("add(df)", namespace) == {"df"}
    assert changes("own_changing.add(df)", namespace) == {"df"}
    monkeypatch.delitem(sys.modules, "own_changing")


def test_decorated_functions_are_looked_into() -> None:
    """
    So are functions behind decorators; an object that wraps itself for ever holds nothing up.
    """
    namespace = notebook(
        "import functools\nlst = []\n@functools.cache\ndef put(): lst.append(1)\n"
        "class Endless:\n    pass\nendless = Endless()\nendless.__wrapped__ = endless"
    )

    assert changes("put()", namespace) == {"lst"}
    assert changes("endless(lst)", namespace) == set()


def test_functions_without_source_are_passed_over() -> None:
    """
    Made by `exec`, or by C: nothing is known of them, and nothing fails.
    """
    namespace: dict[str, Any] = {"lst": [], "p": print, "n": types.SimpleNamespace()}
    exec("def f(x): x.append(1)", namespace)

    assert changes("f(lst), p(lst), n.q(lst)", namespace) == set()
