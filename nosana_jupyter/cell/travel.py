"""
What cannot leave this machine, and what to do about it.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import io
import socket
import sqlite3
import subprocess
import threading
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from multiprocessing.process import BaseProcess
from typing import Any

from ..errors import CannotTravel
from ..wire.launch import PACKED
from .packages import OURS
from .reach import read_names


class Elsewhere:
    """Base of what stands here for a value that lives with a host."""

    lives_as = ""
    """Its name there. Empty: it lives no more."""

    made_by = ""
    """Name of its class."""

    serial = 0
    """Tells it from all others of this process."""

    def _stays(self) -> tuple[str, str]:
        """Say where it is, as the end of a sentence, and what to do about it."""
        return "its value is not here", "Make it again inside the cell."


_LOCKS = (
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Condition,
    threading.Semaphore,
    threading.Event,
    threading.Barrier,
)

# Types, why they stay, and what to do. The first that fits counts.
_STAY: tuple[tuple[tuple[type, ...], str, str], ...] = (
    (_LOCKS, "a lock guards memory of this process", "Make it inside the cell."),
    ((threading.Thread,), "a thread belongs to this process", "Start it inside the cell."),
    ((BaseProcess, subprocess.Popen), "a process belongs to this machine", "Start it in the cell."),
    ((socket.socket,), "a connection ends at this machine", "Open it inside the cell."),
    (
        (sqlite3.Connection, sqlite3.Cursor),
        "a database connection ends at this machine",
        "Read what you need first, or connect inside the cell.",
    ),
    (
        (io.IOBase,),
        "an open file belongs to this process",
        "Read it first, or open it inside the cell.",
    ),
    (
        (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType),
        "it is half-way through its work",
        "Take its values first, as in list(…), or make it inside the cell.",
    ),
    (
        (asyncio.AbstractEventLoop, asyncio.Future, asyncio.Queue, asyncio.Lock, asyncio.Event),
        "it belongs to this process's event loop",
        "Make it inside the cell.",
    ),
    (
        (types.FrameType, types.TracebackType),
        "it points into code that runs here",
        "Keep its text, as in str(…).",
    ),
    ((contextvars.Context, contextvars.Token), "it is of this process", "Make it in the cell."),
    ((weakref.ReferenceType, weakref.ProxyType), "it points at an object here", "Send the object."),
    ((memoryview,), "it is a window on memory here", "Send bytes(…) of it."),
)

# The same for types of packages that need not be here, by module and name.
_STAY_BY_NAME: dict[tuple[str, str], tuple[str, str]] = {
    ("concurrent.futures._base", "Executor"): (
        "its workers belong to this machine",
        "Start it inside the cell.",
    ),
    ("multiprocessing.pool", "Pool"): (
        "its workers belong to this machine",
        "Start it inside the cell.",
    ),
    ("solders.keypair", "Keypair"): (
        "it is a key, and a host is a stranger",
        "Sign here, and send what is signed.",
    ),
    ("_thread", "_local"): ("each thread here has its own", "Make it inside the cell."),
    ("_csv", "reader"): ("it is half-way through its work", "Take its rows first, as in list(…)."),
    ("ssl", "SSLContext"): ("a connection ends at this machine", "Make it inside the cell."),
    ("tqdm.std", "tqdm"): ("it draws where it was made", "Make it inside the cell."),
    **dict.fromkeys(
        [
            ("psycopg2.extensions", "connection"),
            ("psycopg", "Connection"),
            ("pymysql.connections", "Connection"),
            ("MySQLdb.connections", "Connection"),
            ("_duckdb", "DuckDBPyConnection"),
            ("duckdb.duckdb", "DuckDBPyConnection"),
            ("pymongo.synchronous.mongo_client", "MongoClient"),
            ("redis.client", "Redis"),
            ("sqlalchemy.engine.base", "Connection"),
            ("sqlalchemy.engine.base", "Engine"),
            ("sqlalchemy.orm.session", "Session"),
        ],
        (
            "a database connection ends at this machine",
            "Read what you need first, or connect inside the cell.",
        ),
    ),
    ("nosana_jupyter.notebook.display", "Result"): (
        "it is what an earlier cell has shown, without its value",
        "Give the value a name in the cell that makes it.",
    ),
    ("IPython.core.interactiveshell", "InteractiveShell"): (
        "it is this notebook itself",
        "Call get_ipython() inside the cell.",
    ),
}


_ON_HOSTS = frozenset(name.removesuffix(".py") for name in PACKED)
"""Modules of this package that are there."""

_LEFT_HERE = (
    "a host has only the runner's part of nosana_jupyter",
    "Leave it out: on the host the code runs where it is.",
)

_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray})
"""Types of which every value travels."""

_LOOKED_AT = 100_000
"""Most parts of one value that are tried, each by itself."""

_PATH = 120
"""Longest way to a part that is told whole, in characters."""


def why_it_stays(value: Any) -> tuple[str, str] | None:
    """Return why a value cannot travel and what to do, or nothing if nothing is known."""
    if isinstance(value, Elsewhere):
        return value._stays()  # noqa: SLF001 - any public name might be one of the value's own
    for kinds, why, hint in _STAY:
        if isinstance(value, kinds) and not isinstance(value, io.BytesIO | io.StringIO):
            return why, hint
    for kind in type(value).__mro__:
        known = _STAY_BY_NAME.get((kind.__module__, kind.__qualname__))
        if known:
            return known
    if is_left_here(_home(value)) and not getattr(type(value), "travels_as_text", False):
        return _LEFT_HERE
    if _on_gpu(value):
        return "it lives in the memory of a GPU here", "Move it first: x = x.cpu()."
    return None


def is_left_here(module: str) -> bool:
    """Say whether a module is this package, or a part of it that hosts do not have."""
    top, _, rest = module.partition(".")
    return top == OURS and rest.partition(".")[0] not in _ON_HOSTS


def explain(
    value: Any, name: str, error: Exception, *, fails: Callable[[Any], bool]
) -> CannotTravel:
    """
    Return the error that says which part of a value cannot travel, why, and what to do.

    Args:
        value: What cannot be pickled.
        name: Its name.
        error: What pickling it raised; its `value` is the part, if it has one.
        fails: Says whether a part cannot be pickled either.
    """
    path, part = culprit(value, name, fails=fails)
    refused = getattr(error, "value", None)
    if refused is not None and why_it_stays(part) is None and why_it_stays(refused) is not None:
        path, part = f"something in {path}", refused
    text = " ".join(str(error).split())[:200]
    why, hint = why_it_stays(part) or (
        f"pickling it fails: {type(error).__name__}{': ' if text else ''}{text}",
        "Make it inside the cell, or send only its data.",
    )
    if isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError):
        why, hint = "it is nested too deeply", "Send its parts as a flat list."
    kind = f"{type(part).__module__}.{type(part).__qualname__}".removeprefix("builtins.")
    if len(path) > _PATH:
        path = f"{path[: _PATH // 2]} … {path[-_PATH // 4 :]}"
    what = path if isinstance(part, Elsewhere) else f"{path} ({kind})"
    return CannotTravel(f"{what} cannot travel: {why}. Nothing was spent", hint=hint)


def culprit(value: Any, path: str, *, fails: Callable[[Any], bool]) -> tuple[str, Any]:
    """
    Return the innermost part of a value that cannot be pickled, and where it is.

    Args:
        value: What cannot be pickled.
        path: How it is reached, as in `config`.
        fails: Says whether a part cannot be pickled either.
    """
    seen = set()
    while id(value) not in seen and not why_it_stays(value):
        seen.add(id(value))
        for name, part in islice(_parts(value, path), _LOOKED_AT):
            if type(part) not in _PLAIN and id(part) not in seen and fails(part):
                path, value = name, part
                break
        else:
            break
    return path, value


def _parts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a value, with how they are reached."""
    if isinstance(value, Mapping):
        yield from ((f"a key of {path}", key) for key in list(value))
        yield from ((f"{path}[{key!r}]", part) for key, part in list(value.items()))
    elif isinstance(value, list | tuple | set | frozenset | deque):
        yield from ((f"{path}[{index}]", part) for index, part in enumerate(list(value)))
    if isinstance(value, functools.partial):
        yield from [(f"{path}.func", value.func), (f"{path}.args", value.args)]
        yield f"{path}.keywords", value.keywords
    elif isinstance(value, types.FunctionType):
        yield from _function_parts(value, path)
    elif isinstance(value, types.MethodType):
        yield from [(path, value.__func__), (f"{path}.__self__", value.__self__)]
    elif isinstance(value, property):
        yield from [(path, value.fget), (path, value.fset), (path, value.fdel)]
    elif isinstance(value, staticmethod | classmethod | functools.cached_property):
        yield path, getattr(value, "__func__", getattr(value, "func", None))
    elif isinstance(value, type):
        yield from ((f"{path}.{name}", part) for name, part in vars(value).items())
        yield from ((base.__name__, base) for base in value.__bases__)
    else:
        own = getattr(value, "__dict__", {})
        if "__wrapped__" in own:
            yield path, own["__wrapped__"]
        yield from ((f"{path}.{name}", part) for name, part in own.items())
        for kind in type(value).__mro__:
            for name, slot in vars(kind).items():
                if isinstance(slot, types.MemberDescriptorType) and hasattr(value, name):
                    yield f"{path}.{name}", getattr(value, name)
        yield f"{path} → {type(value).__name__}", type(value)


def _function_parts(value: types.FunctionType, path: str) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=False):
        try:
            yield f"{path} → {name}", cell.cell_contents
        except ValueError:
            continue  # Not bound yet.
    for index, part in enumerate(value.__defaults__ or ()):
        yield f"{path}'s default {index}", part
    for name, part in (value.__kwdefaults__ or {}).items():
        yield f"{path}'s default {name}", part
    for name in read_names(value.__code__)[0]:
        if name in value.__globals__:
            yield f"{path} → {name}", value.__globals__[name]
    yield from ((f"{path}.{name}", part) for name, part in value.__dict__.items())


def _home(value: Any) -> str:
    """Return the module that a value is, or that it or its type is from."""
    if isinstance(value, types.ModuleType):
        return value.__name__
    if not isinstance(value, types.FunctionType | type):
        value = type(value)
    return str(getattr(value, "__module__", ""))


def _on_gpu(value: Any) -> bool:
    """Say whether a tensor of torch, or an array of CuPy, lies on a GPU."""
    module = type(value).__module__
    # Its old storages warn when they are asked; the tensor around them has been asked.
    if module.startswith("torch") and not type(value).__name__.endswith("Storage"):
        return bool(getattr(value, "is_cuda", False))
    return module.startswith("cupy")
