"""
What waits to be sent: filled by any thread, emptied by the one that owns the socket.

A line that nothing went before goes at once. Text is merged while it waits, and nothing grows
without bound while the client is away: of too much text the head and the tail are kept, of a
display only its last update. Who gives values before the end of a cell waits for room.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal, Optional

from ..units import size
from ..wire.chunks import split
from ..wire.messages import (
    CHUNK,
    COMMS,
    AnyMessage,
    ClearOutput,
    Comm,
    CommMessage,
    CommOutput,
    DisplayData,
    Early,
    Reply,
    Stream,
    UpdateDisplayData,
    Value,
)

SETTLE = 0.01
"""Seconds that text waits for more of its line."""

PACE = 0.02
"""Seconds between two messages of text."""

BRISK = 0.002
"""The same for text that was flushed: who flushes wants it to be seen."""

PIECE = 1 << 18
"""Most characters of one message of text."""

MOST_TEXT = 64 << 20
"""Most bytes of text that wait, about half of them from its head."""

MOST_DISPLAYS = 256 << 20
"""Most bytes of displays that wait."""

MOST_VALUES = 64 << 20
"""Bytes of values ahead of a reply that wait: who has more to give waits, too."""

_OVERHEAD = 64

Name = Literal["stdout", "stderr"]

Owner = Optional[tuple[str, bool]]
"""The widget whose an output is, and whether it shows it. None: the cell's."""


class _Text:
    """Text of one stream that waits. It may still grow."""

    def __init__(self, name: Name, owner: Owner = None) -> None:
        self.name = name
        self.owner = owner
        self.pieces: deque[str] = deque()
        self.since = time.monotonic()
        self.dropped = 0
        """Bytes that were here and are gone."""

    def take(self) -> str:
        pieces = []
        if self.dropped:
            pieces.append(f"\n… {size(self.dropped)} of output left out here …\n")
            self.dropped = 0
        length = 0
        while self.pieces and length < PIECE:
            pieces.append(self.pieces.popleft())
            length += len(pieces[-1])
        return "".join(pieces)


class _Held:
    """A message that waits. A later update may take its place."""

    def __init__(self, message: AnyMessage, size: int) -> None:
        self.message = message
        self.size = size


class _Given(_Held):
    """Values ahead of a reply, or a chunk of them."""


class Outbox:
    """
    A queue of messages.

    Args:
        wake: Called, from any thread, when there is something in an empty queue again.
        most: Most bytes that wait, of text and of displays each, if less than usual.
    """

    def __init__(self, wake: Callable[[], None], *, most: int = MOST_DISPLAYS) -> None:
        self._wake = wake
        self._most_text = min(most, MOST_TEXT)
        self._most_displays = most
        # Reentrant: a finaliser that prints may run while this thread is in here.
        self._lock = threading.RLock()
        self._queue: deque[_Text | _Held] = deque()
        self._updates: dict[str, _Held] = {}
        self._tail: deque[_Text] = deque()
        self._text = 0
        self._displays = 0
        self._last = 0.0
        self._flushed = False
        self._awake = False
        self._room = threading.Condition(self._lock)
        self._early: dict[str, Value] = {}
        """Values ahead of the reply, which wait for others to go with them."""

        self._unsent: dict[str, str] = {}
        self._buffers: list[memoryview] = []
        self._gathered = 0
        """Bytes of these."""

        self._values = 0
        """Bytes of all that wait."""

        self._gave = 0.0
        self._states: dict[str, _Held] = {}
        """The last update of each widget, while nothing but updates has come since."""

        self.owner: Owner = None
        """Whose it is what is said now."""

    def __bool__(self) -> bool:
        return bool(self._queue or self._early or self._unsent)

    def write(self, name: Name, text: str) -> None:
        """Add text to a stream."""
        if not text:
            return
        with self._lock:
            entry = self._queue[-1] if self._queue else None
            if not isinstance(entry, _Text) or entry.name != name or entry.owner != self.owner:
                entry = self._new_text(name)
                if self._text > self._most_text // 2:
                    self._tail.append(entry)
            for start in range(0, len(text), PIECE):
                piece = text[start : start + PIECE]
                if self._text > self._most_text // 2 and not self._tail:
                    # From here on it is the tail, of which the oldest goes first.
                    entry = self._new_text(name)
                    self._tail.append(entry)
                entry.pieces.append(piece)
                self._text += len(piece) + _OVERHEAD
            self._trim()
            self._signal()

    def flush(self) -> None:
        """Let the text that waits go on its way."""
        with self._lock:
            if self._queue and not self._flushed:
                self._flushed = True
                self._signal()

    def wait_for_room(self) -> None:
        """Wait while too much waits that was given."""
        with self._room:
            self._room.wait_for(lambda: self._values < MOST_VALUES)

    def give(self, name: str, value: Value | str, buffers: list[memoryview]) -> None:
        """Add a value that is there before its cell has ended, or the reason why it stays."""
        with self._lock:
            first = not (self._early or self._unsent)
            if isinstance(value, str):
                self._unsent[name] = value
                weight = len(value)
            else:
                self._early[name] = value
                self._buffers += buffers
                weight = len(memoryview(value.tree)) + sum(each.nbytes for each in buffers)
            self._gathered += weight + _OVERHEAD
            self._values += weight + _OVERHEAD
            if self._gathered > CHUNK:
                self._send_early()
            elif first:
                self._signal()

    def put(self, message: AnyMessage) -> None:
        """Add a message."""
        with self._lock:
            if isinstance(message, Reply):
                self._send_early()
            if isinstance(message, COMMS) and self._merge(message):
                return
            if self.owner and isinstance(message, (Stream, DisplayData, ClearOutput)):
                message = CommOutput(self.owner[0], message, self.owner[1])
            weight = 0
            if isinstance(message, (DisplayData, UpdateDisplayData)):
                weight = _weigh(message)
                name = str(message.transient.get("display_id", ""))
                held = self._updates.pop(name, None) if name else None
                if held is not None and isinstance(message, UpdateDisplayData):
                    self._displays += weight - held.size
                    held.message, held.size = message, weight
                    self._updates[name] = held
                    return
                if self._displays + weight > self._most_displays:
                    self.write("stderr", f"[a display of {size(weight)} left out: too many wait]\n")
                    return
                self._displays += weight
            elif isinstance(message, COMMS):
                weight = _weight_of(message)
                if self._displays + weight > self._most_displays:
                    return
                self._displays += weight
            entry = _Held(message, weight)
            self._queue.append(entry)
            if isinstance(message, COMMS):
                self._note(message, entry)
            if isinstance(message, UpdateDisplayData):
                self._updates[str(message.transient.get("display_id", ""))] = entry
            self._signal()

    def take(self, *, soon: bool = False) -> AnyMessage | float | None:
        """
        Return the next message; or the seconds until there is one; or nothing: `wake` tells.

        Args:
            soon: Whether text is not to wait for more.
        """
        with self._lock:
            self._awake = False
            due = self._early_due(soon=soon)
            while self._queue:
                entry = self._queue[0]
                if isinstance(entry, _Held):
                    self._queue.popleft()
                    return self._release(entry)
                if not entry.pieces and not entry.dropped:
                    self._queue.popleft()
                    continue
                now = time.monotonic()
                ready = self._last + (BRISK if self._flushed else PACE)
                if not (self._flushed or entry.dropped or entry.pieces[-1].endswith("\n")):
                    ready = max(ready, entry.since + SETTLE)
                if len(self._queue) == 1 and now < ready and self._text < PIECE and not soon:
                    return ready - now if due is None else min(due, ready - now)
                return self._next_text(entry, now)
            self._tail.clear()
            return due

    def _early_due(self, *, soon: bool) -> float | None:
        """Let values go whose time has come; return the seconds until it does."""
        if not (self._early or self._unsent):
            return None
        wait = 0.0 if soon else self._gave + PACE - time.monotonic()
        if wait > 0:
            return wait
        self._send_early()
        return None

    def _send_early(self) -> None:
        """Put the values that wait for others into the queue."""
        if not (self._early or self._unsent):
            return
        self._queue += [_Given(chunk, 0) for chunk in split(self._buffers)]
        self._queue.append(_Given(Early(self._early, self._unsent), self._gathered))
        self._early, self._unsent, self._buffers, self._gathered = {}, {}, [], 0
        self._gave = time.monotonic()
        self._signal()

    def _next_text(self, entry: _Text, now: float) -> AnyMessage:
        before = sum(len(piece) + _OVERHEAD for piece in entry.pieces)
        text = entry.take()
        after = sum(len(piece) + _OVERHEAD for piece in entry.pieces)
        self._text += after - before
        self._last = now
        self._flushed = False
        entry.since = now
        if not entry.pieces:
            self._queue.popleft()
        if self._tail and self._tail[0] is entry and not entry.pieces:
            self._tail.popleft()
        said = Stream(entry.name, text)
        return CommOutput(entry.owner[0], said, entry.owner[1]) if entry.owner else said

    def _release(self, entry: _Held) -> AnyMessage:
        if isinstance(entry, _Given):
            self._values -= entry.size
            self._room.notify_all()
            return entry.message
        self._displays -= entry.size
        if isinstance(entry.message, UpdateDisplayData):
            name = str(entry.message.transient.get("display_id", ""))
            if self._updates.get(name) is entry:
                del self._updates[name]
        comm = getattr(entry.message, "comm", None)
        if comm is not None and self._states.get(comm) is entry:
            del self._states[comm]
        return entry.message

    def _new_text(self, name: Name) -> _Text:
        entry = _Text(name, self.owner)
        self._queue.append(entry)
        return entry

    def _merge(self, message: Comm) -> bool:
        """Put the state of a widget into one that waits; say whether there was one."""
        held = self._states.get(message.comm)
        if held is None or not _is_update(message):
            return False
        waits: Any = held.message
        state = {**waits.data["state"], **message.data["state"]}  # type: ignore[union-attr] # it has
        held.message = CommMessage(message.comm, {**waits.data, "state": state}, waits.metadata)
        weight = _weight_of(held.message)
        self._displays += weight - held.size
        held.size = weight
        return True

    def _note(self, message: Comm, entry: _Held) -> None:
        """Remember an update that later ones may be put into."""
        if _is_update(message):
            self._states[message.comm] = entry
        elif not isinstance(message, CommOutput):
            # What comes later may name what is new here.
            self._states.clear()

    def _trim(self) -> None:
        while self._text > self._most_text and self._tail:
            oldest = self._tail[0]
            if not oldest.pieces:
                self._tail.popleft()
                if self._tail:
                    self._tail[0].dropped += oldest.dropped
                    oldest.dropped = 0
                continue
            gone = oldest.pieces.popleft()
            oldest.dropped += len(gone)
            self._text -= len(gone) + _OVERHEAD

    def _signal(self) -> None:
        if not self._awake:
            self._awake = True
            self._wake()


def _is_update(message: Comm) -> bool:
    """Say whether a message is nothing but new values of a widget's state."""
    return (
        isinstance(message, CommMessage)
        and not message.buffers
        and message.data.get("method") == "update"
        and isinstance(message.data.get("state"), dict)
    )


def _weight_of(message: Comm) -> int:
    """Return about how many bytes of memory a message of a widget takes."""
    if isinstance(message, CommOutput):
        return _weigh(message.output) if isinstance(message.output, DisplayData) else 1000
    state = message.data.get("state")
    items = state.values() if isinstance(state, dict) else ()
    known = sum(len(each) for each in items if isinstance(each, (str, list, tuple, dict)))
    return 1000 + known + sum(map(len, getattr(message, "buffers", ())))


def _weigh(message: DisplayData | UpdateDisplayData) -> int:
    sizes = (len(item) if isinstance(item, (str, bytes)) else 100 for item in message.data.values())
    return sum(sizes) + 1000
