"""
The event stream: one look at what is under way for all tabs, as long as one listens.

A tab is told the whole once and then what is different. For one that reads slowly nothing piles up:
of a job that has changed again only the last is told, and of many changes the whole.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from ..errors import NosanaError
from .scene import MANY, Scene, Scenes
from .views import Changed, Gone, Message, Snapshot, Stale

if TYPE_CHECKING:
    from .desk import Desk

log = logging.getLogger("nosana_jupyter.server")

PAUSE = 0.5
"""Seconds between two looks."""

SELDOM = 2.0
"""Seconds between two invitations to ask for wallet and history again."""

Write = Callable[[bytes], Awaitable[None]]


class Listener:
    """One tab, and what it is still to be told."""

    def __init__(self, watch: Watch, write: Write) -> None:
        self._watch = watch
        self._write = write
        self._whole = True
        self._due: dict[str, Message] = {}
        self._wake = asyncio.Event()
        self.task = asyncio.create_task(self._send(), name="nosana-listener")

    def tell(self, messages: Iterable[tuple[str, Message]]) -> None:
        """Take what is new; what it replaces is not told any more."""
        for key, message in messages:
            old = self._due.pop(key, None)
            if isinstance(message, Stale) and isinstance(old, Stale):
                message = Stale(what=(*old.what, *(m for m in message.what if m not in old.what)))
            self._due[key] = message
        if len(self._due) > MANY:
            self.tell_all()
        if self._due:
            self._wake.set()

    def tell_all(self) -> None:
        """Tell the whole next."""
        self._due = {key: each for key, each in self._due.items() if isinstance(each, Stale)}
        self._whole = True
        self._wake.set()

    async def _send(self) -> None:
        await self._watch.seen.wait()
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            whole, due = self._whole, self._due
            self._whole, self._due = False, {}
            if whole:
                # As it is now, with all that was due; what comes later is told after it.
                due = {key: each for key, each in due.items() if isinstance(each, Stale)}
                scene = self._watch.scene
                await self._write(await self._watch.desk.run(_encoded, scene))
            for message in due.values():
                await self._write(msgspec.json.encode(message))


class Watch:
    """
    Looks again and again, and tells who listens. Nothing goes on while nobody does.

    Args:
        desk: Of the server.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.scene = Scene()
        self.seen = asyncio.Event()
        """Whether there was a look since somebody listens."""

        self._scenes = Scenes(desk.kernels, desk.shown)
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._stale: set[str] = set()
        self._invited = 0.0

    def join(self, write: Write) -> Listener:
        """Tell somebody from now on what is under way."""
        listener = Listener(self, write)
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look(), name="nosana-watch")
        return listener

    def leave(self, listener: Listener) -> None:
        """Tell somebody no more. With the last one all ends that goes on here."""
        listener.task.cancel()
        self._listeners.discard(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None
            self.seen.clear()

    def stale(self, *what: str) -> None:
        """Invite all tabs to ask for something again."""
        self._stale.update(what)
        self._invite()

    async def close(self) -> None:
        """End."""
        for listener in list(self._listeners):
            self.leave(listener)
        await self.desk.run(self._scenes.close)

    async def look_once(self) -> Scene:
        """Return what is under way now, for who asks for it and does not listen."""
        return await self.desk.run(self._scenes.look)

    async def _look(self) -> None:
        while True:
            began = time.monotonic()
            try:
                before = self.scene
                scene, news = await self.desk.run(self._looked, before)
            except (NosanaError, OSError) as error:
                log.info("cannot look at what is under way: %s", error)
            else:
                self._tell(before, scene, news)
            # A look at thousands of jobs is not begun again at once.
            await asyncio.sleep(max(PAUSE, 5 * (time.monotonic() - began)))

    def _looked(self, before: Scene) -> tuple[Scene, list[tuple[str, Message]]]:
        scene = self._scenes.look()
        return scene, list(differences(before, scene))

    def _tell(self, before: Scene, scene: Scene, news: list[tuple[str, Message]]) -> None:
        self.scene = scene
        first = not self.seen.is_set()
        self.seen.set()
        if first:
            return
        if (before.network, before.up) != (scene.network, scene.up):
            self._stale.update(("wallet", "gpus", "jobs"))
            for listener in self._listeners:
                listener.tell_all()
        elif news:
            for listener in self._listeners:
                listener.tell(news)
        if before.settled != scene.settled or before.jobs.keys() != scene.jobs.keys():
            self._stale.update(("wallet", "jobs"))
        self._invite()

    def _invite(self) -> None:
        now = time.monotonic()
        if not self._stale or now - self._invited < SELDOM:
            return  # The next look comes by here again.
        self._invited = now
        message = Stale(what=tuple(sorted(self._stale)))  # type: ignore[arg-type] # our own words
        self._stale.clear()
        for listener in self._listeners:
            listener.tell([("stale", message)])


def differences(before: Scene, scene: Scene) -> Iterable[tuple[str, Message]]:
    """Return what is different, by what tells jobs apart: first what is gone."""
    for key, job in before.jobs.items():
        if key not in scene.jobs:
            yield key, Gone(job=job.job, cell=job.cell, per_hour=scene.per_hour)
    for key, job in scene.jobs.items():
        if before.jobs.get(key) != job:
            yield key, Changed(job=job, per_hour=scene.per_hour)


def _encoded(scene: Scene) -> bytes:
    return msgspec.json.encode(
        Snapshot(
            jobs=tuple(scene.jobs.values()),
            per_hour=scene.per_hour,
            network=scene.network,
            local=scene.local,
            up=scene.up,
        )
    )
