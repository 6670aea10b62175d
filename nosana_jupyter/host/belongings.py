"""
What a host makes in an engine beside containers, and how all of it is found again and removed.

Everything is labelled with the node's address and the job's. So whatever a host leaves behind when
it dies belongs to a job that the next one knows, or goes.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker.errors

from .. import engines
from ..engines import NODE, Engine
from . import confinement, disk, kept
from .container import UNANSWERED
from .kept import Cache
from .store import KEPT

log = logging.getLogger("nosana_jupyter.host")

JOB, OPERATION, CACHE = "nosana.job", "nosana.op", "nosana.cache"


class Belongings:
    """
    Networks and volumes of one node's jobs. Everything here blocks.

    Args:
        engine: Where.
        node: Address of the node.
        cache: Where the host notes what was used when.
        keep: Bytes that all caches may take.
        share: Bytes that one of them may take once its job has ended.
    """

    def __init__(
        self,
        engine: Engine,
        node: str,
        cache: Path,
        *,
        keep: int = kept.MOST,
        share: int = kept.MOST,
    ) -> None:
        self._engine = engine
        self._node = node
        self._uses = cache / "volumes"
        self._keep, self._share = keep, share
        self._lock = threading.Lock()
        self._wanted: list[str] = []
        """Caches of containers that are being made."""

        self.ours = {"label": f"{NODE}={node}"}
        """The filter that finds all of it."""

    @property
    def most(self) -> int:
        """Bytes that are kept of one cache at most."""
        return min(self._keep, self._share)

    def labels(self, job: str, **more: str) -> dict[str, str]:
        """Return the labels of what is made for a job."""
        return {NODE: self._node, JOB: job, **more}

    def is_ours(self, found: Mapping[str, Any]) -> bool:
        """Say whether a container, as the engine describes it, is of this node."""
        return bool((found["Config"]["Labels"] or {}).get(NODE) == self._node)

    def make_network(self, job: str) -> str:
        """Return the network of a job, made if it is not there."""
        api, name = self._engine.client.api, f"nosana-{job}"
        if any(found["Name"] == name for found in api.networks(names=[name])):
            return name
        options = {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"}
        if width := confinement.mtu():
            options["com.docker.network.driver.mtu"] = str(width)
        api.create_network(
            name,
            driver="bridge",
            labels=self.labels(job),
            # Podman takes none of them.
            options=None if self._engine.podman else options,
        )
        return name

    def make_volume(self, job: str, name: str) -> None:
        """Make a volume that goes with a job."""
        self._engine.client.api.create_volume(f"{job}-{name}", labels=self.labels(job))

    def volumes(self) -> list[str]:
        """Return the names of all volumes."""
        found = self._engine.client.api.volumes(self.ours).get("Volumes") or ()
        return sorted(volume["Name"] for volume in found)

    def images(self) -> list[str]:
        """Return the names of all images, whoever pulled them."""
        found = self._engine.client.api.images()
        tags = {tag for image in found for tag in image.get("RepoTags") or ()}
        return sorted(tags - {"<none>:<none>"})

    @contextlib.contextmanager
    def cache(self, project: str, key: str) -> Iterator[str]:
        """
        Make the volume in which a payer's jobs keep what later ones can use; nothing of it goes
        before a container has it.

        Args:
            project: Who posted the job, as the chain says.
            key: What tells apart those for whom one project posts; empty for a wallet.
        """
        whose = f"{self._node} {project} {key}".rstrip()
        name = f"nosana-cache-{hashlib.sha256(whose.encode()).hexdigest()[:32]}"
        with self._lock:
            self._wanted.append(name)
        try:
            self._engine.client.api.create_volume(name, labels={NODE: self._node, CACHE: project})
            self._uses.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._uses / name).touch()
            yield name
        finally:
            with self._lock:
                self._wanted.remove(name)

    def forget_caches(self) -> None:
        """Remove of caches what no job has used for long, and what is too much."""
        limit = time.time() - KEPT
        with contextlib.suppress(*UNANSWERED), self._lock:
            caches = self._caches()
            old = {each.name for each in caches if not each.busy and each.used < limit}
            for name in old:
                self._forget(name)
            kept.trim(
                [each for each in caches if each.name not in old],
                limit=self._keep, share=self._share, remove=self._forget,
            )  # fmt: skip

    def _caches(self) -> list[Cache]:
        api = self._engine.client.api
        found = api.volumes({"label": [f"{NODE}={self._node}", CACHE]}).get("Volumes") or ()
        sizes: dict[str, int] | None = None
        caches = []
        for volume in found:
            name, place = volume["Name"], Path(volume.get("Mountpoint") or "/nonexistent")
            if disk.readable(place):
                size = disk.taken(place)
            else:
                sizes = disk.volumes(self._engine) if sizes is None else sizes
                size = sizes.get(name, 0)
            mark = self._uses / name
            busy = name in self._wanted or bool(api.containers(all=True, filters={"volume": name}))
            if busy:
                mark.touch()
            caches.append(
                Cache(
                    name=name, folder=place if disk.readable(place) else None, busy=busy,
                    used=mark.stat().st_mtime if mark.exists() else 0.0, size=size,
                )
            )  # fmt: skip
        return caches

    def _forget(self, name: str) -> None:
        # One that is mounted stays.
        with contextlib.suppress(docker.errors.APIError):
            self._engine.client.api.remove_volume(name)
            (self._uses / name).unlink(missing_ok=True)

    def sweep(self, wanted: Callable[[str], bool]) -> None:
        """Remove what belongs to certain jobs."""

        def goes(labels: Mapping[str, str]) -> bool:
            return CACHE not in labels and wanted(labels.get(JOB, ""))

        try:
            engines.sweep(self._engine, self._node, goes)
        except UNANSWERED as error:
            log.warning("not all can be removed now: %s", type(error).__name__)
