"""
Operations as containers of a Docker Engine, or of podman, which speaks the same language.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker.errors
import msgspec

from ..engines import Engine
from ..network import Network
from ..wire import launch
from . import confinement, creation, disk, images, kept
from .belongings import JOB, Belongings
from .confinement import Limits
from .container import UNANSWERED, RunningContainer, remove_container
from .driver import Gpu
from .executor import Sample, Started, Task, Tell, Unstartable
from .process import Process, free_ports
from .pulled import Pulled
from .resources import Ready, Resources
from .usage import of_container

log = logging.getLogger("nosana_jupyter.host")

BUSY = re.compile("address already in use|port is already allocated|failed to bind", re.IGNORECASE)

TRIES = 4
"""How often a container is started when its ports turn out to be taken."""

WATCH = 5.0
"""Seconds between looks at how much operations have written."""


class Containers:
    """
    Runs operations as containers.

    Args:
        engine: With this.
        network: Whose jobs.
        node: Address of this node.
        cache: Where it keeps what later jobs can use.
        cards: What this machine has.
        limits: What an operation may have; by default most of the machine.
        keep: Bytes that all may take that is kept for later jobs.
    """

    def __init__(
        self,
        engine: Engine,
        network: Network,
        *,
        node: str,
        cache: Path,
        cards: Sequence[Gpu] = (),
        limits: Limits | None = None,
        keep: int | None = None,
    ) -> None:
        self._engine = engine
        self._promised = not network.stand_in
        self._cards = cards
        self._info: dict[str, Any] = engine.client.info()
        self._limits = limits or confinement.limits(self._info)
        self._belongings = Belongings(
            engine, node, cache, share=self._limits.disk // 2,
            keep=kept.most(cache) if keep is None else keep,
        )  # fmt: skip
        self._resources = Resources(cache)
        self._pulled = Pulled(cache)
        self._lock = asyncio.Lock()
        """One network at a time: two operations of a job must not make two."""

        self._quota = disk.has_quota(self._info)
        self._running: dict[str, RunningContainer] = {}
        self._minder: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return f"containers of {self._engine}"

    def refuse(self, task: Task) -> str:
        """Say what of an operation this machine cannot do."""
        if not task.gpu or not self._promised:
            return ""
        if not self._cards:
            return "the job asks for a card, and this machine has none"
        if self._engine.podman:
            # It would take the wish, and start without.
            have = ", ".join(card.name for card in self._cards)
            return f"the job asks for a card; {self._engine} does not give it {have}: Docker does"
        return ""

    def plan(self, task: Task) -> Started:
        """Choose a name and ports."""
        folder = task.folder / f"{task.index}-{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700, parents=True)
        ports = task.run.ports()
        return Started(
            folder=str(folder),
            ports=dict(zip(ports, free_ports(len(ports)), strict=True)),
            container=self.hostname(task.job, task.index),
        )

    async def start(self, task: Task, started: Started, tell: Tell) -> RunningContainer:
        """Start an operation, once its image is here."""
        try:
            async with self._lock:
                network = await asyncio.to_thread(self._belongings.make_network, task.job)
        except UNANSWERED as error:
            raise creation.failed(error, "the job gets no network") from None
        image = await images.ensure(
            self._engine, task.run, tell, pulled=self._pulled, anywhere=not self._promised
        )
        ready = await self._resources.fetch(task, tell)
        running = await _to_its_end(lambda: self._start(task, started, image, network, ready))
        self._take(running)
        return running

    async def resume(self, started: Started) -> RunningContainer | None:
        """Take up a container that was started; nothing if there is none."""
        if not started.container:
            # A process, of a life of this host without containers.
            await _end_process(started)
            return None
        try:
            running = await asyncio.to_thread(self._resume, started)
        except UNANSWERED as error:
            raise creation.failed(error, "its container cannot be found again") from None
        if running is not None:
            self._take(running)
        return running

    def hostname(self, job: str, index: int) -> str:
        """Return the name of a container, which is that of its host too."""
        return f"{job}-{index}"

    async def create_volume(self, job: str, name: str) -> None:
        """Make a volume that the operations of a job share."""
        try:
            await asyncio.to_thread(self._belongings.make_volume, job, name)
        except UNANSWERED as error:
            raise creation.failed(error, f"the volume {name} cannot be made") from None

    async def release(self, job: str, left: Collection[Started]) -> None:
        """Remove what is left of a job."""
        for started in left:
            self._running.pop(started.container, None)
            if not started.container:
                await _end_process(started)
        self._resources.release(job)
        await asyncio.to_thread(self._belongings.sweep, lambda other: other == job)
        await asyncio.to_thread(self._belongings.forget_caches)

    async def end_strays(self, known: Collection[str], folders: Sequence[Path]) -> None:  # noqa: ARG002 - all is in the engine
        """Remove what is left of jobs of which nothing is known."""
        await asyncio.to_thread(self._belongings.sweep, lambda job: job not in known)
        await asyncio.to_thread(self._belongings.forget_caches)

    async def sample(self, started: Started) -> Sample | None:
        """Measure a container."""
        stats = self._engine.client.api.stats
        try:
            return of_container(await asyncio.to_thread(stats, started.container, stream=False))
        except UNANSWERED:
            return None

    async def holdings(self) -> dict[str, list[str]]:
        """Return the images that were pulled for anybody, and all volumes."""
        try:
            here = await asyncio.to_thread(self._belongings.images)
            return {
                "images": sorted(self._pulled.names().intersection(here)),
                "volumes": await asyncio.to_thread(self._belongings.volumes),
            }
        except UNANSWERED:
            return {"images": [], "volumes": []}

    async def close(self) -> None:
        """Let go of the containers; they go on."""
        if self._minder is not None:
            self._minder.cancel()
            await asyncio.gather(self._minder, return_exceptions=True)
        for running in self._running.values():
            running.leave()
        self._engine.client.close()

    def _take(self, running: RunningContainer) -> None:
        self._running[running.started.container] = running
        if self._minder is None:
            self._minder = asyncio.create_task(self._mind())

    async def _mind(self) -> None:
        """End operations that write more than they may."""
        while True:
            await asyncio.sleep(WATCH)
            live = {name: each for name, each in self._running.items() if each.outcome() is None}
            if not live:
                continue
            try:
                found = await asyncio.to_thread(disk.written, self._engine, self._belongings.ours)
            except UNANSWERED:
                continue
            sizes = {name: size for name, size in found.items() if name in live}
            over = {name for name, size in sizes.items() if size > self._limits.disk}
            most = self._limits.disk / (1 << 30)
            why = f"it wrote more than the {most:.3g} GiB that it may have on the disk"
            if not over and sizes and disk.is_full(self._info):
                over, why = {max(sizes, key=sizes.__getitem__)}, "the disk of this host is full"
            for name in over:
                log.warning("ending %s: %s", name, why)
                await asyncio.to_thread(live[name].fell, why)

    def _start(
        self,
        task: Task,
        started: Started,
        image: Mapping[str, Any],
        network: str,
        ready: Sequence[Ready],
    ) -> RunningContainer:
        """Create a container and start it; where its ports are taken, with others. Blocks."""
        remove_container(self._engine, started.container)
        if not creation.is_runner(task, image):
            return self._create(task, started, image, network, ready, "")
        with self._belongings.cache(task.project, task.environment.get(launch.CACHE_KEY, "")) as it:
            return self._create(task, started, image, network, ready, it)

    def _create(
        self,
        task: Task,
        started: Started,
        image: Mapping[str, Any],
        network: str,
        ready: Sequence[Ready],
        cache: str,
    ) -> RunningContainer:
        for attempt in range(TRIES):
            try:
                ident = creation.create(
                    self._engine, task, started, network=network, limits=self._limits,
                    labels=self._belongings.labels(task.job), ready=ready,
                    cards=task.gpu and self._promised, quota=self._quota,
                    cache=cache, keep=self._belongings.most, home=creation.home_of(image),
                )  # fmt: skip
                running = self._follower(started, ident)
                running.begin()
                return running
            except docker.errors.APIError as error:
                remove_container(self._engine, started.container)
                said = str(error.explanation or error)
                if self._quota and "storage-opt" in said.lower():
                    # Its disk is not set up for it: it is watched instead.
                    self._quota = False
                    continue
                if BUSY.search(said) and attempt < TRIES - 1:
                    fresh = free_ports(len(started.ports))
                    ports = dict(zip(started.ports, fresh, strict=True))
                    started = msgspec.structs.replace(started, ports=ports)
                    continue
                raise creation.explained(said, task, error.status_code or 0) from None
            except UNANSWERED as error:
                remove_container(self._engine, started.container)
                raise creation.failed(error, "its container cannot be started") from None
        raise AssertionError("it was tried often enough")

    def _resume(self, started: Started) -> RunningContainer | None:
        try:
            found = self._engine.client.api.inspect_container(started.container)
        except docker.errors.NotFound:
            return None
        if not self._belongings.is_ours(found) or found["State"]["Status"] == "created":
            remove_container(self._engine, started.container)
            return None
        # It may have been started with others than were written down.
        bound = (found["HostConfig"]["PortBindings"] or {}).items()
        ports = {int(port.partition("/")[0]): int(where[0]["HostPort"]) for port, where in bound}
        mounted = (Path(mount["Source"]) for mount in found["Mounts"] if mount["Type"] == "bind")
        self._resources.hold(found["Config"]["Labels"].get(JOB, ""), mounted)
        running = self._follower(msgspec.structs.replace(started, ports=ports), found["Id"])
        running.follow()
        return running

    def _follower(self, started: Started, ident: str) -> RunningContainer:
        found = self._engine.client.api.inspect_container(ident)
        return RunningContainer(self._engine, started, found, limit=self._limits.memory)


async def _to_its_end(work: Callable[[], RunningContainer]) -> RunningContainer:
    """Do in a thread what must not be left half done; when cancelled, undo it."""
    doing = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        with contextlib.suppress(Unstartable):
            await (await doing).clean()
        raise


async def _end_process(started: Started) -> None:
    if Path(started.folder).exists() and started.work:
        left = Process(started)
        await left.stop()
        left.clean()
