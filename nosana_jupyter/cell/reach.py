"""
What compiled code refers to: names of its globals, names in its strings, modules.
"""

from __future__ import annotations

import dis
import inspect
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .embedded import at_names, expression_names, sql_names

_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "DELETE_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"})
_BINDS = frozenset({"STORE_NAME", "DELETE_NAME"})
_OF_MODULES = frozenset(
    {"__name__", "__doc__", "__file__", "__package__", "__spec__", "__loader__", "__builtins__"}
)
"""What every module has of its own."""

SHELL = frozenset({"exit", "quit", "get_ipython", "open", "display"})
"""What IPython puts into a namespace that is not the user's: the host's has them too."""


def read_names(code: types.CodeType) -> tuple[dict[str, None], dict[str, None]]:
    """
    Return the globals that code and all code inside of it reads, and those that it may read.

    The latter stand in strings, as in `frame.query("a > @b")`, or may be a class's own.
    """
    surely: dict[str, None] = {}
    maybe: dict[str, None] = {}
    for part in all_code(code):
        own = {step.argval for step in dis.get_instructions(part) if step.opname in _BINDS}
        for step in dis.get_instructions(part):
            if step.opname in _READS and step.argval not in _OF_MODULES:
                (maybe if step.argval in own else surely)[step.argval] = None
    used = all_names(code)
    for text in _strings(code):
        maybe.update(dict.fromkeys(_names_in(text, used)))
    return surely, {name: None for name in maybe if name not in surely}


def all_code(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield code and all code inside of it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from all_code(constant)


def all_names(code: types.CodeType) -> set[str]:
    """Return the globals and the attributes that code and all code inside of it names."""
    return {name for part in all_code(code) for name in part.co_names}


def imported(code: types.CodeType) -> Iterator[str]:
    """Yield the modules that code and all code inside of it imports when it runs."""
    for part in all_code(code):
        for step in dis.get_instructions(part):
            if step.opname == "IMPORT_NAME" and step.argval:
                yield step.argval


def unwrapped(value: Any) -> Any:
    """Return the function that decorators have wrapped, so far as they say so."""
    for _ in range(100):  # Some objects answer with themselves for ever.
        inner = inspect.getattr_static(value, "__wrapped__", None)
        if inner is None:
            break
        value = inner
    return value


def submodules(modules: Iterable[Any], names: set[str]) -> list[str]:
    """
    Return the loaded submodules of modules that code may reach as attributes.

    `xml` does not bring `xml.dom` with it: whoever imported that here must do so there.

    Args:
        modules: What the code reads; some of it may be modules.
        names: All names the code uses.
    """
    found: dict[str, None] = {}
    for module in modules:
        if not (isinstance(module, types.ModuleType) and hasattr(module, "__path__")):
            continue
        prefix = module.__name__ + "."
        for name in list(sys.modules):
            if name.startswith(prefix) and names.issuperset(name[len(prefix) :].split(".")):
                found[name] = None
    return list(found)


def chained_modules(chains: Iterable[str], namespace: Mapping[str, Any]) -> list[str]:
    """Return the loaded modules that chains of attributes go through, as in `xml.dom.minidom`."""
    found: dict[str, None] = {}
    for chain in chains:
        head, *rest = chain.split(".")
        module = namespace.get(head)
        for name in rest:
            if not isinstance(module, types.ModuleType):
                break
            # An attribute may be a module of another name: `os.path` is `posixpath`.
            path = f"{module.__name__}.{name}"
            module = sys.modules.get(path)
            if module is not None:
                found[path] = None
    return list(found)


def is_made_by_shell(name: str, namespace: Mapping[str, Any]) -> bool:
    """Say whether a name is IPython's rather than the user's."""
    value = namespace[name]
    if name == "In":
        return value is namespace.get("_ih")
    if name in SHELL:
        homes = (getattr(value, "__module__", None), type(value).__module__)
        return any(str(home).partition(".")[0] in {"IPython", "ipykernel"} for home in homes)
    return name.startswith("_i") and name[2:].isdigit() and isinstance(value, str)


def _strings(code: types.CodeType) -> Iterator[str]:
    for part in all_code(code):
        yield from (constant for constant in part.co_consts if isinstance(constant, str))


def _names_in(text: str, used: set[str]) -> Iterator[str]:
    """Yield the names that a string in code may stand for, going by what the code calls."""
    if used & {"query", "eval"}:
        yield from at_names(text)
    if used & {"eval", "exec", "evaluate"}:
        yield from expression_names(text)
    if used & {"globals", "user_ns"} and text.isidentifier():
        yield text
    yield from sql_names(text, surely=bool(used & {"sql", "sqldf"}))
