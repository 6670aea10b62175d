"""
The names a cell reads, as one header and its buffers.

Everything goes through one pickler, so that what is shared here is shared there. Big memory stays
out of it: buffers are views of the arrays themselves, and nothing is copied.
"""

from __future__ import annotations

import difflib
import io
import linecache
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..errors import UsageError
from .held import Held
from .inventory import Item, describe
from .names import Names
from .pickler import Pickler, Stays, travels
from .reach import chained_modules, is_made_by_shell
from .travel import explain

__all__ = ["Bundle", "Item", "Source", "collect", "describe", "pack"]


Span = tuple[int, int, int, int]
"""Where a value begins and ends in the header, and in the list of buffers."""


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
    modules: tuple[str, ...] = ()
    """Full names of the modules the values need, to be loaded."""

    brought: tuple[str, ...] = ()
    """Names of the notebook that its functions bring, beside `names`."""

    along: tuple[str, ...] = ()
    """Names that go as well, since their values are part of others."""

    spans: Mapping[str, Span] = field(default_factory=dict)
    """Where the value of each name is."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.header) + sum(buffer.nbytes for buffer in self.buffers)


def collect(
    names: Names, namespace: Mapping[str, Any], *, only: Sequence[str] | None = None
) -> dict[str, Any]:
    """
    Return the values a cell reads.

    Submodules it reaches through a module come under their own dotted names: the host must import
    them, as an earlier cell did here.

    Args:
        names: What the analysis found.
        namespace: The notebook's.
        only: Names the user wants to send, in place of those found.

    Raises:
        UsageError: A name the user wants to send does not exist.
    """
    found: dict[str, Any] = {}
    if only is not None:
        for name in only:
            if name not in namespace:
                near = difflib.get_close_matches(name, list(namespace), n=1)
                hint = f"Did you mean {near[0]}?" if near else ""
                raise UsageError(f"--in: there is no name {name!r} here", hint=hint)
            found[name] = namespace[name]
    else:
        for name in names.reads:
            if name == "Out" and "Out" in namespace:
                outputs = namespace["Out"]
                found["Out"] = {n: outputs[n] for n in names.outputs if n in outputs}
            elif name in namespace and not is_made_by_shell(name, namespace):
                found[name] = namespace[name]
        for name in names.mentions:
            if (
                name in namespace
                and not is_made_by_shell(name, namespace)
                and travels(namespace[name], namespace)
            ):
                found[name] = namespace[name]
    for path in chained_modules(names.chains, found):
        found[path] = sys.modules[path]
    return found


def pack(
    values: Mapping[str, Any], namespace: Mapping[str, Any], held: Held | None = None
) -> Bundle:
    """
    Return the values as a header and buffers.

    Args:
        values: By name.
        namespace: The notebook's.
        held: What the host has of it already.

    Raises:
        CannotTravel: One of them cannot leave this machine; says which part, and what to do.
    """
    out = io.BytesIO()
    buffers: list[memoryview] = []
    pickler = Pickler(
        out,
        namespace,
        keep=buffers.append,
        held=None if held is None else held.resolve,
        has=None if held is None else partial(held.has, namespace=namespace),
    )
    has_code = []
    spans: dict[str, Span] = {}
    for name, value in values.items():
        begin, first = out.tell(), len(buffers)
        pickler.carries = pickler.knows(value)
        try:
            pickler.dump(value)
        except Exception as error:  # To pickle runs code of the user's, which may raise anything.
            told = explain(value, name, error, fails=lambda part: not travels(part, namespace))
            if isinstance(error, Stays):  # Of where we stopped nobody learns anything.
                raise told from None
            raise told from error
        spans[name] = begin, out.tell(), first, len(buffers)
        if pickler.carries:
            has_code.append(name)
    along = {} if held is None else _along(pickler, values, namespace, held)
    # All by name: it only points at what has been pickled above.
    pickler.dump({**values, **along})
    return Bundle(
        header=out.getvalue(),
        buffers=tuple(buffers),
        names=tuple(values),
        has_code=tuple(has_code),
        sources=tuple(_sources(pickler.code)),
        modules=tuple(pickler.modules),
        brought=tuple(pickler.brought),
        along=tuple(along),
        spans=spans,
    )


def _along(
    pickler: Pickler, values: Mapping[str, Any], namespace: Mapping[str, Any], held: Held
) -> dict[str, Any]:
    """
    Return further names whose values are part of what is sent.

    The host has them, as objects of their own: what is one object here is to stay one there.
    """
    known = [name for name in held.sent if name not in values and name in namespace]
    if not known:
        return {}
    inside = pickler.memo.copy()
    return {
        name: namespace[name]
        for name in known
        if id(namespace[name]) in inside and held.has_sent(name, namespace[name])
    }


def _sources(code: Mapping[int, types.CodeType]) -> Iterator[Source]:
    """Yield the cells that travelling functions were defined in."""
    counts: Mapping[str, int] = {}
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None:
        counts = getattr(shell.compile, "_filename_map", {})
    for filename in dict.fromkeys(each.co_filename for each in code.values()):
        lines = linecache.getlines(filename)
        if lines:
            yield Source(filename=filename, text="".join(lines), count=counts.get(filename))
