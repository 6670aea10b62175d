"""A place where tests run single operations in real containers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import docker
import msgspec
from host_world import until
from solders.keypair import Keypair

from nosana_jupyter import engines
from nosana_jupyter.engines import NODE
from nosana_jupyter.host.confinement import Limits
from nosana_jupyter.host.docker import Containers
from nosana_jupyter.host.driver import Gpu
from nosana_jupyter.host.executor import Outcome, Running, Task
from nosana_jupyter.network import MAINNET, Network
from nosana_jupyter.wire.definition import Defaults, Run

LOCAL = msgspec.structs.replace(MAINNET, name="local", stand_in="a stand-in")
SMALL = Limits(memory=96 << 20, processors=1.0, processes=64, disk=8 << 20)

Event = tuple[str, dict[str, Any]]


class Bench:
    """
    Runs operations with an executor of its own, and removes all they leave.

    Args:
        folder: On disk.
        image: What they run in.
        limits: What each may have.
    """

    def __init__(
        self,
        folder: Path,
        image: str,
        *,
        limits: Limits = SMALL,
        network: Network = LOCAL,
        cards: tuple[Gpu, ...] = (),
    ) -> None:
        self.folder = folder
        self.image = image
        self.node = str(Keypair().pubkey())
        self.job = str(Keypair().pubkey())
        self.events: list[Event] = []
        self._limits, self._network, self._cards = limits, network, cards
        self.executor = self.another()

    def another(self, *, keep: int | None = None) -> Containers:
        """Return an executor as the next life of the same host has it."""
        engine = engines.find(engines.DOCKER)
        assert engine is not None
        return Containers(
            engine, self._network, node=self.node, cache=self.folder / "cache",
            limits=self._limits, cards=self._cards, keep=keep,
        )  # fmt: skip

    def task(
        self,
        script: str | list[str] | None,
        *,
        index: int = 0,
        job: str = "",
        defaults: Defaults | None = None,
        **more: Any,
    ) -> Task:
        """Return an operation that runs a shell script, or a command."""
        asked = {"image": self.image, **({} if script is None else {"cmd": script}), **more}
        return Task(
            run=msgspec.convert(asked, Run), defaults=defaults, job=job or self.job, project="P",
            operation=f"op{index}", index=index, timeout=60, folder=self.folder / (job or self.job),
            cache=self.folder / "cache",
        )  # fmt: skip

    async def start(self, task: Task) -> Running:
        """Start an operation."""
        started = self.executor.plan(task)
        return await self.executor.start(task, started, lambda *event: self.events.append(event))

    async def ends(self, running: Running, *, within: float = 30) -> tuple[Outcome, str, str]:
        """Wait for its end; return how that was, its output and its errors."""
        said: list[tuple[str, str]] = []

        def look() -> Outcome | None:
            outcome = running.outcome()
            said.extend(running.read())
            return outcome

        outcome = await until(look, within=within, what="the container does not end")
        for rest in running.drain():
            said += rest
        out, err = ("".join(t for k, t in said if k == kind) for kind in ("stdout", "stderr"))
        await running.clean()
        return outcome, out, err

    async def runs(self, script: str | list[str], **more: Any) -> tuple[Outcome, str, str]:
        """Run a script to its end."""
        return await self.ends(await self.start(self.task(script, **more)))

    async def says(self, running: Running, text: str) -> None:
        """Wait until an operation has said something."""
        heard = ""

        def look() -> bool:
            nonlocal heard
            heard += "".join(piece for _, piece in running.read())
            return text in heard

        await until(look, what=f"it never says {text!r}")

    def left(self, client: docker.DockerClient) -> list[str]:
        """Return the names of all that the engine has of this node."""
        label = f"{NODE}={self.node}"
        found = [
            each["Names"][0] for each in client.api.containers(all=True, filters={"label": label})
        ]
        found += [each["Name"] for each in client.api.networks(filters={"label": label})]
        volumes = client.api.volumes({"label": label}).get("Volumes") or []
        return found + [each["Name"] for each in volumes]

    def left_containers(self) -> list[str]:
        """Return the names of the containers of this node."""
        engine = docker.from_env()
        try:
            return [name for name in self.left(engine) if name.startswith("/")]
        finally:
            engine.close()

    async def close(self) -> None:
        """Remove everything, with the caches that outlive jobs."""
        engine = engines.find(engines.DOCKER)
        assert engine is not None
        await asyncio.to_thread(engines.sweep, engine, self.node, lambda _: True)
        engine.client.close()
        await self.executor.close()
