"""A network that the tests of what hosts find share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from local_networks import LocalNetwork

from nosana_jupyter import portal


@pytest.fixture(scope="package")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """A network with three hosts."""
    network = LocalNetwork(tmp_path_factory.mktemp("several"), hosts=3)
    network.start()
    yield network
    network.stop()


@pytest.fixture
def home(several: LocalNetwork, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The shared network; what is held against its hosts is forgotten after each test."""
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(several.home))
    yield
    if portal._shared is not None:
        portal._shared.close()
        portal._shared = None
    several.forget_hosts()
