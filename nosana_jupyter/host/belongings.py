"""
What a host makes in an engine beside containers, and how all of it is found again and removed.

Everything is labelled with the node's address and the job's. So whatever a host leaves behind when
it dies belongs to a job that the next one knows, or goes.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

import docker.errors

from ..engines import Engine
from . import confinement
from .container import UNANSWERED, remove_container

log = logging.getLogger("nosana_jupyter.host")

NODE, JOB, OPERATION = "nosana.node", "nosana.job", "nosana.op"


class Belongings:
    """
    Networks and volumes of one node's jobs. Everything here blocks.

    Args:
        engine: Where.
        node: Address of the node.
    """

    def __init__(self, engine: Engine, node: str) -> None:
        self._engine = engine
        self._node = node
        self._ours = {"label": f"{NODE}={node}"}

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
        found = self._engine.client.api.volumes(self._ours).get("Volumes") or ()
        return sorted(volume["Name"] for volume in found)

    def images(self) -> list[str]:
        """Return the names of all images, whoever pulled them."""
        found = self._engine.client.api.images()
        tags = {tag for image in found for tag in image.get("RepoTags") or ()}
        return sorted(tags - {"<none>:<none>"})

    def sweep(self, wanted: Callable[[str], bool]) -> None:
        """Remove what belongs to certain jobs: containers first, which hold on to the rest."""
        api = self._engine.client.api
        try:
            for found in api.containers(all=True, filters=self._ours):
                if wanted(found["Labels"].get(JOB, "")):
                    log.info("removing container %s", found["Names"][0].strip("/"))
                    remove_container(self._engine, found["Id"])
            for found in api.volumes(self._ours).get("Volumes") or ():
                if wanted(found["Labels"].get(JOB, "")):
                    with contextlib.suppress(docker.errors.NotFound):
                        api.remove_volume(found["Name"], force=True)
            for found in api.networks(filters=self._ours):
                if wanted((found.get("Labels") or {}).get(JOB, "")):
                    with contextlib.suppress(docker.errors.NotFound):
                        api.remove_network(found["Id"])
        except UNANSWERED as error:
            log.warning("not all can be removed now: %s", type(error).__name__)
