"""
The names a cell reads, as one header and its buffers.

Everything goes into one pickle, so that what is shared here is shared there. Big memory stays out
of it: buffers are views of the arrays themselves, and nothing is copied.
"""

from __future__ import annotations

import builtins
import difflib
import io
import linecache
import pickle
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle

from ..errors import CannotTravel, UsageError
from ..wire.rebuild import NAMESPACE
from .names import Names
from .travel import culprit, why_it_stays

# What IPython puts into a namespace that is not the user's.
_SHELL = frozenset({"In", "exit", "quit", "get_ipython", "open", "display"})

_PICKLING = (
    pickle.PicklingError,
    TypeError,
    AttributeError,
    ValueError,
    NotImplementedError,
    RecursionError,
    RuntimeError,
    OSError,
    ImportError,
)
"""What objects raise when they do not let themselves be pickled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A name that travels."""

    name: str
    type: str
    size: int
    """In bytes."""

    via: str
    """Who reads it, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Text of a cell that a travelling function was defined in."""

    filename: str
    text: str
    count: int | None
    """Execution count of that cell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """What goes to the host."""

    header: bytes
    buffers: tuple[memoryview, ...]
    names: tuple[str, ...]
    has_code: tuple[str, ...]
    """Names that carry bytecode, and so need the same minor version of Python."""

    sources: tuple[Source, ...]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.header) + sum(buffer.nbytes for buffer in self.buffers)


def collect(
    names: Names, namespace: Mapping[str, Any], *, only: Sequence[str] | None = None
) -> dict[str, Any]:
    """
    Return the values a cell reads.

    Args:
        names: What the analysis found.
        namespace: The notebook's.
        only: Names the user wants to send, in place of those found.

    Raises:
        UsageError: A name the user wants to send does not exist.
    """
    if only is not None:
        for name in only:
            if name not in namespace:
                near = difflib.get_close_matches(name, list(namespace), n=1)
                hint = f"Did you mean {near[0]}?" if near else ""
                raise UsageError(f"--in: there is no name {name!r} here", hint=hint)
        return {name: namespace[name] for name in only}
    found: dict[str, Any] = {}
    for name in names.reads:
        if name == "Out" and "Out" in namespace:
            found["Out"] = {n: namespace["Out"][n] for n in names.outputs if n in namespace["Out"]}
        elif name in namespace and name not in _SHELL and not _is_magic_made(name, namespace):
            found[name] = namespace[name]
    return found


def missing(names: Names, namespace: Mapping[str, Any]) -> list[str]:
    """Return the names a cell reads that nobody has: the cell will raise `NameError`."""
    if names.stars:
        return []
    return [name for name in names.reads if name not in namespace and not hasattr(builtins, name)]


def pack(values: Mapping[str, Any], namespace: Mapping[str, Any]) -> Bundle:
    """
    Return the values as a header and buffers.

    Raises:
        CannotTravel: One of them cannot leave this machine; says which part, and what to do.
    """
    buffers: list[memoryview] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes < 1024:
            return True  # Small ones cost less inside.
        buffers.append(view)
        return False

    out = io.BytesIO()
    pickler = _Pickler(out, namespace, keep)
    try:
        pickler.dump(dict(values))
    except _Stays as error:
        raise _explain(values, namespace, error) from None
    except _PICKLING as error:
        raise _explain(values, namespace, error) from error
    return Bundle(
        header=out.getvalue(),
        buffers=tuple(buffers),
        names=tuple(values),
        has_code=tuple(name for name, value in values.items() if _has_code(value)),
        sources=tuple(_sources(pickler.code)),
    )


def describe(values: Mapping[str, Any], namespace: Mapping[str, Any]) -> list[Item]:
    """Return what travels: the names the cell reads, and those that its functions read."""
    items: dict[str, Item] = {}
    for name, value in values.items():
        items[name] = Item(
            name=name, type=spell_type(value), size=measure(value, namespace), via="the cell"
        )
    for name, value in values.items():
        for inner, via in _reached(name, value, namespace, seen=set(items)):
            part = namespace[inner]
            items[inner] = Item(
                name=inner, type=spell_type(part), size=measure(part, namespace), via=via
            )
    return list(items.values())


def measure(value: Any, namespace: Mapping[str, Any]) -> int:
    """Return the bytes a value takes by itself, without the notebook's names it refers to."""
    total = 0

    def count(buffer: pickle.PickleBuffer) -> bool:
        nonlocal total
        total += buffer.raw().nbytes
        return False

    out = io.BytesIO()
    try:
        _Pickler(out, namespace, count, shallow=True).dump(value)
    except (_Stays, *_PICKLING):
        return 0  # `pack` says what is wrong with it.
    return total + len(out.getvalue())


def spell_type(value: Any) -> str:
    """Return the type of a value in few words, with its shape where it has one."""
    if isinstance(value, types.ModuleType):
        return "module"
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{_short(kind)}.{kind.__name__}"
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape and all(isinstance(each, int) for each in shape):
        return f"{name} {'×'.join(map(str, shape))}"
    if isinstance(value, list | tuple | dict | set | str | bytes):
        return f"{name} of {len(value)}"
    return name


class _Stays(Exception):
    """Raised inside of a pickle at what cannot travel."""

    def __init__(self, value: Any) -> None:
        super().__init__(type(value).__name__)
        self.value = value


class _Mark(dict[str, Any]):
    """Stands for the notebook's namespace while it is pickled."""


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Cloudpickle that knows the notebook's namespace, and what it must not take."""

    def __init__(
        self,
        out: io.BytesIO,
        namespace: Mapping[str, Any],
        keep: Any,
        *,
        shallow: bool = False,
    ) -> None:
        super().__init__(out, protocol=5, buffer_callback=keep)
        self.code: dict[int, types.CodeType] = {}
        """Code that travels by value."""

        self._namespace = namespace
        self._shallow = shallow
        # Cloudpickle gives functions with the same globals the same dict on the other side, and
        # keeps it here: ours is a mark that stands for the cell's namespace there.
        self._mark = _Mark({"__name__": "__main__"})
        self.globals_ref[id(namespace)] = self._mark

    def persistent_id(self, value: Any) -> Any:
        """Put a mark in place of the notebook's namespace."""
        if value is self._mark or value is self._namespace:
            return NAMESPACE
        return None

    def reducer_override(self, value: Any) -> Any:
        """Refuse what cannot travel before cloudpickle tries, and silently takes, it."""
        if why_it_stays(value) is not None:
            raise _Stays(value)
        if isinstance(value, types.FunctionType) and value.__module__ == "__main__":
            if self._shallow:
                return bytes, (value.__code__.co_code,)
            self.code[id(value.__code__)] = value.__code__
        return super().reducer_override(value)


def _explain(
    values: Mapping[str, Any], namespace: Mapping[str, Any], error: Exception
) -> CannotTravel:
    """Return the error that names what cannot travel."""

    def fails(value: Any) -> bool:
        try:
            _Pickler(io.BytesIO(), namespace, lambda _: False).dump(value)
        except (_Stays, *_PICKLING):
            return True
        return False

    for name, value in values.items():
        if fails(value):
            path, part = culprit(value, name, fails=fails)
            break
    else:
        path, part = ", ".join(values), error
    why, hint = why_it_stays(part) or (
        f"pickling it fails: {str(error)[:200]}",
        "Make it inside the cell, or send only its data.",
    )
    kind = f"{type(part).__module__}.{type(part).__qualname__}".removeprefix("builtins.")
    return CannotTravel(f"{path} ({kind}) cannot travel: {why}. Nothing was spent", hint=hint)


def _reached(
    name: str, value: Any, namespace: Mapping[str, Any], *, seen: set[str]
) -> Iterator[tuple[str, str]]:
    """Yield the notebook's names that functions and classes read, with who reads them."""
    for function in _functions(value):
        if function.__globals__ is not namespace:
            continue
        for inner in _code_names(function.__code__):
            if inner in namespace and inner not in seen and inner not in _SHELL:
                seen.add(inner)
                yield inner, f"{type(value).__name__} {name}"
                yield from _reached(inner, namespace[inner], namespace, seen=seen)


def _functions(value: Any) -> Iterator[types.FunctionType]:
    """Yield the functions that a value is made of."""
    if isinstance(value, types.FunctionType):
        yield value
        if hasattr(value, "__wrapped__"):
            yield from _functions(value.__wrapped__)
        for cell in value.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:
                continue  # Not bound yet.
            if isinstance(content, types.FunctionType) and content is not value:
                yield from _functions(content)
    elif isinstance(value, types.MethodType):
        yield from _functions(value.__func__)
    elif isinstance(value, type) and value.__module__ == "__main__":
        for part in vars(value).values():
            inner = getattr(part, "__func__", None) or getattr(part, "fget", None) or part
            if isinstance(inner, types.FunctionType):
                yield from _functions(inner)
    elif type(value).__module__ == "__main__":
        yield from _functions(type(value))


def _code_names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code_names(constant)


def _has_code(value: Any) -> bool:
    return next((True for each in _functions(value) if each.__module__ == "__main__"), False) or (
        isinstance(value, type) and value.__module__ == "__main__"
    )


def _sources(code: Mapping[int, types.CodeType]) -> Iterator[Source]:
    """Yield the cells that travelling functions were defined in."""
    import sys

    counts: Mapping[str, int] = {}
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None:
        counts = getattr(shell.compile, "_filename_map", {})
    for filename in dict.fromkeys(each.co_filename for each in code.values()):
        lines = linecache.getlines(filename)
        if lines:
            yield Source(filename=filename, text="".join(lines), count=counts.get(filename))


def _is_magic_made(name: str, namespace: Mapping[str, Any]) -> bool:
    """Say whether a name is IPython's history rather than the user's."""
    return name.startswith("_i") and name[2:].isdigit() and isinstance(namespace[name], str)


def _short(kind: type) -> str:
    return {"pandas.core.frame": "pandas", "pandas.core.series": "pandas"}.get(
        kind.__module__, kind.__module__.split(".")[0]
    )
