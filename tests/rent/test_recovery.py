"""A kernel outlives its local network."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_networks import LocalNetwork

import nosana_jupyter
from nosana_jupyter import portal

pytestmark = pytest.mark.network


@pytest.mark.parametrize("end", ["stop", "kill", "reset"])
def test_the_network_is_started_again(home: Path, end: str) -> None:
    """After a stop, a crash or a reset of the local network the next cell starts it again."""
    network = LocalNetwork(home)
    network.start()
    try:
        assert nosana_jupyter.run("x = 1", timeout="1m").values == {"x": 1}
        if end == "kill":
            network.kill("network")
        elif end == "reset":
            network.command("reset", "--yes")
        else:
            network.stop()

        assert nosana_jupyter.run("x = 2", timeout="1m").values == {"x": 2}
        assert portal.shared().status().running == ()
    finally:
        portal.shared().close()
        portal._shared = None
        network.stop()
