"""What cannot travel is named: where it is, what it is, why, and what to do."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import multiprocessing
import socket
import sqlite3
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cell_host import notebook
from solders.keypair import Keypair

from nosana_jupyter import settings
from nosana_jupyter.cell import bundle
from nosana_jupyter.cell.travel import why_it_stays
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import CannotTravel


class FakeTensor:
    """A tensor as torch has it, as far as one looks at it from outside."""

    def __init__(self, *, is_cuda: bool) -> None:
        self.is_cuda = is_cuda


FakeTensor.__module__ = "torch"


class Things:
    """Makes things that stay, and closes them."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.stack = stack

    def file(self, mode: str = "w") -> Any:
        return self.stack.enter_context((self.folder / "file").open(mode))

    def connection(self) -> sqlite3.Connection:
        return self.stack.enter_context(contextlib.closing(sqlite3.connect(":memory:")))

    def socket(self) -> socket.socket:
        return self.stack.enter_context(socket.socket())

    def loop(self) -> asyncio.AbstractEventLoop:
        return self.stack.enter_context(contextlib.closing(asyncio.new_event_loop()))

    def future(self) -> asyncio.Future[Any]:
        return self.loop().create_future()

    def process(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        return process

    def coroutine(self) -> Any:
        async def nothing() -> None: ...

        coroutine = nothing()
        self.stack.callback(coroutine.close)
        return coroutine

    def pool(self) -> ThreadPoolExecutor:
        return self.stack.enter_context(ThreadPoolExecutor(1))

    def memory(self) -> memoryview:
        return self.stack.enter_context(memoryview(b"abc"))


@pytest.fixture
def things(tmp_path: Path) -> Iterator[Things]:
    with contextlib.ExitStack() as stack:
        yield Things(tmp_path, stack)


def error() -> BaseException:
    try:
        raise ValueError
    except ValueError as caught:
        return caught


# what is made, its type, why it stays, what to do
TABLE: list[tuple[Callable[[Things], Any], str, str, str]] = [
    (lambda _: threading.Lock(), "_thread.lock", "a lock guards memory", "Make it inside"),
    (lambda _: threading.RLock(), "_thread.RLock", "a lock guards memory", "Make it inside"),
    (lambda _: threading.Event(), "threading.Event", "a lock guards memory", "Make it inside"),
    (lambda _: threading.Semaphore(), "threading.Semaphore", "a lock guards", "Make it inside"),
    (lambda _: threading.Thread(), "threading.Thread", "a thread belongs", "Start it inside"),
    (lambda t: t.pool(), "concurrent.futures.thread.ThreadPoolExecutor", "workers", "Start it"),
    (lambda t: t.process(), "subprocess.Popen", "a process belongs", "Start it in the cell"),
    (
        lambda _: multiprocessing.Process(target=len),
        "multiprocessing.context.Process", "a process belongs", "Start it in the cell",
    ),
    (lambda t: t.socket(), "socket.socket", "a connection ends at this machine", "Open it inside"),
    (lambda t: t.connection(), "sqlite3.Connection", "a database connection", "Read what you need"),
    (lambda t: t.connection().cursor(), "sqlite3.Cursor", "a database", "Read what you need"),
    (lambda t: t.file(), "_io.TextIOWrapper", "an open file", "Read it first"),
    (lambda t: t.file("wb"), "_io.BufferedWriter", "an open file", "Read it first"),
    (lambda _: (i for i in "ab"), "generator", "half-way", "Take its values first"),
    (lambda t: t.coroutine(), "coroutine", "half-way", "Take its values first"),
    (
        lambda t: t.loop(),
        "asyncio.unix_events._UnixSelectorEventLoop", "event loop", "Make it inside",
    ),
    (lambda t: t.future(), "_asyncio.Future", "event loop", "Make it inside"),
    (lambda _: sys._getframe(), "frame", "points into code that runs here", "Keep its text"),
    (lambda _: error().__traceback__, "traceback", "points into code", "Keep its text"),
    (lambda _: weakref.ref(Things), "weakref.ReferenceType", "points at an object", "Send the"),
    (lambda t: t.memory(), "memoryview", "a window on memory", "Send bytes"),
    (lambda _: contextvars.copy_context(), "_contextvars.Context", "of this process", "Make it in"),
    (lambda _: Keypair(), "solders.keypair.Keypair", "it is a key", "Sign here"),
    (lambda _: Wallet.new(), "nosana_jupyter.chain.wallet.Wallet", "", ""),
    (lambda _: settings.load(), "nosana_jupyter.settings.choices.Settings", "", ""),
    (lambda _: FakeTensor(is_cuda=True), "torch.FakeTensor", "memory of a GPU", "x.cpu()"),
]  # fmt: skip


def ids() -> list[str]:
    return [row[1] for row in TABLE]


@pytest.mark.parametrize(("make", "kind", "why", "hint"), TABLE, ids=ids())
def test_what_stays(
    things: Things, make: Callable[[Things], Any], kind: str, why: str, hint: str
) -> None:
    """
    Each thing that stays is told with its name, its type, why, and what to do.
    """
    thing = make(things)

    with pytest.raises(CannotTravel) as caught:
        bundle.pack({"fine": 1, "x": thing}, {})
    told = str(caught.value).replace("weakref.weakref", "weakref.ReferenceType")
    assert told.startswith(f"x ({kind}) cannot travel: ")
    assert why in told
    assert told.endswith("Nothing was spent")
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("x = {'a': [1, lock]}", "x['a'][1]"),
        ("x = (lock,)", "x[0]"),
        ("class K: pass\nx = K()\nx.inner = K()\nx.inner.lock = lock", "x.inner.lock"),
        ("class x:\n    part = lock", "x.part"),
        ("class K:\n    part = lock\nx = K()", "x → K.part"),
        ("class K:\n    __slots__ = 'part'\nx = K()\nx.part = lock", "x.part"),
        ("def x(): return lock", "x → lock"),
        ("def g(): return lock\ndef x(): return g()", "x → g → lock"),
        ("def make():\n    held = lock\n    return lambda: held\nx = make()", "x → held"),
        ("def x(a=lock): pass", "x's default 0"),
        ("def x(*, a=lock): pass", "x's default a"),
        ("import functools\nx = functools.partial(len, lock)", "x.args[0]"),
        ("import functools\nx = functools.partial(print, end=lock)", "x.keywords['end']"),
        ("class K:\n    def m(self): return lock\nx = K().m", "x → lock"),
        ("class K:\n    def m(self): return lock\nx = [K()]", "x[0] → K.m → lock"),
        ("class K:\n    @property\n    def p(self): return lock\nx = K()", "x → K.p → lock"),
        (
            "import functools\n@functools.lru_cache\ndef x(): return lock",
            "x → lock",
        ),
        ("import collections\nx = collections.deque([lock])", "x[0]"),
        (
            "from dataclasses import dataclass\n@dataclass\nclass D:\n    at: object\nx = D(lock)",
            "x.at",
        ),
        ("x = {lock: 1}", "a key of x"),
        ("import types\nx = types.SimpleNamespace(a=lock)", "x.a"),
        ("x = [0] * 5000 + [lock]", "x[5000]"),
    ],
)
def test_where_it_is(code: str, path: str) -> None:
    """
    What stays is found wherever it hides.
    """
    namespace = notebook("import threading\nlock = threading.Lock()", code)

    with pytest.raises(CannotTravel) as caught:
        bundle.pack({"x": namespace["x"]}, namespace)
    assert str(caught.value).startswith(f"{path} (_thread.lock) cannot travel: a lock guards")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("def __getstate__(self): raise KeyError('gone')", "KeyError: 'gone'"),
        ("def __reduce__(self): raise Own('no')", "Own: no"),
        ("def __reduce__(self): return 1 / 0", "ZeroDivisionError: division by zero"),
        ("def __reduce__(self): raise StopIteration", "StopIteration."),
        ("def __reduce__(self): raise AssertionError", "AssertionError."),
        ("def __reduce__(self): return 3", "PicklingError: "),
        ("def __getstate__(self): assert False, 'line\\n  two'", "AssertionError: line two"),
    ],
)
def test_a_pickle_that_raises_is_told(body: str, told: str) -> None:
    """
    Whatever an object raises when it is pickled, the user is told which it is and why.
    """
    namespace = notebook(f"class Own(Exception): pass\nclass K:\n    {body}\nx = {{'k': [K()]}}")

    with pytest.raises(CannotTravel) as caught:
        bundle.pack({"x": namespace["x"]}, namespace)
    assert str(caught.value).startswith(
        f"x['k'][0] (__main__.K) cannot travel: pickling it fails: {told}"
    )
    assert caught.value.hint


def test_a_long_way_is_told_in_short() -> None:
    """
    Where a part is that lies thousands of containers deep fits into a line.
    """
    namespace = notebook("x = []\nfor _ in range(5000): x = [x]")

    with pytest.raises(CannotTravel, match="it is nested too deeply") as caught:
        bundle.pack({"x": namespace["x"]}, namespace)
    assert str(caught.value).startswith("x[0][0]")
    assert len(str(caught.value)) < 250


def test_what_only_looks_like_it_travels() -> None:
    """
    Tensors of the CPU, texts in memory and weak dictionaries are no reason to refuse.
    """
    namespace = notebook("import io, weakref\nx = io.StringIO('a'), io.BytesIO(b'b')")

    assert bundle.pack({"x": namespace["x"]}, namespace).names == ("x",)


def test_an_interrupt_is_no_reason() -> None:
    """
    A user who interrupts while something large is packed is not told that it cannot travel.
    """
    namespace = notebook("class K:\n    def __getstate__(self): raise KeyboardInterrupt\nx = K()")

    with pytest.raises(KeyboardInterrupt):
        bundle.pack({"x": namespace["x"]}, namespace)


class TypedStorage:
    """What is under a tensor, and warns when it is asked anything."""

    @property
    def is_cuda(self) -> bool:
        raise AssertionError("TypedStorage is deprecated")


TypedStorage.__module__ = "torch.storage"


def test_storages_of_tensors_are_not_asked() -> None:
    """The tensor around a storage says where it lies; the storage would only warn."""
    assert why_it_stays(TypedStorage()) is None
