"""A Jupyter server with our routes, as it is for all tests of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import front_ends
import httpx
import pytest
from lab_server import LabServer, environment_of_server
from local_networks import LocalNetwork

Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="session")
def lab(
    session_network: LocalNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabServer]:
    """A Jupyter server of the shared network's user."""
    folder = tmp_path_factory.mktemp("lab")
    root = folder / "root"
    root.mkdir()
    env = environment_of_server(front_ends.environment(str(session_network.home), str(folder)))
    server = LabServer(env, root)
    yield server
    server.close()


@pytest.fixture
def ask(lab: LabServer) -> Ask:
    """Ask one of our routes, as a user who is known."""

    def asking(method: str, path: str, body: Any = None) -> httpx.Response:
        return lab.api.request(method, f"/nosana-jupyter/{path}", json=body)

    return asking
