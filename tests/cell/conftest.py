"""What tests of cells share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cell_host import Host


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The other side."""
    host = Host(tmp_path_factory.mktemp("host"))
    yield host
    assert host.process.stdin
    host.process.stdin.close()
    host.process.wait(timeout=30)
    assert host.process.stdout
    host.process.stdout.close()
