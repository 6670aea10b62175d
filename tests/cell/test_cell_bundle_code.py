"""Functions and classes of a notebook do on the host what they do at home."""
# ruff: noqa: E501, ISC004 - each case is a small notebook, on as few lines as it takes

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cell_host import Host, notebook

from nosana_jupyter.cell import bundle
from nosana_jupyter.cell.names import find_names
from nosana_jupyter.errors import CannotTravel

# name of the case, earlier cells, the cell; it leaves `result`
CASES = [
    ("function", "k = 2\ndef f(x): return x * k", "result = f(3)"),
    ("recursion", "def f(n): return 1 if n < 2 else n * f(n - 1)", "result = f(5)"),
    (
        "mutual recursion",
        "def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)",
        "result = even(10), odd(10)",
    ),
    (
        "inner recursion",
        "def make():\n    def f(n): return 1 if n < 2 else n * f(n - 1)\n    return f\nf = make()",
        "result = f(5)",
    ),
    (
        "decorator",
        "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def wrapper(*a):\n"
        "        return 2 * f(*a)\n    return wrapper\n@twice\ndef f(x):\n    'Doc.'\n    return x",
        "result = f(3), f.__name__, f.__doc__, f.__wrapped__(3)",
    ),
    (
        "lru_cache",
        "import functools\n@functools.lru_cache(maxsize=7, typed=True)\n"
        "def f(n): return n if n < 2 else f(n - 1) + f(n - 2)",
        "result = f(30), f.cache_info().maxsize, f.__name__, f.cache_parameters()",
    ),
    (
        "cache in a class",
        "import functools\nclass K:\n    n = 0\n    @functools.cache\n    def f(self, x):\n"
        "        K.n += 1\n        return x\n    @functools.cached_property\n"
        "    def p(self):\n        K.n += 1\n        return 7\nk = K()",
        "result = k.f(1), k.f(1), k.p, k.p, K.n",
    ),
    (
        "dataclass",
        "from dataclasses import dataclass, field\n@dataclass(frozen=True, order=True)\nclass P:\n"
        "    x: int\n    y: list = field(default_factory=list, compare=False)\np = P(1, [2])",
        "import dataclasses\nresult = repr(p), p < P(2), dataclasses.asdict(p), hash(p) == hash(P(1))",
    ),
    (
        "dataclass with slots",
        "from dataclasses import dataclass\n@dataclass(slots=True)\nclass P:\n    x: int\n"
        "    y: int = 2\n    def both(self): return self.x + self.y\np = P(1)",
        "p.x = 5\nresult = repr(p), p.both(), hasattr(p, '__dict__')",
    ),
    (
        "enum",
        "import enum\nclass Color(enum.Enum):\n    RED = 1\n    BLUE = 'b'\n    CRIMSON = 1\n"
        "    def low(self): return self.name.lower()\nc = Color.RED\nd = {Color.BLUE: 1}",
        "result = c is Color.RED, c is Color(1), c.low(), Color['BLUE'].value, d[Color.BLUE], "
        "[m.name for m in Color], Color.CRIMSON is c",
    ),
    (
        "enum with init",
        "import enum\nclass Planet(enum.Enum):\n    EARTH = (5.9, 6.3)\n    MARS = (0.6, 3.3)\n"
        "    def __init__(self, mass, radius):\n        self.mass = mass\n"
        "        self.radius = radius\n    @property\n    def ratio(self): return self.mass / self.radius",
        "result = Planet.EARTH.mass, Planet.MARS.ratio, Planet((0.6, 3.3)).name",
    ),
    (
        "flags and others",
        "import enum\nclass F(enum.Flag):\n    A = enum.auto()\n    B = enum.auto()\n    C = A | B\n"
        "class I(enum.IntEnum):\n    X = 3\nclass S(enum.StrEnum):\n    LOW = enum.auto()",
        "result = (F.A | F.B) is F.C, I.X + 1, S.LOW == 'low', F.A in F.C, repr(F.A | F.B)",
    ),
    (
        "named tuples",
        "import collections, typing\nclass P(typing.NamedTuple):\n    x: int\n    y: str = 'a'\n"
        "    def both(self): return f'{self.x}{self.y}'\n"
        "Q = collections.namedtuple('Q', 'a b', defaults=[2])\np = P(1)\nq = Q(1)",
        "result = p.both(), repr(p), p._replace(x=2).both(), q.b, P._field_defaults, isinstance(p, P)",
    ),
    (
        "abstract class",
        "import abc\nclass A(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\n"
        "    @property\n    @abc.abstractmethod\n    def g(self): ...\n"
        "class B(A):\n    def f(self): return 1\n    g = 2\nA.register(dict)",
        "try:\n    A()\nexcept TypeError:\n    result = [isinstance(B(), A), isinstance({}, A)]",
    ),
    (
        "protocol",
        "from typing import Protocol, runtime_checkable\n@runtime_checkable\nclass Sized2(Protocol):\n"
        "    def size(self) -> int: ...\nclass Box:\n    def size(self): return 1",
        "result = isinstance(Box(), Sized2), isinstance(1, Sized2)",
    ),
    (
        "generic",
        "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass Box(Generic[T]):\n"
        "    def __init__(self, x: T): self.x = x\nclass Ints(Box[int]): pass\nb = Ints(3)\nA = Box[str]",
        "result = b.x, repr(A), Box[T].__parameters__ == (T,), A('a').x",
    ),
    (
        "super",
        "class A:\n    def __init__(self, x): self.x = x\n    def f(self): return ['A']\n"
        "class B(A):\n    def __init__(self, x):\n        super().__init__(x)\n        self.y = __class__\n"
        "    def f(self): return ['B', *super().f()]\nclass C(B):\n    def f(self): return ['C', *super().f()]\n"
        "c = C(1)",
        "result = c.f(), c.x, c.y is B, C.__mro__[1] is B, type(c) is C",
    ),
    (
        "slots",
        "class S:\n    __slots__ = ('a', '_b', '__c')\n    def __init__(self):\n        self.a = 1\n"
        "        self.__c = 3\n    def c(self): return self.__c\nclass T(S):\n    __slots__ = 'd'\ns = S()\nt = T()\nt.d = 4",
        "result = s.a, s.c(), hasattr(s, '_b'), hasattr(s, '__dict__'), t.d, t.c()",
    ),
    (
        "properties and methods",
        "class K:\n    n = 0\n    def __init__(self): self._x = 1\n    @property\n    def x(self):\n"
        "        'X.'\n        return self._x\n    @x.setter\n    def x(self, v): self._x = v\n"
        "    @staticmethod\n    def s(a): return a\n    @classmethod\n    def c(cls): cls.n += 1; return cls.n\nk = K()",
        "k.x = 5\nresult = k.x, K.x.__doc__, k.s(2), K.c(), k.c(), K.n",
    ),
    (
        "metaclass",
        "class M(type):\n    made = []\n    def __new__(meta, name, bases, space, **options):\n"
        "        cls = super().__new__(meta, name, bases, space)\n        cls.options = options\n"
        "        M.made.append(name)\n        return cls\n    def __call__(cls, *a):\n"
        "        return super().__call__(*a)\n    def __getitem__(cls, i): return cls, i\n"
        "class A(metaclass=M, level=3): pass\nclass B(A): pass",
        "result = A.options, type(A) is M, M.made, B['x'] == (B, 'x'), B().options",
    ),
    (
        "metaclass with arguments",
        "class M(type):\n    def __new__(meta, name, bases, space, *, level):\n"
        "        return super().__new__(meta, name, bases, {**space, 'level': level})\n"
        "    def __init__(cls, name, bases, space, *, level): super().__init__(name, bases, space)\n"
        "class A(metaclass=M, level=3): pass",
        "result = A.level, type(A) is M",
    ),
    (
        "init_subclass",
        "class Base:\n    registry = {}\n    def __init_subclass__(cls, *, tag, **options):\n"
        "        super().__init_subclass__(**options)\n        Base.registry[tag] = cls\n        cls.tag = tag\n"
        "class A(Base, tag='a'): pass\nclass B(Base, tag='b'):\n    def f(self): return 'B'",
        "result = sorted(Base.registry), Base.registry['b'] is B, B.tag, Base.registry['b']().f()",
    ),
    (
        "init_subclass met through the child",
        "class Base:\n    registry = {}\n    def __init_subclass__(cls):\n"
        "        Base.registry[cls.__name__] = cls\nclass A(Base):\n    def f(self): return 'A'\na = A()",
        "kind = type(a)\nresult = list(kind.registry), kind.registry['A'] is kind, kind.registry['A']().f()",
    ),
    (
        "enum with new",
        "import enum\nclass C(bytes, enum.Enum):\n    def __new__(cls, value, label):\n"
        "        obj = bytes.__new__(cls, [value])\n        obj._value_ = value\n        obj.label = label\n"
        "        return obj\n    X = (0, 'P.X')\n    Y = (1, 'P.Y')",
        "result = C.X.label, C(1).label, C.Y == b'\\x01', [c.name for c in C]",
    ),
    (
        "typed dict",
        "from typing import TypedDict\nclass D(TypedDict, total=False):\n    a: int\nd: D = {'a': 1}",
        "result = d, D(a=2), D.__annotations__, D.__total__",
    ),
    (
        "abstract metaclass",
        "import abc\nclass M(abc.ABCMeta):\n    def __setattr__(cls, n, v):\n        if n[0] != '_': raise TypeError(n)\n        super().__setattr__(n, v)\n"
        "class A(metaclass=M):\n    @abc.abstractmethod\n    def f(self): ...\nclass B(A):\n    def f(self): return 1",
        "result = B().f(), sorted(A.__abstractmethods__), isinstance(B(), A)",
    ),
    (
        "exception group and inheritance",
        "class E(ValueError):\n    code = 3\nclass L(list):\n    def total(self): return sum(self)\nl = L([1, 2])\nl.tag = 'x'",
        "try: raise E('a')\nexcept ValueError as e: result = e.code, str(e), l.total(), l.tag, [*l]",
    ),
    (
        "set_name",
        "class D:\n    names = []\n    def __set_name__(self, owner, name):\n        self.name = name\n"
        "        D.names.append(name)\n    def __get__(self, o, t): return self.name\nclass K:\n    field = D()",
        "result = K().field, D.names",
    ),
    (
        "defaults",
        "t = [1]\ndef f(a, b=t, /, c=3, *, d=t, e: int = 5) -> str:\n    b.append(a)\n    return b, d is b, c, e",
        "result = f(1), f(2)[1], f.__defaults__[0] is t, f.__kwdefaults__['e'], f.__annotations__",
    ),
    (
        "global of a function",
        "n = 0\ndef step():\n    global n\n    n += 1\n    return n",
        "step()\nstep()\nresult = n",
    ),
    (
        "global seen by a function",
        "n = 0\ndef read(): return n",
        "n = 5\nresult = read()",
    ),
    (
        "shared nonlocal",
        "def make():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n        return n\n"
        "    def get(): return n\n    return up, get\nup, get = make()",
        "up()\nup()\nresult = get()",
    ),
    (
        "unbound nonlocal",
        "def make():\n    def set(v):\n        nonlocal n\n        n = v\n    def get(): return n\n"
        "    if False: n = 0\n    return set, get\nput, get = make()",
        "put(3)\nresult = get()",
    ),
    (
        "lambdas in a dict",
        "k = 3\nd = {'add': lambda a: a + k, 'mul': lambda a: a * k}",
        "result = d['add'](1), d['mul'](2)",
    ),
    (
        "partial and bound methods",
        "import functools\nclass K:\n    n = 1\n    def m(self, a): self.n += a; return self.n\nk = K()\n"
        "bound = k.m\npart = functools.partial(k.m, 2)\nnative = [3, 1].sort",
        "result = bound(1), part(), k.n, bound.__self__ is k",
    ),
    (
        "singledispatch",
        "import functools\n@functools.singledispatch\ndef f(x): return 'any'\n@f.register\n"
        "def _(x: int): return 'int'\n@f.register(str)\ndef _(x): return 'str'\n"
        "class K:\n    @functools.singledispatchmethod\n    def m(self, x): return 'any'\n"
        "    @m.register\n    def _(self, x: int): return 'int'",
        "@f.register\ndef _(x: float): return 'float'\n"
        "result = f(1), f('a'), f(None), f(1.5), K().m(1), K().m('a')",
    ),
    (
        "async",
        "async def f(x):\n    return x + 1\nasync def g():\n    for i in range(3): yield await f(i)",
        "import asyncio\nasync def main(): return [i async for i in g()]\nresult = asyncio.run(main())",
    ),
    ("generator function", "def g(n):\n    yield from range(n)", "result = list(g(3))"),
    (
        "new type",
        "from typing import NewType, ParamSpec\nUser = NewType('User', int)\nP = ParamSpec('P')\ndef f(x: User): return x",
        "result = User(3), User.__name__, f(User(1)), f.__annotations__['x'] is User, P.__name__",
    ),
    ("module as value", "import json as j, math\nm = {'m': math}", "result = j.dumps([1]), m['m'].pi"),
    (
        "made module",
        "import types\nm = types.ModuleType('made')\nm.x = 1\nexec('def f(): return x', m.__dict__)",
        "result = m.x, m.f()",
    ),
    (
        "class in a function",
        "limit = 7\ndef f():\n    class K:\n        top = limit\n        def g(self): return limit\n    return K.top, K().g()",
        "result = f()",
    ),
    (
        "query in a function",
        "import pandas as pd\nthr = 1\ndef f(d): return d.query('a > @thr').a.tolist()",
        "result = f(pd.DataFrame({'a': [1, 2, 3]}))",
    ),
    (
        "eval in a function",
        "import pandas as pd\nu, v = pd.Series([1]), pd.Series([2])\ndef f(): return pd.eval('u + v').tolist(), eval('len(u)')",
        "result = f()",
    ),
    ("globals in a function", "k = 3\ndef f(): return globals()['k']", "result = f()"),
    (
        "import in an earlier cell",
        "import xml.dom.minidom",
        "result = xml.dom.minidom.parseString('<a b=\"1\"/>').documentElement.tagName",
    ),
    (
        "submodule in a function",
        "import concurrent.futures, os.path\ndef f():\n    def g():\n"
        "        with concurrent.futures.ThreadPoolExecutor(1) as pool: return pool.submit(len, 'abc').result()\n"
        "    return g(), os.path.basename('a/b')",
        "result = f()",
    ),
    ("futures", "import concurrent.futures", "result = concurrent.futures.Future().done()"),
    ("path", "import os.path", "result = os.path.join('a', 'b')"),
    ("of a package", "import sklearn.datasets", "result = sklearn.datasets.load_iris().data.shape"),
    (
        "weak dictionary",
        "import weakref\nclass K: pass\nk = K()\nw = weakref.WeakKeyDictionary({k: 1})\nv = weakref.WeakValueDictionary(a=k)",
        "result = w[k], v['a'] is k",
    ),
    (
        "streams",
        "import sys\ndef log(x, to=sys.stdout): print(x, file=to)\nerr = sys.stderr",
        "import sys\nlog('x')\nresult = err is sys.stderr, log.__defaults__[0] is sys.stdout",
    ),
    (
        "exception",
        "class E(Exception):\n    def __init__(self, a, b): super().__init__(a); self.b = b\n"
        "    def __reduce__(self): return type(self), (*self.args, self.b)\ne = E(1, 2)",
        "try: raise e\nexcept E as error: result = error.b, error.args",
    ),
    (
        "own getstate",
        "class K:\n    def __init__(self): self.a, self.b = 1, lambda: 0\n"
        "    def __getstate__(self): return {'a': self.a}\n    def __setstate__(self, s): self.a = s['a']\nk = K()",
        "result = k.a",
    ),
    (
        "descriptor and call",
        "class K:\n    def __call__(self, x): return x + 1\n    def __getattr__(self, name):\n"
        "        if name.startswith('_'): raise AttributeError(name)\n        return name\nk = K()",
        "result = k(1), k.anything",
    ),
    (
        "class attribute refers to the class",
        "class K:\n    pass\nK.me = K\nK.all = [K(), K()]",
        "result = K.me is K, type(K.all[0]) is K",
    ),
]  # fmt: skip


NEWER = [
    (
        "generic class",
        "class Base[T]:\n    def __init__(self, x: T) -> None: self.x = x\nclass Box[T](Base[T]):\n    def get(self) -> T: return self.x\nb = Box[int](3)",
        "result = b.get(), Box.__type_params__[0].__name__, repr(Box[str]), Box.__parameters__ == Box.__type_params__",
    ),
    ("generic function", "def f[T: int](a: T, *b: T) -> list[T]: return [a, *b]", "result = f(1, 2), f.__type_params__[0].__name__"),
    ("alias", "type Pair[T] = tuple[T, T]\ntype Name = str\ndef f(p: Pair[int], n: Name): return p", "result = f((1, 2), 'a'), Name.__value__, repr(Pair[int])"),
    ("f-string", "d = {'a': {'b': 1}}", "result = f'{d['a']['b']:>{'3'}}'"),
]  # fmt: skip


@pytest.mark.skipif(sys.version_info < (3, 12), reason="syntax of Python 3.12")
@pytest.mark.parametrize(
    ("before", "cell"), [case[1:] for case in NEWER], ids=[case[0] for case in NEWER]
)
def test_newer_code_travels(host: Host, before: str, cell: str) -> None:
    """
    So does what newer Pythons can say.
    """
    namespace = notebook(before)

    there = host.run(cell, namespace)
    exec(compile(cell, "<cell>", "exec", dont_inherit=True), namespace)
    assert there == namespace["result"]


@pytest.mark.parametrize(
    ("before", "cell"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_code_travels(host: Host, before: str, cell: str) -> None:
    """
    What a cell comes to on the host is what it comes to at home.
    """
    namespace = notebook(before)

    there = host.run(cell, namespace)
    exec(compile(cell, "<cell>", "exec", dont_inherit=True), namespace)
    assert there == namespace["result"]


REMOTE = """
import nosana_jupyter as nj
@nj.remote
def f(x): return 2 * x
@nj.remote(vram=8)
def count(n): return n and 1 + count(n - 1)
class K:
    @nj.remote
    def m(self, x): return f(x) + 1
k = K()
def g(x): return f(x) + k.m(x)
"""


@pytest.mark.parametrize(
    ("cell", "result"),
    [
        ("result = f(3)", 6),
        ("result = list(map(f, [1, 2]))", [2, 4]),
        ("result = count(3)", 3),
        ("result = k.m(3)", 7),
        ("result = K().m(3)", 7),
        ("result = g(3)", 13),
        ("result = {'f': f}['f'](f(1))", 4),
    ],
)
def test_remote_functions_are_plain_on_the_host(host: Host, cell: str, result: object) -> None:
    """
    What `@remote` made of a function or a method runs there as the function itself.
    """
    assert host.run(cell, notebook(REMOTE)) == result


def test_own_modules_with_remote_functions_are_imported(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    In the user's own modules, which are imported on the host as they are, `@remote` does nothing.
    """
    (tmp_path / "own_remote.py").write_text(
        "import nosana_jupyter\nfrom nosana_jupyter import remote\n"
        "@remote\ndef f(x): return 2 * x\n@nosana_jupyter.remote(vram=8)\ndef g(x): return f(x)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    namespace = notebook("from own_remote import g\nimport own_remote")
    there = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"

    assert host.run("result = g(3)", namespace) == 6
    assert host.run(there + "import own_remote\nresult = own_remote.g(4)", {}) == 8
    monkeypatch.delitem(sys.modules, "own_remote")


@pytest.mark.parametrize(
    ("code", "cell", "path"),
    [
        ("import nosana_jupyter as nj", "nj.run('1')", "nj (module)"),
        ("from nosana_jupyter import run", "run('1')", "run (function)"),
        ("import nosana_jupyter as nj\ndef f(): return nj.run('1')", "f()", "f → nj (module)"),
        ("from nosana_jupyter.settings import Settings\ns = Settings()", "s.timeout", "s ("),
    ],
)
def test_our_own_part_stays_here(code: str, cell: str, path: str) -> None:
    """
    What a host does not have of this package is refused before anything is spent.
    """
    namespace = notebook(code)
    values = bundle.collect(find_names(cell), namespace)

    with pytest.raises(CannotTravel) as caught:
        bundle.pack(values, namespace)
    assert str(caught.value).startswith(path)
    assert "only the runner's part" in str(caught.value)
