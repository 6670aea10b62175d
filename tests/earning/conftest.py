"""What tests of an owner's commands share: one network and one machine for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from earning_world import MARKET, Owner


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    """A machine that has joined a market."""
    owner = Owner(tmp_path_factory.mktemp("earning") / "home")
    try:
        joined = owner.host("join", MARKET.slug)
        assert joined.returncode == 0, joined.stderr
        yield owner
    finally:
        owner.close()


@pytest.fixture
def owner(machine: Owner) -> Iterator[Owner]:
    """A machine whose host runs, and waits for a job."""
    if machine.process is None or machine.process.poll() is not None:
        machine.begin()
    return machine
