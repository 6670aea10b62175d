"""What tests of the host share: one network and one host for all of them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from host_world import World, leftovers


@pytest.fixture(scope="session")
def universe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A network without a host."""
    world = World(tmp_path_factory.mktemp("host") / "home")
    try:
        yield world
    finally:
        world.close()

    assert leftovers(world.home) == []


@pytest.fixture
def world(universe: World) -> World:
    """A network with a host that waits for jobs."""
    asyncio.run(universe.ready())
    return universe


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
