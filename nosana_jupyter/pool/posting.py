"""
The hosts of an executor on the board: one entry for all of them, while there is work.

What each host costs is said of its own job, and so nothing of it here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ..board.story import Story
from ..sanitize import line
from ..units import nos

if TYPE_CHECKING:
    from ..board.writing import Board
    from .backlog import Item
    from .crew import Crew

LOOK = 0.5
"""Seconds between two looks at how far it is."""


class Counts:
    """
    How far the items of a crew are.

    Args:
        hosts: Most hosts that they have.
    """

    def __init__(self, hosts: int) -> None:
        self.given = self.done = self.failed = 0
        self._hosts = hosts
        self._name = ""

    @property
    def title(self) -> str:
        """What runs, and on how many hosts."""
        return f"{self._name}(…) on up to {counted(self._hosts)}"

    def add(self, items: Iterable[Item]) -> None:
        """Count items, now and when they have an end."""
        for each in items:
            if not each.hidden:
                self.given += 1
                self._name = line(getattr(each.function, "__name__", type(each.function).__name__))
                each.future.add_done_callback(self._end)

    def _end(self, future: Future[Any]) -> None:
        self.done += 1
        self.failed += future.cancelled() or future.exception() is not None


@asynccontextmanager
async def posted(board: Board, crew: Crew) -> AsyncIterator[None]:
    """Keep a crew on the board for as long as it serves."""
    story = Story()
    watch = asyncio.create_task(_watch(board, story, crew))
    try:
        yield
    finally:
        watch.cancel()
        if crew.counts.given:
            story.end("done", words(crew))
        story.over = True
        board.close(story)


async def _watch(board: Board, story: Story, crew: Crew) -> None:
    told = ""
    while True:
        await asyncio.sleep(LOOK)
        busy = bool(crew.sessions or crew.opening)
        text = words(crew) if busy else ""
        if text and text != told:
            story.put(title=crew.counts.title)
            story.go("running" if crew.sessions else "waiting", text)
            board.touch(story)
        elif told and not busy:
            board.remove(story)
        told = text


def words(crew: Crew) -> str:
    """Say how far the items of a crew are, and what they cost."""
    counts = crew.counts
    told = [f"{counts.done:,} of {counts.given:,} items"]
    if counts.failed:
        told.append(f"{counts.failed:,} failed")
    told.append(counted(len(crew.sessions)))
    if crew.opening:
        told.append(f"waiting for {crew.opening} more")
    return ", ".join([*told, nos(crew.cost())])


def counted(hosts: int) -> str:
    """Spell a number of hosts."""
    return "1 host" if hosts == 1 else f"{hosts} hosts"
