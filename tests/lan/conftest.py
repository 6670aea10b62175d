"""A team's network for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab_world import Machine


@pytest.fixture(scope="module")
def founder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Who runs the network, open at loopback alone: what is asked of the gate needs no more."""
    machine = Machine(tmp_path_factory.mktemp("lab") / "founder")
    machine.run("local", "start", "--listen", "127.0.0.1", "--stand-in", "--executor", "process")
    yield machine
    machine.clear()


@pytest.fixture
def member(founder: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine that has joined nothing yet."""
    machine = Machine(tmp_path_factory.mktemp("member"))
    yield machine
    machine.clear()
