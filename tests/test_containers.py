"""Whole cells in real containers: kernel, network, host, engine and runner, as a user has them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import nbformat
import pytest
from local_networks import LocalNetwork
from runner_image import NoBuilder, build
from wheels import wheel

import nosana_jupyter
from nosana_jupyter import portal
from nosana_jupyter.client import Client
from nosana_jupyter.errors import HostFailed
from nosana_jupyter.market.caches import Cached, Held

pytestmark = [pytest.mark.engine, pytest.mark.network]

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
TAG = "nosana-test-runner:cpu"


@pytest.fixture(scope="module")
def image(base: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of the CPU image."""
    try:
        build(base, TAG, tmp_path_factory.mktemp("image"))
    except NoBuilder as error:
        pytest.skip(str(error))
    return TAG


@pytest.fixture(scope="module")
def contained(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """A local network whose host runs jobs in containers, of that image if no other is named."""
    network = LocalNetwork(tmp_path_factory.mktemp("network"), executor="docker")
    network.environment["NOSANA_IMAGE"] = image
    network.start()
    yield network
    network.stop()


@pytest.fixture
def here(contained: LocalNetwork, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalNetwork]:
    """That network as this process's own."""
    for name in ("NOSANA_JUPYTER_HOME", "NOSANA_IMAGE"):
        monkeypatch.setenv(name, contained.environment[name])
    yield contained
    if portal._shared is not None:
        portal._shared.close()
        portal._shared = None


def test_the_image_holds_what_it_says(engine: docker.DockerClient, image: str) -> None:
    """It says what it is, runs as nobody special, and keeps nothing of how it was built."""
    attributes = engine.images.get(image).attrs
    labels = attributes["Config"]["Labels"]
    command = "ls -A /root/.cache /home/runner /tmp /run; pip config list; cat /opt/runner/pip.conf"
    told = engine.containers.run(
        image, ["sh", "-c", f"{command}; true"], remove=True, network_mode="none"
    )

    assert labels["org.opencontainers.image.title"] == "nosana-jupyter runner"
    assert labels["org.opencontainers.image.version"] == nosana_jupyter.__version__
    assert attributes["Config"]["User"] == "1000:1000"
    assert b"ca.pem" not in told
    assert b"pip.conf" not in told
    assert b"http" not in told
    assert not any("://" in str(layer["CreatedBy"]) for layer in engine.api.history(image))


@pytest.mark.kernel
def test_the_first_notebook(contained: LocalNetwork, tmp_path: Path) -> None:
    """The notebook of the README runs in containers as it does without."""
    out = tmp_path / "executed.ipynb"
    done = subprocess.run(
        [sys.executable, str(NOTEBOOKS / "demo.py"), str(NOTEBOOKS / "first_cell.ipynb"),
         "--out", str(out)],
        env=contained.environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    cells = {cell.id: cell for cell in nbformat.read(out, as_version=4).cells}
    told = cells["cell-07"].outputs
    text = "".join(each.text for each in told if each.output_type == "stream")

    assert "epoch 40: loss" in text
    assert "40/40" in text
    assert any("image/png" in _data(each) for each in told)
    assert any("paid" in _data(each).get("text/plain", "") for each in told)
    assert "40 losses" in cells["cell-09"].outputs[0].text


@pytest.mark.usefixtures("here")
def test_a_cell_is_alone() -> None:
    """A cell is the first process of its container, has the image's files, and no home of ours."""
    source = """
        import os, pathlib, sys
        pids = [int(each) for each in os.listdir("/proc") if each.isdigit()]
        home, user, place = os.path.expanduser("~"), os.getuid(), sys.prefix
        secrets = [name for name in os.environ if name.startswith("NOSANA_") and "KEY" in name]
        pathlib.Path("kept.txt").write_text("x")
    """

    values = nosana_jupyter.run(textwrap.dedent(source)).values

    assert len(values["pids"]) < 6
    assert (values["home"], values["place"], values["secrets"]) == (
        "/home/runner",
        "/opt/runner",
        [],
    )
    assert values["user"] == 1000


@pytest.mark.usefixtures("here")
def test_what_a_container_leaves_is_known() -> None:
    """A model that one container fetched is named of the host, and the next container has it."""
    source = """
        import pathlib
        place = pathlib.Path.home() / ".cache/huggingface/hub/models--me--boxed/snapshots/abc"
        there = place.exists()
        place.mkdir(parents=True, exist_ok=True)
        _ = (place / "weights").write_bytes(b"w" * 2_000_000)
    """

    first = nosana_jupyter.run(textwrap.dedent(source))

    async def held(client: Client) -> Held | None:
        return client.hosts.kept(first.receipt.node)

    found = portal.shared().call(held)
    assert found is not None
    assert Cached("hub", "me/boxed", 2_000_000) in found.things
    second = nosana_jupyter.run(textwrap.dedent(source))
    assert (first.values["there"], second.values["there"]) == (False, True)


@pytest.mark.usefixtures("here")
def test_what_a_cell_defines_travels() -> None:
    """Functions go and values come back, as between any kernel and its runner."""

    def double(value: int) -> int:
        return 2 * value

    outcome = nosana_jupyter.run("answer = double(21)", {"double": double})

    assert outcome.values["answer"] == 42


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("line", ["%pip install", "!pip install", "!uv pip install"])
def test_what_a_cell_installs(tmp_path: Path, line: str) -> None:
    """The image cannot be written; what a cell installs is there all the same, and then gone."""
    wheel(tmp_path, "nosana_test_new", "1.0")
    source = f"""
        import pathlib, subprocess, sys
        pathlib.Path(name).write_bytes(data)
        {line} --no-index ./{{name}}
        import nosana_test_new
        version, place = nosana_test_new.VERSION, nosana_test_new.__file__
        child = "import nosana_test_new; print(nosana_test_new.VERSION)"
        told = subprocess.check_output([sys.executable, "-c", child], text=True)
    """
    (path,) = tmp_path.glob("*.whl")
    names = {"name": path.name, "data": path.read_bytes()}
    values = nosana_jupyter.run(textwrap.dedent(source), names).values

    assert (values["version"], values["told"]) == ("1.0", "1.0\n")
    assert values["place"].startswith("/nosana/")


def _data(output: Any) -> dict[str, str]:
    found: dict[str, str] = output.get("data", {})
    return found


@pytest.mark.usefixtures("here")
def test_an_image_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is offline hears that cells of this network run without images, too."""
    monkeypatch.setenv("NOSANA_IMAGE", "nowhere.invalid/no/image:1")
    monkeypatch.setenv("NOSANA_ATTEMPTS", "1")
    with pytest.raises(HostFailed, match="cannot be pulled") as caught:
        nosana_jupyter.run("1")

    assert "start --executor process" in caught.value.hint
    assert "back in the wallet" in caught.value.money
