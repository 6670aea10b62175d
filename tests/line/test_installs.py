"""What a cell installs on a host without containers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from local_networks import LocalNetwork
from simple_index import PASSWORD, USER, index
from wheels import wheel

import nosana_jupyter
from nosana_jupyter import settings
from nosana_jupyter.errors import CellError
from nosana_jupyter.events import Event

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network")]

SPELLINGS = {
    "%pip": "%pip install nosana-test-new",
    "!pip": "!pip install nosana-test-new",
    "!python": "!python -m pip install nosana-test-new",
    "!executable": "!{sys.executable} -m pip install nosana-test-new",
    "uv": "!uv pip install nosana-test-new",
    "%uv": "%uv pip install nosana-test-new",
    "subprocess": (
        "subprocess.run([sys.executable, '-m', 'pip', 'install', 'nosana-test-new'], check=True)"
    ),
    "%%bash": "get_ipython().run_cell_magic('bash', '', 'pip install nosana-test-new')",
}


@pytest.fixture(scope="module")
def session_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """A network with one host: that which all share gets more where results are compared."""
    network = LocalNetwork(tmp_path_factory.mktemp("lone"))
    network.start()
    yield network
    network.stop()


@pytest.fixture
def wheels(tmp_path: Path) -> dict[str, str]:
    """An environment in which installers know a folder with one wheel, and nothing else."""
    wheel(tmp_path / "wheels", "nosana_test_new", "1.0")
    found = {f"{tool}_FIND_LINKS": str(tmp_path / "wheels") for tool in ("UV", "PIP")}
    return found | {"UV_NO_INDEX": "1", "PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}


def installed() -> dict[str, int]:
    """Return what lies where this Python's packages are."""
    folder = Path(msgspec.__file__).parents[1]
    return {str(path): path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize("line", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_what_a_cell_installs_is_the_jobs(wheels: dict[str, str], line: str) -> None:
    """The cell imports it at once, and so do its children; this environment stays as it is."""
    before = installed()
    source = f"""
        import subprocess, sys
        {line}
        import nosana_test_new
        version, place = nosana_test_new.VERSION, nosana_test_new.__file__
        child = "import nosana_test_new; print(nosana_test_new.VERSION)"
        told = subprocess.check_output([sys.executable, "-c", child], text=True)
    """
    outcome = nosana_jupyter.run(textwrap.dedent(source), env=wheels)

    assert (outcome.values["version"], outcome.values["told"]) == ("1.0", "1.0\n")
    assert installed() == before
    assert not Path(outcome.values["place"]).exists()


def test_what_the_path_installs_is_kept_for_the_next_job(tmp_path: Path) -> None:
    """What `--pip` names is in the host's cache from the first job on."""
    wheel(tmp_path, "nosana_test_kept", "1.0")
    wanted = f"nosana-test-kept @ {(tmp_path / 'nosana_test_kept-1.0-py3-none-any.whl').as_uri()}"
    source = "import nosana_test_kept\nplace = nosana_test_kept.__file__"
    first, second = (nosana_jupyter.run(source, pip=[wanted]) for _ in range(2))

    assert first.values["place"] == second.values["place"]
    assert Path(first.values["place"]).exists()


def test_settings_of_installers_come_before_the_cell(wheels: dict[str, str]) -> None:
    """What `--env` says of an index holds for `--pip` too, which installs before the cell runs."""
    source = "import nosana_test_new\nversion = nosana_test_new.VERSION"
    outcome = nosana_jupyter.run(source, pip=["nosana-test-new==1.0"], env=wheels)

    assert outcome.values["version"] == "1.0"


def test_a_secret_goes_to_the_cell_and_is_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private index is asked with a secret; neither outputs nor any file here has its value."""
    wheel(tmp_path / "wheels", "nosana_test_private", "1.0")
    word = quote(PASSWORD, safe="")
    with index(tmp_path / "wheels") as private:
        monkeypatch.setenv("UV_INDEX_URL", private.url(f"{USER}:{word}@"))
        said: list[Event] = []
        outcome = nosana_jupyter.run(
            "import nosana_test_private as p, os\nprint(os.environ['UV_INDEX_URL'])\nv = p.VERSION",
            pip=["nosana-test-private"], secrets=["UV_INDEX_URL"], on_event=said.append,
        )  # fmt: skip
        with pytest.raises(CellError) as caught:
            nosana_jupyter.run(
                "1", pip=["nosana-test-gone"], secrets=["UV_INDEX_URL"], on_event=said.append
            )

    assert outcome.values["v"] == "1.0"
    for text in (word, PASSWORD):
        assert text not in repr(said)
        assert text not in f"{caught.value} {caught.value.hint}"
        files = [each for each in settings.home().rglob("*") if each.is_file()]
        assert not [each for each in files if text.encode() in each.read_bytes()]
