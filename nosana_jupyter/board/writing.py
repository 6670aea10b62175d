"""
The board as a process writes it, on the one thread that has the events.

Nothing is written that nobody could have looked at: what is over at once leaves no trace, and what
changes all the time is written four times a second.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import msgspec

from .. import settings
from ..money.journal import here, owner_of
from .live import Live
from .reading import KEEP, SUFFIX, folder
from .story import Story

log = logging.getLogger("nosana_jupyter.board")

SOON = 0.05
"""Seconds in which most cells of a session are over."""

PAUSE = 0.25
"""Seconds between two writings of an entry."""


class Board:
    """
    The entries of one process.

    Args:
        loop: Has the events; all else is called on its thread.
        network: Says the name of the network that is used.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, network: Callable[[], str]) -> None:
        self._loop = loop
        self._network = network
        self._due: dict[str, Story] = {}
        self._there: dict[str, Path] = {}
        """Files of entries that are on the board."""

        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0
        """When may be written again, by the loop's clock."""

    def touch(self, story: Story) -> None:
        """Write an entry soon: it is new, or has changed."""
        self._due[story.cell] = story
        if self._timer is None:
            now = self._loop.time()
            self._timer = self._loop.call_at(max(now + SOON, self._next), self._write_all)

    def close(self, story: Story) -> None:
        """See an entry off that is over: it stays for a while, if anybody could have seen it."""
        self._due.pop(story.cell, None)
        if not self._due and self._timer is not None:
            # What comes next has its own time in which it may be over.
            self._timer.cancel()
            self._timer = None
        if story.cell not in self._there:
            return
        self._write(story)
        if story.brief.state == "ended":
            self._loop.call_later(KEEP, self.remove, story)

    def remove(self, story: Story) -> None:
        """Take an entry off the board."""
        self._due.pop(story.cell, None)
        path = self._there.pop(story.cell, None)
        if path is not None:
            with suppress(OSError):
                path.unlink()

    @cached_property
    def _about(self) -> dict[str, str]:
        """What is the same of all entries."""
        return {
            "owner": owner_of(os.getpid()),
            "place": here(),
            "notebook": settings.notebook_title(),
            "kernel": kernel(),
        }

    def _write_all(self) -> None:
        self._timer, due = None, self._due
        self._due = {}
        for story in due.values():
            self._write(story)
        self._next = self._loop.time() + PAUSE

    def _write(self, story: Story) -> None:
        network = story.brief.network or self._network()
        story.put(**{"network": network, **self._about})
        if story.brief.state == "detached":
            story.put(owner="")
        try:
            self._there[story.cell] = write(story.live())
        except OSError as error:  # As where the disk is full: no cell is lost by it.
            log.debug("the board cannot be written: %s", error)


def write(live: Live, place: Path | None = None) -> Path:
    """Put an entry on the board, for this user alone, in one step."""
    place = place or folder()
    path = place / f"{live.cell}{SUFFIX}"
    draft = place / f".{live.cell}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        number = os.open(draft, flags, 0o600)
    except FileNotFoundError:
        place.mkdir(mode=0o700, exist_ok=True)
        number = os.open(draft, flags, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(msgspec.json.encode(live))
    draft.replace(path)
    return path


def kernel() -> str:
    """Return the id of this process's Jupyter kernel, if it is one."""
    connect = sys.modules.get("ipykernel.connect")
    if connect is None:
        return ""
    try:
        path = Path(connect.get_connection_file())
    except RuntimeError:  # It is loaded, but no kernel runs.
        return ""
    return path.stem.removeprefix("kernel-")
