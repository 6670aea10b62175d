"""Who serves strangers on a machine of a cloud is told what they could ask."""

from __future__ import annotations

import asyncio
import socket

import pytest

from nosana_jupyter.host import neighbours


def test_a_metadata_service_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """
    Where one answers, the log says so, with the rule that closes it; elsewhere nothing is said.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        asyncio.run(neighbours.warn(address))
    (said,) = caplog.messages
    assert "iptables -I DOCKER-USER -d 127.0.0.1 -j REJECT" in said

    caplog.clear()
    asyncio.run(neighbours.warn(address))
    assert caplog.messages == []
