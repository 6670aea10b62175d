"""What the tests with the official clients share."""

from __future__ import annotations

import msgspec
import pytest
from local_networks import LocalNetwork
from solders.keypair import Keypair
from strangers import Node, NoNode, ready

from nosana_jupyter.network import Network


@pytest.fixture(scope="session")
def node() -> Node:
    """Node with the official clients."""
    try:
        return ready()
    except NoNode as error:
        pytest.skip(f"the official clients cannot run: {error}")


@pytest.fixture(scope="session")
def net(session_network: LocalNetwork) -> Network:
    """The local network that the official clients talk to."""
    path = session_network.home / "local" / "network.json"
    return msgspec.json.decode(path.read_bytes(), type=Network)


@pytest.fixture(scope="session")
def owner(net: Network) -> Keypair:
    """The wallet whose jobs the network's host runs without a container."""
    from pathlib import Path

    return Keypair.from_json(Path(net.wallet).read_text())
