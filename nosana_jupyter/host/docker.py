"""
Operations as containers of a Docker Engine, or of podman, which speaks the same language.

All that is made for a job is labelled with the node's address and the job's, so that whatever a
host leaves behind when it dies is found by the next one: taken up again, or removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import docker.errors
import docker.types
import msgspec

from ..engines import Engine
from ..network import Network
from ..wire import launch
from ..wire.definition import Run
from . import confinement, images
from .confinement import Limits
from .container import AGAIN, PRIVATE, UNANSWERED, RunningContainer, remove_container
from .executor import Sample, Started, Task, Tell, Unstartable
from .machine import Card
from .process import Process, free_ports

log = logging.getLogger("nosana_jupyter.host")

NODE, JOB, OPERATION = "nosana.node", "nosana.job", "nosana.op"
"""Labels of all that is made here."""

FAILED = "container-runtime-error"

BUSY = re.compile("address already in use|port is already allocated|failed to bind", re.IGNORECASE)
NO_COMMAND = re.compile("executable file not found|no such file or directory", re.IGNORECASE)
NO_RIGHT = re.compile("permission denied", re.IGNORECASE)

TRIES = 3
"""How often a container is started when its ports turn out to be taken."""

T = TypeVar("T")


class Containers:
    """
    Runs operations as containers.

    Args:
        engine: With this.
        network: Whose jobs.
        node: Address of this node.
        cards: What this machine has.
        limits: What an operation may have; by default most of the machine.
    """

    isolated = True

    def __init__(
        self,
        engine: Engine,
        network: Network,
        *,
        node: str,
        cards: Sequence[Card] = (),
        limits: Limits | None = None,
    ) -> None:
        self._engine = engine
        self._network = network
        self._node = node
        self._cards = cards
        self._info: dict[str, Any] = engine.client.info()
        self._limits = limits or confinement.limits(self._info)
        self._lock = asyncio.Lock()
        """One network at a time: two operations of a job must not make two."""

        self._running: dict[str, RunningContainer] = {}

    def __str__(self) -> str:
        return f"containers of {self._engine}"

    def refuse(self, task: Task) -> str:
        """Say what of an operation this machine cannot do."""
        if task.gpu and not self._network.stand_in:
            return self._refuse_cards()
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
        network = await self._network_of(task.job)
        image = await images.ensure(self._engine, task.run, tell)
        if task.run.resources:
            raise Unstartable("resource-error", "resources are not there yet")
        running = await _to_its_end(lambda: self._start(task, started, image, network), _undo)
        self._running[started.container] = running
        return running

    async def resume(self, started: Started) -> RunningContainer | None:
        """Take up a container that was started; nothing if there is none."""
        if not started.container:
            # A process, of a life of this host without containers.
            await _end_process(started)
            return None
        running = await asyncio.to_thread(self._resume, started)
        if running is not None:
            self._running[started.container] = running
        return running

    def hostname(self, job: str, index: int) -> str:
        """Return the name of a container, which is that of its host too."""
        return f"{job}-{index}"

    async def create_volume(self, job: str, name: str) -> None:
        """Make a volume that the operations of a job share."""
        try:
            await asyncio.to_thread(
                self._engine.client.api.create_volume, f"{job}-{name}", labels=self._labels(job)
            )
        except UNANSWERED as error:
            raise _failed(error, f"the volume {name} cannot be made") from None

    async def release(self, job: str, left: Collection[Started]) -> None:
        """Remove what is left of a job."""
        for started in left:
            self._running.pop(started.container, None)
            if not started.container:
                await _end_process(started)
        await asyncio.to_thread(self._sweep, lambda other: other == job)

    async def end_strays(self, known: Collection[str], folders: Sequence[Path]) -> None:  # noqa: ARG002
        """Remove what is left of jobs of which nothing is known."""
        await asyncio.to_thread(self._sweep, lambda job: job not in known)

    async def sample(self, started: Started) -> Sample | None:
        """Measure a container."""
        try:
            found = await asyncio.to_thread(
                self._engine.client.api.stats, started.container, stream=False
            )
        except UNANSWERED:
            return None
        return _sample(found)

    async def holdings(self) -> dict[str, list[str]]:
        """Return the images and volumes that are here."""
        api = self._engine.client.api
        try:
            found = await asyncio.to_thread(api.images)
            volumes = await asyncio.to_thread(api.volumes, {"label": NODE})
        except UNANSWERED:
            return {"images": [], "volumes": []}
        tags = sorted(tag for image in found for tag in image.get("RepoTags") or ())
        names = sorted(volume["Name"] for volume in volumes.get("Volumes") or ())
        return {"images": [tag for tag in tags if tag != "<none>:<none>"], "volumes": names}

    async def close(self) -> None:
        """Let go of the containers; they go on."""
        for running in self._running.values():
            running.leave()
        self._engine.client.close()

    def _labels(self, job: str, **more: str) -> dict[str, str]:
        return {NODE: self._node, JOB: job, **more}

    def _refuse_cards(self) -> str:
        if not self._cards:
            return "the job asks for a card, and this machine has none"
        have = ", ".join(card.name for card in self._cards)
        if self._engine.podman:
            return f"the job asks for a card; {self._engine} does not give it {have}: Docker does"
        if "nvidia" not in (self._info.get("Runtimes") or {}):
            return f"the job asks for a card; Docker lacks NVIDIA's toolkit to give it {have}"
        return ""

    async def _network_of(self, job: str) -> str:
        """Return the network of a job, made if it is not there."""
        name = f"nosana-{job}"
        async with self._lock:
            try:
                await asyncio.to_thread(self._make_network, name, job)
            except UNANSWERED as error:
                raise _failed(error, "the job gets no network") from None
        return name

    def _make_network(self, name: str, job: str) -> None:
        api = self._engine.client.api
        if any(found["Name"] == name for found in api.networks(names=[name])):
            return
        options = {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"}
        if (width := confinement.mtu()) and not self._engine.podman:
            options["com.docker.network.driver.mtu"] = str(width)
        api.create_network(
            name, driver="bridge", labels=self._labels(job),
            options=None if self._engine.podman else options,
        )  # fmt: skip

    def _start(
        self, task: Task, started: Started, image: Mapping[str, Any], network: str
    ) -> RunningContainer:
        """Create a container and start it; where its ports are taken, with others. Blocks."""
        remove_container(self._engine, started.container)
        for attempt in range(TRIES):
            try:
                return self._start_once(task, started, image, network)
            except docker.errors.APIError as error:
                remove_container(self._engine, started.container)
                said = str(error.explanation or error)
                if BUSY.search(said) and attempt < TRIES - 1:
                    fresh = free_ports(len(started.ports))
                    ports = dict(zip(started.ports, fresh, strict=True))
                    started = msgspec.structs.replace(started, ports=ports)
                    continue
                raise _explained(said, task, error.status_code or 0) from None
            except UNANSWERED as error:
                remove_container(self._engine, started.container)
                raise _failed(error, "its container cannot be started") from None
        raise AssertionError("tried enough")

    def _start_once(
        self, task: Task, started: Started, image: Mapping[str, Any], network: str
    ) -> RunningContainer:
        api, run = self._engine.client.api, task.run
        environment = {**task.environment, launch.JOB: task.job}
        mounts = [
            docker.types.Mount(volume.dest, f"{task.job}-{volume.name}", type="volume")
            for volume in run.volumes or ()
        ]
        cards = [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])]
        own = (
            {OPERATION: task.operation} | _again(run) | ({PRIVATE: "1"} if _is_private(run) else {})
        )
        made = api.create_container(
            run.image,
            task.command,
            name=started.container,
            hostname=started.container,
            entrypoint=task.entrypoint,
            working_dir=task.work_dir or None,
            environment=environment,
            labels=self._labels(task.job, **own),
            ports=list(started.ports),
            host_config=confinement.host_config(
                self._engine,
                self._limits,
                network_mode=network,
                port_bindings={port: ("127.0.0.1", real) for port, real in started.ports.items()},
                mounts=mounts,
                read_only=confinement.READ_ONLY in environment and _is_root(image),
                device_requests=cards if task.gpu and not self._network.stand_in else None,
            ),
            networking_config=api.create_networking_config(
                {network: api.create_endpoint_config(aliases=_aliases(task))}
            ),
        )
        return self._running_of(started, made["Id"], begin=True)

    def _running_of(self, started: Started, ident: str, *, begin: bool) -> RunningContainer:
        found = self._engine.client.api.inspect_container(ident)
        running = RunningContainer(self._engine, started, found, limit=self._limits.memory)
        if begin:
            running.begin()
        else:
            running.follow()
        return running

    def _resume(self, started: Started) -> RunningContainer | None:
        try:
            found = self._engine.client.api.inspect_container(started.container)
        except docker.errors.NotFound:
            return None
        labels = found["Config"]["Labels"] or {}
        if labels.get(NODE) != self._node or found["State"]["Status"] == "created":
            remove_container(self._engine, started.container)
            return None
        bound = found["HostConfig"]["PortBindings"] or {}
        # It may have been started with others than were written down.
        ports = {
            int(port.partition("/")[0]): int(where[0]["HostPort"]) for port, where in bound.items()
        }
        started = msgspec.structs.replace(started, ports=ports)
        return self._running_of(started, found["Id"], begin=False)

    def _sweep(self, wanted: Callable[[str], bool]) -> None:
        """Remove containers, volumes and networks of this node by their jobs. Blocks."""
        api, ours = self._engine.client.api, {"label": f"{NODE}={self._node}"}
        try:
            for found in api.containers(all=True, filters=ours):
                if wanted(found["Labels"].get(JOB, "")):
                    log.info("removing container %s", found["Names"][0].strip("/"))
                    remove_container(self._engine, found["Id"])
            for volume in api.volumes(ours).get("Volumes") or ():
                if wanted(volume["Labels"].get(JOB, "")):
                    with contextlib.suppress(docker.errors.NotFound):
                        api.remove_volume(volume["Name"], force=True)
            for found in api.networks(filters=ours):
                if wanted((found.get("Labels") or {}).get(JOB, "")):
                    with contextlib.suppress(docker.errors.NotFound):
                        api.remove_network(found["Id"])
        except UNANSWERED as error:
            log.warning("not all of it can be removed now: %s", type(error).__name__)


async def _to_its_end(
    work: Callable[[], RunningContainer], undo: Callable[[RunningContainer], None]
) -> RunningContainer:
    """Do in a thread what must not be left half done; when cancelled, undo it."""
    doing = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        with contextlib.suppress(Unstartable):
            await asyncio.to_thread(undo, await doing)
        raise


def _undo(running: RunningContainer) -> None:
    running.leave()
    running.remove()


async def _end_process(started: Started) -> None:
    if Path(started.folder).exists() and started.work:
        left = Process(started)
        await left.stop()
        left.clean()


def _aliases(task: Task) -> list[str]:
    """Return the names under which an operation is found by others of its job."""
    asked = task.run.aliases or []
    names = asked.split(",") if isinstance(asked, str) else asked
    return [name.strip() for name in [task.operation, *names] if name.strip()]


def _again(run: Run) -> dict[str, str]:
    """Return the label that says how often it is started again."""
    policy = run.restart_policy
    if policy is None or policy == "no":
        return {}
    if policy in ("always", "unless-stopped"):
        return {AGAIN: "always"}
    tries = 1 << 30 if isinstance(policy, str) else policy.restart_tries
    return {AGAIN: str(tries)}


def _is_private(run: Run) -> bool:
    return bool(run.authentication and run.authentication.docker)


def _is_root(image: Mapping[str, Any]) -> bool:
    user = str((image.get("Config") or {}).get("User") or "")
    return user.partition(":")[0] in ("", "0", "root")


def _explained(said: str, task: Task, status: int) -> Unstartable:
    """Say why the engine did not start a container."""
    command = " ".join([*(task.entrypoint or ()), *(task.command or ())][:1])
    if NO_COMMAND.search(said) and "exec" in said:
        return Unstartable(
            FAILED,
            f"the image {task.run.image} has no program {command!r}",
            status=status,
            code=127,
        )
    if NO_RIGHT.search(said) and "exec" in said:
        return Unstartable(FAILED, f"{command!r} cannot be executed", status=status, code=126)
    if "No command specified" in said:
        text = f"neither the job nor the image {task.run.image} says what to run"
        return Unstartable(FAILED, text, status=status)
    return Unstartable(FAILED, f"the engine says: {said.strip()[:300]}", status=status)


def _failed(error: Exception, what: str) -> Unstartable:
    said = str(getattr(error, "explanation", "") or type(error).__name__)
    status = getattr(error, "status_code", None) or 0
    return Unstartable(FAILED, f"{what}: {said.strip()[:300]}", status=status)


def _sample(found: Mapping[str, Any]) -> Sample | None:
    memory = found.get("memory_stats") or {}
    if not memory.get("limit"):
        return None
    now, before = found["cpu_stats"], found["precpu_stats"]
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    cores = now.get("online_cpus") or 1
    # What is only cached is given back when it is needed.
    inactive = memory.get("stats", {})
    cached = inactive.get("total_inactive_file", inactive.get("inactive_file", 0))
    blocks = (found.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    disk = {
        kind: sum(each["value"] for each in blocks if each["op"].lower() == kind)
        for kind in ("read", "write")
    }
    lines = (found.get("networks") or {}).values()
    return Sample(
        processor=round(100 * cores * used / passed, 2) if passed > 0 else 0.0,
        memory=max(0, memory.get("usage", 0) - cached),
        most=memory["limit"],
        read=disk["read"],
        written=disk["write"],
        received=sum(line["rx_bytes"] for line in lines),
        sent=sum(line["tx_bytes"] for line in lines),
    )
