"""Hosts that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from local_networks import LocalNetwork

from nosana_jupyter import Executor, portal


@pytest.fixture(scope="module")
def two(session_network: LocalNetwork) -> Iterator[Executor]:
    """
    An executor of two hosts. Not for modules whose tests take `network`, which ends what it opened.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOSANA_JUPYTER_HOME", str(session_network.home))
        with Executor(hosts=2, progress=False, timeout="10m", idle="60s") as executor:
            yield executor
        portal.shared().close()
