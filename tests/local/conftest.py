"""One network for all tests of `local/` that need a whole one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from network_world import Running, clear, start


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A network with its host, in a data folder of its own. Tests bring their own wallets."""
    home = tmp_path_factory.mktemp("network") / "home"
    try:
        yield Running(home=home, network=start(home))
    finally:
        clear(home)
