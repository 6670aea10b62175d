"""
Events become outputs, on the kernel's own thread.

A Jupyter server drops stream output above about a thousand messages or a megabyte a second, without
a word. So text is gathered for a moment, paced below that, and beyond two megabytes a cell it goes
to a file, with its beginning and its end shown.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .. import charts, sanitize
from ..wire.messages import (
    ClearOutput,
    DisplayData,
    Error,
    ExecuteResult,
    Output,
    Stream,
    UpdateDisplayData,
)
from .fronts import Here
from .overflow import Overflow
from .widgets import relaying
from .widgets.outputs import VIEW

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

GATHER = 0.05
"""Seconds between two writes of text where much is shown: what comes sooner is gathered."""

RATE = 800_000
"""Bytes of text a second that all cells of a kernel show together."""

INLINE = 2_000_000
"""Characters of one cell that are shown in the notebook."""

TAIL = 20_000
"""Characters of the end that are shown when there were more."""

TAILS = 3
"""Most times that such an end is shown of what a cell says when it is over."""

MESSAGE = 1_000
"""Bytes that a display counts for at least: servers drop too many small messages as well."""


CUT = "[Scripts, frames and players of this output are left out: a host may run nothing here]\n"
"""Said once under the outputs of a cell of which something is missing."""

NO_SCRIPTS = "as a host may run nothing here"
TOO_LARGE = "being too large"

RESET = "\x1b[0m"


class Pace:
    """A bucket of bytes that fills at a steady rate."""

    def __init__(self, rate: float = RATE) -> None:
        self._rate = rate
        self._level = rate
        self._at = time.monotonic()
        self._lock = threading.Lock()

    @property
    def much(self) -> bool:
        """Whether much has passed of late."""
        self._fill()
        return self._level < self._rate * 3 / 4

    def _fill(self) -> None:
        now = time.monotonic()
        self._level = min(self._rate, self._level + (now - self._at) * self._rate)
        self._at = now

    def take(self, count: int) -> None:
        """Wait until so many bytes may pass."""
        with self._lock:
            self._fill()
            self._level -= count
            lacks = -self._level
        if lacks > 0:
            time.sleep(lacks / self._rate)


_pace = Pace()


def paced(count: int) -> None:
    """Wait until a message of so many bytes may pass."""
    _pace.take(MESSAGE + count)


class Result:
    """The last expression of a remote cell: shown as the cell's own result."""

    def __init__(self, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        self._data = data
        self._metadata = metadata

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._data, self._metadata

    def __repr__(self) -> str:
        return str(self._data.get("text/plain", ""))


class Screen:
    """
    Where the outputs of one cell go.

    Args:
        shell: The notebook's.
        label: Makes display ids of this cell's host its own.
        trust: Whether the user lets the host run what it likes in the page.
        front: Where they are shown, if not under the cell that runs.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        label: str,
        *,
        trust: bool = False,
        front: Here | None = None,
    ) -> None:
        self.label = label
        self.trust = trust
        self.result: Result | None = None
        """What the cell ended in, unless it is shown already."""

        self.error: Error | None = None
        """What the cell raised."""

        self._front = front or Here(shell)
        self._texts: list[tuple[str, str]] = []
        self._written = 0.0
        """When text was shown last."""

        self._shown = 0
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._tail_size = self._tails = 0
        self._file: Overflow | None = None
        self._coloured: set[str] = set()
        self._dropped: dict[tuple[str, str], int] = {}
        """How many outputs of a MIME type are not shown, by why."""

        self._cut = False
        """Whether HTML was shown without what would run in it."""

        self._cut_told = False
        self.widgets = relaying.Widgets(shell, self)
        """Those of this cell."""

    def show(self, message: Output) -> None:
        """Show one output."""
        if isinstance(message, Stream):
            self._gather(message)
            return
        self.flush()
        match message:
            case DisplayData() | UpdateDisplayData():
                self._show_result()
                self._display(message)
                self._tell_cut()
            case ClearOutput(wait=wait):
                self._front.clear(wait=wait)
            case ExecuteResult(data=data, metadata=metadata):
                clean = self._clean(data)
                if clean:
                    self.result = Result(clean, self._metadata(metadata))
            case Error():
                self.error = message

    def _show_result(self) -> None:
        """Show what the cell ends in before what comes after it, as figures do."""
        result, self.result = self.result, None
        if result is not None:
            self._front.result(result)

    def tick(self) -> None:
        """Show what has been gathered for long enough."""
        if self.pause == 0:
            self.flush()
        self.widgets.tick()

    def note(self, text: str, *, name: str = "stderr") -> None:
        """Say something of our own, on the stream of this name."""
        self.flush()
        self._write(name, text)

    @property
    def overflows(self) -> bool:
        """Whether there is text of which only the file knows."""
        return bool(self._tail)

    @property
    def pause(self) -> float | None:
        """Seconds until what was gathered is due; nothing if there is none."""
        if not self._texts:
            return None
        return max(0.0, self._written + GATHER - time.monotonic()) if _pace.much else 0.0

    def flush(self) -> None:
        """Show the text gathered so far."""
        texts, self._texts = self._texts, []
        if texts:
            self._written = time.monotonic()
        for name, text in _joined(texts):
            shown = self._within(text)
            if shown:
                paced(len(shown))
                self._write(name, shown)

    def close(self) -> None:
        """Show what is left, and say what was not shown."""
        self.flush()
        self.widgets.close()
        if self._file is not None and self._tails < TAILS:
            self._tails += 1
            tail = "".join(self._tail)[-TAIL:]
            self._write("stdout", f"\n[…]\n{tail}\n")
            self._file.tell(self._front)
        self._tail.clear()
        self._tail_size = 0
        if not self._front.is_page:
            # Colours left on would reach what a terminal says next: hidden, if the host likes.
            for name in sorted(self._coloured):
                self._write(name, RESET)
        self._tell_cut()
        for why, group in itertools.groupby(sorted(self._dropped), key=lambda each: each[0]):
            kinds = ", ".join(f"{self._dropped[each]} of {each[1]}" for each in group)
            self._write("stderr", f"[Not shown, {why}: {kinds}{_hint(self._dropped)}]\n")
        self._dropped.clear()

    def _tell_cut(self) -> None:
        """Say once in a cell that something of an output is missing."""
        if self._cut and not self._cut_told:
            self._cut_told = True
            self._write("stderr", CUT)

    def _write(self, name: str, text: str) -> None:
        self._front.write(name, text)
        _, escape, end = text.rpartition("\x1b[")
        if escape:
            plain = end.startswith(("0m", "m"))
            (self._coloured.discard if plain else self._coloured.add)(name)

    def _gather(self, message: Stream) -> None:
        self._texts.append((message.name, sanitize.terminal(message.text)))
        self.tick()

    def _within(self, text: str) -> str:
        """Return what of a text is shown here; the rest goes to the file."""
        self._head.append(text)
        if self._file is None and self._shown + len(text) <= INLINE:
            self._shown += len(text)
            return text
        if self._file is None:
            self._file = Overflow(self.label, is_here=self._front.is_page)
        room = max(0, INLINE - self._shown)
        self._shown += room
        self._file.add("".join(self._head))
        self._head.clear()
        self._tail.append(text)
        self._tail_size += len(text)
        while self._tail_size - len(self._tail[0]) > TAIL:
            self._tail_size -= len(self._tail.popleft())
        return text[:room]

    def _display(self, message: DisplayData | UpdateDisplayData) -> None:
        data = self._clean(message.data)
        ident = message.transient.get("display_id")
        transient = {"display_id": f"{self.label}:{ident}"} if isinstance(ident, str) else {}
        if not data or (isinstance(message, UpdateDisplayData) and not transient):
            return
        paced(sum(len(each) for each in data.values() if isinstance(each, str)))
        self._front.display(
            data,
            self._metadata(message.metadata),
            transient,
            update=isinstance(message, UpdateDisplayData),
        )

    def _metadata(self, metadata: dict[str, Any]) -> dict[str, Any]:
        return metadata if self.trust else sanitize.metadata(metadata)

    def _clean(self, data: dict[str, Any]) -> dict[str, Any]:
        content = data.get(VIEW)
        widget = self._widget(content) if content is not None else None
        data = {mime: each for mime, each in data.items() if mime != VIEW}
        shown = data if self.trust else self._harmless(data)
        return shown | ({VIEW: widget} if widget else {})

    def _widget(self, content: Any) -> dict[str, Any] | None:
        relay = relaying.find(self.label)
        return relay.view(content) if relay else None

    def _harmless(self, data: dict[str, Any]) -> dict[str, Any]:
        clean, dropped = sanitize.bundle(data)
        # A drop is told only where nothing else of the output says the same.
        large = sanitize.too_large(data)
        for mime in dropped:
            if mime == "text/html" and charts.is_setup(data[mime]):
                continue  # Figures are drawn without it.
            if not set(clean) - {"text/plain"}:
                why = TOO_LARGE if mime in large else NO_SCRIPTS
                self._dropped[why, mime] = self._dropped.get((why, mime), 0) + 1
        self._cut = self._cut or ("text/html" in clean and sanitize.is_cut(data))
        return clean


def _hint(dropped: Iterable[tuple[str, str]]) -> str:
    """Say what to do about outputs that are not shown."""
    hints = {charts.hint(mime) for why, mime in dropped if why == NO_SCRIPTS}
    return "".join(f"; {each}" for each in sorted(hints - {""}))


def _joined(texts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return runs of one stream as one text, with overwritten bars left out."""
    runs = itertools.groupby(texts, key=lambda each: each[0])
    return [(name, collapse("".join(text for _, text in run))) for name, run in runs]


def collapse(text: str) -> str:
    """Leave out what a line overwrites of itself with `\\r`, but its beginning and its end."""
    if "\r" not in text:
        return text
    lines = []
    for line in text.split("\n"):
        parts = line.split("\r")
        if len(parts) > 2 and "\b" not in line:
            last = _overlaid(parts[1:])
            line = f"{parts[0]}\r{last}" + ("" if parts[-1] else "\r")
        lines.append(line)
    return "\n".join(lines)


def _overlaid(parts: list[str]) -> str:
    """Return what is seen of texts written over each other."""
    if any("\x1b" in part for part in parts):
        return next((part for part in reversed(parts) if part), "")
    seen = ""
    for part in parts:
        seen = part + seen[len(part) :]
    return seen
