"""
Cloudpickle that knows the notebook's namespace, what is large, and what must not be taken.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
import types
import typing
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import cloudpickle

from ..wire import rebuild
from .classes import reduce_class
from .columns import reduce_array
from .reach import all_names, imported, is_made_by_shell, read_names, submodules
from .travel import Elsewhere, why_it_stays

OUT_OF_BAND = 1024
"""Fewest bytes of a buffer that travel beside the header. Smaller ones cost less inside."""

_LARGE = 64 << 10
"""Fewest bytes of a `bytes` or a `bytearray` that travel beside the header."""

_CACHED = type(functools.lru_cache(lambda: None))
_STREAMS = ("stdout", "stderr", "stdin", "__stdout__", "__stderr__", "__stdin__")
_ATTRIBUTES = (
    "__name__", "__qualname__", "__annotations__", "__kwdefaults__", "__defaults__", "__module__",
    "__doc__", "__type_params__",
)  # fmt: skip
_ALWAYS_THERE = frozenset(
    {"__main__", "__mp_main__", "builtins", "cloudpickle", "nosana_jupyter", "copyreg"}
)
MAIN = frozenset({"__main__", "__mp_main__"})
"""What the user's own script is called, here and in processes that `multiprocessing` spawns."""

_UNSET: Any = object()


class Stays(Exception):
    """Raised inside of a pickle at what cannot travel."""

    def __init__(self, value: Any) -> None:
        super().__init__(type(value).__name__)
        self.value = value


class Sink(io.RawIOBase):
    """Counts what is written, and keeps nothing."""

    size = 0

    def write(self, data: Any) -> int:
        """Count bytes."""
        count = memoryview(data).nbytes
        self.size += count
        return count


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """
    Pickles values one after the other; what they share is pickled once.

    Args:
        out: Takes the header.
        namespace: The notebook's.
        keep: Takes the buffers.
        shallow: Leave out what functions refer to.
        trial: Leave out what functions only may refer to.
        held: Says under which name the host has what lives there.
        has: Says whether the host has a value of the notebook's under its name.
    """

    def __init__(
        self,
        out: Any,
        namespace: Mapping[str, Any],
        *,
        keep: Callable[[memoryview], object],
        shallow: bool = False,
        trial: bool = False,
        held: Callable[[Elsewhere], str | None] | None = None,
        has: Callable[[str, Any], bool] | None = None,
    ) -> None:
        super().__init__(out, protocol=5, buffer_callback=self._keep_buffer)
        self.code: dict[int, types.CodeType] = {}
        """Code that travels by value."""

        self.carries = False
        """Whether a function or a class was met that travels by value. Reset it at will."""

        self.modules: dict[str, None] = {}
        """Modules that must be there on the other side."""

        self.brought: dict[str, None] = {}
        """Names of the notebook that functions read."""

        self._namespace = namespace
        self._keep = keep
        self._shallow = shallow
        self._trial = trial
        self._held = held
        self._has = has
        self._cells: dict[int, types.CellType] = {}
        """Cells of closures whose contents are, or will be, in the pickle."""

        self._taken: dict[int, tuple[int, Any]] = {}
        """Large `bytes` by their identity: which number they have, and themselves."""

        self._kinds: dict[type, bool] = {}
        """Types of objects that pickle knows how to treat; whether they are the notebook's."""

        self._by_value: dict[int, Any] = {}
        """Functions and classes that travel by value."""

    def _keep_buffer(self, buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes < OUT_OF_BAND:
            return True
        self._keep(view)
        return False

    def persistent_id(self, value: Any) -> Any:
        """Put a mark in place of the notebook's namespace, and of what is large."""
        if value is self._namespace:
            return rebuild.NAMESPACE
        kind = type(value)
        if self._held is not None and isinstance(value, Elsewhere):
            name = self._held(value)
            return None if name is None else (rebuild.NAME, name)
        if (kind is bytes or kind is bytearray) and len(value) >= _LARGE:
            taken = self._taken.get(id(value))
            if taken is None:
                taken = self._taken[id(value)] = len(self._taken), value
                self._keep(memoryview(value))
            return kind.__name__, taken[0]
        return None

    def reducer_override(self, value: Any) -> Any:
        """Refuse what cannot travel before cloudpickle tries, and silently takes, it."""
        kind = type(value)
        if kind.__name__ == "ndarray" and kind.__module__ == "numpy":
            reduced = reduce_array(value)
            if reduced is not NotImplemented:
                self._need("numpy")
            return reduced
        known = self._kinds.get(kind)
        if known is not None:
            self.carries = self.carries or known
            return NotImplemented
        if isinstance(value, io.TextIOBase):
            for name in _STREAMS:
                if getattr(sys, name) is value:
                    return getattr, (sys, name)
        if why_it_stays(value) is not None:
            raise Stays(value)
        if isinstance(value, type):
            return self.reduce_class(value)
        reduce = _REDUCERS.get(kind)
        if reduce is not None:
            return reduce(self, value)
        if not kind.__module__.startswith(("torch", "cupy")):  # Where they lie differs.
            self._kinds[kind] = False  # Unless its class, which comes next, travels by value.
        return NotImplemented

    def knows(self, value: Any) -> bool:
        """Say whether a value is a function or a class that has travelled by value already."""
        return id(value) in self._by_value

    def reduce_class(self, value: type) -> Any:
        """Reduce a class of the notebook; others are imported."""
        if value.__module__ != "__mp_main__":  # Cloudpickle takes it for a module like others.
            reduced = super().reducer_override(value)
            # It has names for some that cannot be imported, as `type(None)`.
            if not isinstance(reduced, tuple) or len(reduced) < 3:
                self._need(value.__module__)
                return reduced
        self.carries = True
        if not issubclass(value, type):
            self._kinds[value] = True
        self._by_value[id(value)] = value
        return reduce_class(value)

    def reduce_function(self, value: types.FunctionType) -> Any:
        """Reduce a function with its closure's own cells, so that sharing lasts."""
        if is_remote(value):
            # On the host it is the function itself. `cast` is Python's way to say: as it is.
            self._by_value[id(value)] = value
            return typing.cast, (None, value.__wrapped__)  # type: ignore[attr-defined] # it is remote
        if is_importable(value):
            self._need(value.__module__)
            return NotImplemented
        self.carries = True
        self._by_value[id(value)] = value
        code = value.__code__
        if self._shallow:
            return bytes, (code.co_code,)
        self.code[id(code)] = code
        if value.__globals__ is self._namespace:
            namespace: Any = self._namespace
        else:
            namespace = self.globals_ref.setdefault(id(value.__globals__), {})
            for name in ("__name__", "__package__", "__path__", "__file__"):
                if name in value.__globals__:
                    namespace.setdefault(name, value.__globals__[name])
        cells = []
        for cell in value.__closure__ or ():
            if id(cell) not in self._cells:
                self._cells[id(cell)] = cell
                content = _content(cell)
                if content is not _UNSET:
                    cells.append((cell, content))
        reads = self._globals_of(value)
        contents = [_content(cell) for cell in value.__closure__ or ()]
        modules = submodules([*reads.values(), *contents], all_names(code))
        for name in (*modules, *imported(code)):
            self._need(name)
        state = {
            "globals": reads,
            "cells": cells,
            "dict": dict(value.__dict__),
            "attributes": {n: getattr(value, n) for n in _ATTRIBUTES if hasattr(value, n)},
            "modules": modules,
        }
        make = rebuild.make_function, (code, namespace, value.__closure__)
        return *make, state, None, None, rebuild.fill_function

    def _globals_of(self, value: types.FunctionType) -> dict[str, Any]:
        """Return the globals a function needs, and of those it only may need what can travel."""
        namespace = value.__globals__
        surely, maybe = read_names(value.__code__)
        found = {
            name: namespace[name]
            for name in surely
            if name in namespace and not is_made_by_shell(name, namespace)
        }
        if not self._trial:
            for name in maybe:
                if name in namespace and travels(namespace[name], self._namespace):
                    found[name] = namespace[name]
        if namespace is self._namespace:
            if self._has is not None:
                found = {name: each for name, each in found.items() if not self._has(name, each)}
            self.brought.update(dict.fromkeys(found))
        return found

    def reduce_named(self, value: Any) -> Any:
        """Take note of where a module, or a function that is not Python's own, comes from."""
        self._need(value.__name__ if isinstance(value, types.ModuleType) else value.__module__)
        return NotImplemented

    def _need(self, module: str | None) -> None:
        if module and module.partition(".")[0] not in _ALWAYS_THERE:
            self.modules[module] = None

    def reduce_code(self, _: types.CodeType) -> Any:
        """Take note of code that travels by itself."""
        self.carries = True
        return NotImplemented

    def reduce_cell(self, value: types.CellType) -> Any:
        """Reduce a cell of a closure that no function has brought."""
        if id(value) in self._cells:
            return rebuild.make_cell, ()
        self._cells[id(value)] = value
        content = _content(value)
        if content is _UNSET:
            return rebuild.make_cell, ()
        return rebuild.make_cell, (), (content,), None, None, rebuild.fill_cell

    def reduce_cached(self, value: Any) -> Any:
        """Reduce what `lru_cache` made, without what is in it."""
        if is_importable(value):
            return NotImplemented
        self.carries = True
        given = value.cache_parameters()
        state = {name: part for name, part in vars(value).items() if name != "cache_parameters"}
        return rebuild.make_cached, (value.__wrapped__, given["maxsize"], given["typed"]), state

    def reduce_cached_property(self, value: Any) -> Any:
        """Reduce without the lock that it holds before Python 3.12."""
        state = {name: part for name, part in vars(value).items() if name != "lock"}
        return functools.cached_property, (value.func,), state

    def reduce_new_type(self, value: Any) -> Any:
        """Reduce a `NewType` of the notebook."""
        if is_importable(value):
            return NotImplemented
        return typing.NewType, (value.__name__, value.__supertype__), dict(vars(value))

    def reduce_parameter(self, value: Any) -> Any:
        """Reduce a `ParamSpec` or a `TypeVarTuple` of the notebook."""
        return NotImplemented if is_importable(value) else (type(value), (value.__name__,))

    def reduce_alias(self, value: Any) -> Any:
        """Reduce a `type X = …` of the notebook (Python 3.12)."""
        if is_importable(value):
            return NotImplemented
        return rebuild.make_alias, (value.__name__, value.__value__, value.__type_params__)

    def reduce_weak(self, value: Any) -> Any:
        """Reduce a weak dictionary; what nobody else holds vanishes on the other side."""
        return type(value), (dict(value),)


_REDUCERS: dict[type, Callable[[Pickler, Any], Any]] = {
    types.FunctionType: Pickler.reduce_function,
    types.BuiltinFunctionType: Pickler.reduce_named,
    types.ModuleType: Pickler.reduce_named,
    types.CodeType: Pickler.reduce_code,
    types.CellType: Pickler.reduce_cell,
    _CACHED: Pickler.reduce_cached,
    functools.cached_property: Pickler.reduce_cached_property,
    typing.NewType: Pickler.reduce_new_type,
    typing.ParamSpec: Pickler.reduce_parameter,
    typing.TypeVarTuple: Pickler.reduce_parameter,
    weakref.WeakKeyDictionary: Pickler.reduce_weak,
    weakref.WeakValueDictionary: Pickler.reduce_weak,
}
if sys.version_info >= (3, 12):
    _REDUCERS[typing.TypeAliasType] = Pickler.reduce_alias


def travels(value: Any, namespace: Mapping[str, Any]) -> bool:
    """Say whether a value can be pickled, keeping nothing of it."""
    pickler = Pickler(Sink(), namespace, keep=lambda _: None, trial=True)
    try:
        pickler.dump(value)
    except Exception:  # noqa: BLE001 - to pickle runs code of the user's, which may raise anything
        return False
    return True


def is_remote(function: types.FunctionType) -> bool:
    """Say whether a function is one that `@remote` made of another."""
    made_in = function.__globals__.get("__name__")
    return made_in == "nosana_jupyter.api" and hasattr(function, "__wrapped__")


def is_importable(value: Any) -> bool:
    """Say whether a function or a class is found on the other side by its module and name."""
    module = getattr(value, "__module__", None)
    if not isinstance(module, str) or module in MAIN:
        return False
    if any(module == name or module.startswith(f"{name}.") for name in _by_value_modules()):
        return False
    found: Any = sys.modules.get(module)
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "")
    for part in str(name).split("."):
        found = getattr(found, part, None)
    return found is value


def _by_value_modules() -> set[str]:
    found: set[str] = cloudpickle.list_registry_pickle_by_value()
    return found


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # Not bound yet.
        return _UNSET
