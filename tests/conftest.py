"""What tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_networks import LocalNetwork

from nosana_jupyter import portal


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def session_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """A network that runs for all tests; they share its wallet."""
    network = LocalNetwork(tmp_path_factory.mktemp("network"))
    network.start()
    yield network
    network.stop()


@pytest.fixture
def network(
    session_network: LocalNetwork, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalNetwork]:
    """The shared network, as this process's own; what a test opens on it is closed after it."""
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(session_network.home))
    yield session_network
    if portal._shared is not None:
        portal._shared.close()
        portal._shared = None
