"""Files that go with a cell and come back, through a whole network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from local_networks import LocalNetwork

import nosana_jupyter
from nosana_jupyter.errors import RemoteError, UsageError

pytestmark = pytest.mark.network


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.csv").write_text("1,2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_and_back(network: LocalNetwork, folder: Path) -> None:
    """A cell reads a file under its own name, and what it writes is here under its own name."""
    large = os.urandom(9_000_000)
    (folder / "large.bin").write_bytes(large)
    outcome = nosana_jupyter.run(
        "import os, shutil\n"
        "text = open('data/a.csv').read()\n"
        "os.makedirs('out/deep')\n"
        "open('out/deep/b.csv', 'w').write(text * 2)\n"
        "shutil.copy('large.bin', 'out/large.bin')\n",
        files=["data/*.csv", "large.bin"],
        get=["out"],
    )

    assert outcome.values["text"] == "1,2\n"
    assert [(each.path, each.was) for each in outcome.landed.files] == [
        (folder / "out/deep/b.csv", "new"),
        (folder / "out/large.bin", "new"),
    ]
    assert (folder / "out/deep/b.csv").read_text() == "1,2\n1,2\n"
    assert (folder / "out/large.bin").read_bytes() == large


def test_what_was_there_when_it_failed(network: LocalNetwork, folder: Path) -> None:
    """A cell that raises leaves the files that it had written by then."""
    with pytest.raises(RemoteError):
        nosana_jupyter.run("open('a.txt', 'w').write('x')\n1 / 0", get=["a.txt:kept/", "b.txt"])
    assert (folder / "kept/a.txt").read_text() == "x"


def test_functions_take_files(network: LocalNetwork, folder: Path) -> None:
    """A remote function has files of its own."""

    @nosana_jupyter.remote(files="data")
    def read(name: str) -> str:
        with open(name) as stream:  # noqa: PTH123 - as people write it
            return stream.read()

    assert read("data/a.csv") == "1,2\n"


def test_what_is_not_there_costs_nothing(network: LocalNetwork, folder: Path) -> None:
    """A wrong name is told before a job is posted."""
    with pytest.raises(UsageError, match="no such file") as caught:
        nosana_jupyter.run("1", files=["data/b.csv"])
    assert not caught.value.money
