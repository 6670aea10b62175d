"""What tests share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nosana_jupyter import portal


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(folder))
    return folder


class LocalNetwork:
    """A local network in a data folder of its own, driven through its command line."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {**os.environ, "NOSANA_JUPYTER_HOME": str(home)}

    def command(self, *arguments: str) -> str:
        """Run `python -m nosana_jupyter.local`; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "nosana_jupyter.local", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        self.command("start")

    def stop(self) -> None:
        self.command("stop")

    def status(self) -> dict[str, object]:
        """Return what `status --json` prints."""
        found: dict[str, object] = json.loads(self.command("status", "--json"))
        return found

    def kill(self, what: str) -> None:
        """`kill -9` the `network` or its `host`."""
        status = self.status()
        pid = status["pid"] if what == "network" else status["host"]["pid"]  # type: ignore[index]
        os.kill(int(str(pid)), signal.SIGKILL)


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
