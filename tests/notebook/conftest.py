"""One local network for all front ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from front_ends import Executed, Kernel, Terminal, environment, opened

DEFINITIONS = """
import sys
base = 10
def twice(x):
    return 2 * x
""".strip()
"""What every front end runs first, as its first cell."""


@pytest.fixture(scope="session")
def notebook_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a network that runs."""
    home = tmp_path_factory.mktemp("notebooks")
    command = [sys.executable, "-m", "nosana_jupyter.local"]
    env = environment(str(home), str(home))
    try:
        subprocess.run([*command, "start"], env=env, check=True, capture_output=True, timeout=60)
        yield home
    finally:
        subprocess.run([*command, "stop"], env=env, check=True, capture_output=True, timeout=60)


def front(kind: str, home: Path, folder: Path) -> Iterator[Kernel | Executed | Terminal]:
    """Open a front end with our extension loaded."""
    (folder / "ipython").mkdir()
    for made in opened(kind, environment(str(home), str(folder))):
        shown = made.run("%load_ext nosana_jupyter")
        assert not shown.error, shown.text
        made.run(DEFINITIONS)
        yield made


@pytest.fixture(scope="session", params=["kernel", "bare", "nbclient", "terminal"])
def any_front(
    request: pytest.FixtureRequest, notebook_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kernel | Executed | Terminal]:
    """Each of the front ends."""
    yield from front(request.param, notebook_home, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def kernel(
    notebook_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kernel | Executed | Terminal]:
    """A kernel of its own, for what is done to it from outside."""
    yield from front("kernel", notebook_home, tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="session")
def terminal(
    notebook_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kernel | Executed | Terminal]:
    """A terminal of its own."""
    yield from front("terminal", notebook_home, tmp_path_factory.mktemp("terminal"))
