"""
What a host makes in an engine beside containers, and how all of it is found again and removed.

Everything is labelled with the node's address and the job's. So whatever a host leaves behind when
it dies belongs to a job that the next one knows, or goes.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import docker.errors

from .. import engines
from ..engines import NODE, Engine
from . import confinement
from .container import UNANSWERED
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
    """

    def __init__(self, engine: Engine, node: str, cache: Path) -> None:
        self._engine = engine
        self._node = node
        self._uses = cache / "volumes"
        self.ours = {"label": f"{NODE}={node}"}
        """The filter that finds all of it."""

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

    def make_cache(self, project: str) -> str:
        """Return the volume in which a project's jobs keep what later ones can use."""
        name = f"nosana-cache-{hashlib.sha256(f'{self._node} {project}'.encode()).hexdigest()[:32]}"
        self._engine.client.api.create_volume(name, labels={NODE: self._node, CACHE: project})
        self._uses.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._uses / name).touch()
        return name

    def forget_caches(self) -> None:
        """Remove caches that no job has used for long."""
        api, limit = self._engine.client.api, time.time() - KEPT
        with contextlib.suppress(*UNANSWERED):
            for found in api.volumes({"label": [f"{NODE}={self._node}", CACHE]})["Volumes"] or ():
                used = self._uses / found["Name"]
                if used.exists() and used.stat().st_mtime > limit:
                    continue
                # One that is mounted stays.
                with contextlib.suppress(docker.errors.APIError):
                    api.remove_volume(found["Name"])
                    used.unlink(missing_ok=True)

    def sweep(self, wanted: Callable[[str], bool]) -> None:
        """Remove what belongs to certain jobs."""

        def goes(labels: Mapping[str, str]) -> bool:
            return CACHE not in labels and wanted(labels.get(JOB, ""))

        try:
            engines.sweep(self._engine, self._node, goes)
        except UNANSWERED as error:
            log.warning("not all can be removed now: %s", type(error).__name__)
