"""What tests share."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import docker
import docker.errors
import hypothesis
import pytest
import telling
from base_image import NoBase, base_image
from local_networks import LocalNetwork

from nosana_jupyter import portal

# What the networks of tests run jobs in, where a test does not say: the same on all machines.
os.environ.setdefault("NOSANA_EXECUTOR", "process")


# How long an example takes says how busy the machine is, and how many are set aside is chance:
# neither says anything of the code.
UNTIMED = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much]
hypothesis.settings.register_profile("ours", deadline=None, suppress_health_check=UNTIMED)
# One commit, one answer: `--hypothesis-profile=same` tries the same examples each time.
hypothesis.settings.register_profile(
    "same", hypothesis.settings.get_profile("ours"), derandomize=True, database=None
)
hypothesis.settings.load_profile("ours")

SHARED: list[LocalNetwork] = []
"""The network that runs for all tests, once one has asked for it."""

NEED = frozenset(os.environ.get("NOSANA_TESTS_NEED", "").split())
"""Markers of tests that may not be skipped here: what they need is said to be on this machine."""


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(telling)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and NEED & {*item.keywords}:
        report.outcome = "failed"
        report.longrepr = f"skipped, though nothing may be missing here: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A container engine; the test is skipped where none answers. Mark it `engine`."""
    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except docker.errors.DockerException as error:
        pytest.skip(f"no container engine answers: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def base(engine: docker.DockerClient) -> str:
    """Name of an image with this machine's Python and a shell."""
    try:
        return base_image(engine)
    except NoBase as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session", autouse=True)
def _of_no_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Shells of tests have a history of their own: not the user's, and not that of others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def session_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """A network that runs for all tests; they share its wallet."""
    network = LocalNetwork(tmp_path_factory.mktemp("network"))
    network.start()
    SHARED.append(network)
    yield network
    SHARED.remove(network)
    network.stop()


@pytest.fixture(scope="module", autouse=True)
def _one_host() -> Iterator[None]:
    """A module may have asked the shared network for more hosts: the next one finds one."""
    yield
    for network in SHARED:
        network.shrink()


@pytest.fixture
def network(
    session_network: LocalNetwork, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalNetwork]:
    """
    The shared network, as this process's own; what a test opens on it is closed after it, and what
    one holds against its hosts is forgotten.
    """
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(session_network.home))
    session_network.forget_hosts()
    yield session_network
    if portal._shared is not None:
        portal._shared.close()
        portal._shared = None
    session_network.forget_hosts()
