"""
One function over many items: each result goes back as soon as it is there, and what an item prints
says whose it is.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import msgspec

from ..wire.messages import Value
from ..wire.values import NotPlain, encode
from .outbox import Name

if TYPE_CHECKING:
    from .outbox import Outbox

LARGEST = 256 << 20
"""Most bytes of a result."""

PRINTED = 10_000
"""Most characters that an item prints."""

_LINES = re.compile(r"[^\r\n]*[\r\n]+|[^\r\n]+")


class Labels:
    """
    Puts the name of the item that runs before each line that is printed.

    Args:
        write: Takes the text.
    """

    def __init__(self, write: Callable[[Name, str], None]) -> None:
        self._write = write
        self._label = ""
        self._left = 0
        self._open: dict[Name, bool] = {}
        """Streams that have begun a line and not ended it."""

    def begin(self, label: str) -> None:
        """Let what is printed from now on have another label; none if it is empty."""
        for name, is_open in self._open.items():
            if is_open:
                self._write(name, "\n")
        self._open.clear()
        self._label, self._left = label, PRINTED

    def write(self, name: Name, text: str) -> None:
        """Write to a stream."""
        if not self._label:
            self._write(name, text)
            return
        if self._left < 0:
            return
        self._left -= len(text)
        if self._left < 0:
            text = text[: self._left] + "… and more, which is left out\n"
        pieces = []
        for each in _LINES.findall(text):
            if not self._open.get(name) and each.strip("\r\n"):
                pieces.append(self._label)
            pieces.append(each)
            self._open[name] = not each.endswith(("\r", "\n"))
        self._write(name, "".join(pieces))


class Items:
    """
    Runs items in this process, one after the other.

    Args:
        outbox: Takes the results.
        labels: Names who prints.
        settle: Hands over what C libraries and children have printed.
        shield: Holds interrupts off while a result is handed over.
        tell: Returns name, message and traceback of what an item raised.
    """

    def __init__(
        self,
        outbox: Outbox,
        labels: Labels,
        *,
        settle: Callable[[], None],
        shield: AbstractContextManager[Any],
        tell: Callable[[BaseException], tuple[str, str, list[str]]],
    ) -> None:
        self._outbox = outbox
        self._labels = labels
        self._settle = settle
        self._shield = shield
        self._tell = tell
        self.label = ""
        """Of the item that runs."""

    def run(self, work: Iterable[tuple[str, str, Callable[..., Any], Any, Any]]) -> float:
        """
        Run calls, each with the name of its result and its label; return the seconds they took.

        A result is `(True, value)` or `(False, name, message, lines)` of what was raised.
        """
        began = time.perf_counter()
        try:
            for name, label, function, args, kwargs in work:
                self._labels.begin(f"{label}: ")
                self.label = label
                result: Any
                try:
                    result = (True, function(*args, **kwargs))
                    _show_figures()
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # noqa: BLE001 - the user's own code may raise anything, and `sys.exit()` ends an item only
                    result = (False, *self._tell(error))
                self._settle()
                self._give(name, result)
                del result, function, args, kwargs
        finally:
            self._settle()
            self._labels.begin("")
            self.label = ""
        return time.perf_counter() - began

    def _give(self, name: str, result: Any) -> None:
        buffers: list[memoryview] = []
        value: Value | str
        try:
            tree = encode(result, buffers, limit=LARGEST)
            value = Value(msgspec.Raw(msgspec.msgpack.encode(tree)), len(buffers))
        except NotPlain as error:
            # The value is the second of the pair.
            path = error.path[3:]
            value = f"{path} {error.reason}" if path else error.reason
        # The next item may change what this one has returned.
        own = [memoryview(bytearray(each)) for each in buffers]
        self._outbox.wait_for_room()
        with self._shield:
            self._outbox.give(name, value, own)


def _show_figures() -> None:
    """Show what an item has drawn while it can be told whose it is, and not at the cell's end."""
    inline = sys.modules.get("matplotlib_inline.backend_inline")
    if inline is not None:
        inline.flush_figures()
