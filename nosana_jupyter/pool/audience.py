"""
Who hears what items print: the cell that has asked for them, and not without a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context

from ..events import Event, Said, SaidLate
from ..wire.messages import DisplayData, ExecuteResult, Stream

MOST = 200_000
"""Characters that the items of one cell print."""


class Audience:
    """
    The cell, or the script, that calls at this moment.

    Args:
        tell: Takes what happens, wherever it runs.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._context = copy_context()
        self._key = _key(self._context)
        self._left = MOST

    def is_here(self) -> bool:
        """Say whether this is who calls at this moment, too."""
        return self._key == _key(copy_context())

    def hear(self, event: Event) -> None:
        """Tell of an event. Of too much text the rest is left out."""
        if isinstance(event, Said | SaidLate) and (count := _length(event)):
            if self._left < 0:
                return
            self._left -= count
            if self._left < 0:
                event = Said(Stream("stderr", "[What these items print further is left out]\n"))
        self._context.run(self._tell, event)


class Listeners:
    """
    Those who call, one after another.

    Args:
        tell: Takes what happens.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._last = Audience(tell)

    def here(self) -> Audience:
        """Return who calls at this moment."""
        if not self._last.is_here():
            self._last = Audience(self._tell)
        return self._last

    def hear(self, event: Event) -> None:
        """Tell who has called last."""
        self._last.hear(event)


def _length(event: Said | SaidLate) -> int:
    match event.message:
        case Stream(text=text):
            return len(text)
        case DisplayData(data=data) | ExecuteResult(data=data):
            return len(str(data.get("text/plain", "")))
    return 0


def _key(context: Context) -> frozenset[tuple[object, int]]:
    """Return what tells a context from others: it holds the values, so none has another's id."""
    return frozenset((each, id(value)) for each, value in context.items())


QUIET = Audience(lambda _: None)
"""Nobody."""
