"""
What items are called on the wire where some of them are canaries: names that say nothing.

A host sees a random word for each item, in what it runs and in what that prints and shows. Here
each line gets the item's own name again; what is of canaries, or may be, is left out.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace as changed
from typing import TYPE_CHECKING

from ..events import Event, Said
from ..wire.messages import ClearOutput, DisplayData, Stream, UpdateDisplayData

if TYPE_CHECKING:
    from .backlog import Item


class Masks:
    """
    The names of one batch.

    Args:
        batch: The items.
        tell: Takes what happens.
    """

    def __init__(self, batch: Sequence[Item], tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._words = {f"item {secrets.token_hex(4)}": item for item in batch}
        self._names = {item: word for word, item in self._words.items()}
        self._width = len(next(iter(self._words)))
        self._hides = any(each.hidden for each in batch)
        self._rest: dict[str, str] = {}
        """Beginnings of lines of which too little came to know whose they are."""

        self._silent: dict[str, bool] = {}
        self._within: dict[str, bool] = {}
        """Streams in the middle of a line."""

    def word(self, item: Item) -> str:
        """Return what an item is called there."""
        return self._names[item]

    def hear(self, event: Event) -> None:
        """Pass an event on, with our names in it."""
        match event:
            case Said(message=Stream(name=name, text=text)):
                if told := self._told(name, text):
                    self._tell(changed(event, message=Stream(name, told)))
            case Said(message=DisplayData() | UpdateDisplayData() as shown):
                if self._is_seen(shown):
                    self._tell(event)
            case Said(message=ClearOutput()) if self._hides:
                pass
            case _:
                self._tell(event)

    def _is_seen(self, shown: DisplayData | UpdateDisplayData) -> bool:
        """Say whether a display is of an item that somebody has asked for."""
        word = shown.transient.get("item")
        item = self._words.get(word) if isinstance(word, str) else None
        return not self._hides if item is None else not item.hidden

    def end(self) -> None:
        """Pass on what is left of lines."""
        for name, rest in self._rest.items():
            if rest and not self._silent.get(name):
                self._tell(Said(Stream(name, rest)))  # type: ignore[arg-type]
        self._rest.clear()

    def _told(self, name: str, text: str) -> str:
        told = []
        for line in (self._rest.pop(name, "") + text).splitlines(keepends=True):
            if not self._within.get(name):
                item = self._words.get(line[: self._width])
                if item is not None:
                    self._silent[name] = item.hidden
                    line = item.label + line[self._width :]
                elif len(line) < self._width and any(e.startswith(line) for e in self._words):
                    self._rest[name] = line
                    break
            self._within[name] = not line.endswith(("\n", "\r"))
            if not self._silent.get(name):
                told.append(line)
        return "".join(told)
