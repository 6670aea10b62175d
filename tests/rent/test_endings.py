"""How cells end on a network that runs: the error that is told, the receipt, and the money."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from local_networks import LocalNetwork

from nosana_jupyter.client import Client
from nosana_jupyter.errors import CellTimeout, NosanaError, UsageError
from nosana_jupyter.events import Cell, Event, Posted, Said, Settled
from nosana_jupyter.money.journal import Receipt
from nosana_jupyter.outcome import Outcome
from nosana_jupyter.wire.messages import Error, Stream

pytestmark = pytest.mark.network


@dataclass
class Ran:
    """What a cell left."""

    events: list[Event] = field(default_factory=list)
    outcome: Outcome | None = None
    error: NosanaError | None = None

    @property
    def text(self) -> str:
        said = [event.message for event in self.events if isinstance(event, Said)]
        return "".join(message.text for message in said if isinstance(message, Stream))

    @property
    def raised(self) -> Error:
        (error,) = (
            event.message
            for event in self.events
            if isinstance(event, Said) and isinstance(event.message, Error)
        )
        return error

    @property
    def receipt(self) -> Receipt:
        (receipt,) = (event.receipt for event in self.events if isinstance(event, Settled))
        return receipt


def run(source: str, **options: Any) -> Ran:
    """Run a cell on the network that the environment names."""
    ran = Ran()
    filled: dict[str, Any] = {"namespace": {}, "timeout": 60, "gpu": "3070"} | options

    async def story() -> None:
        client = await Client.open()
        try:
            ran.outcome = await client.run(Cell(source=source, **filled), ran.events.append)
        except NosanaError as error:
            ran.error = error
        finally:
            await client.close()

    asyncio.run(story())
    return ran


def plain(lines: list[str]) -> str:
    """Return a traceback without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))


def test_a_cell_that_runs_out_of_its_time(network: LocalNetwork) -> None:
    """The error says so and how to have more; what was said is shown, and all is paid."""
    ran = run(
        "import time\nfor i in range(99):\n    print('step', i)\n    time.sleep(.1)", timeout=3
    )

    assert type(ran.error) is CellTimeout
    assert str(ran.error) == "the cell ran out of its 3 s"
    assert ran.error.hint == "Give it more with --timeout, as in --timeout 6s."
    assert (
        ran.error.money
        == f"{ran.receipt.deposit / 1e6:.6f} NOS went to the host for 3 s; nothing is left"
    )
    assert (ran.receipt.status, ran.receipt.seconds, ran.receipt.refunded) == ("timeout", 3, 0)
    assert "step 9\n" in ran.text


def test_a_cell_that_ends_itself_is_none_that_ran_out_of_time(network: LocalNetwork) -> None:
    """A runner that dies within its time is the cell's doing; what was said arrives."""
    ran = run("import os\nprint('before')\nos.system('echo child')\nos._exit(5)")

    assert ran.error is not None
    assert ran.text == "before\nchild\n"
    assert "exit code 5" in str(ran.error)
    assert ran.receipt.status == "failed"


def test_a_cell_begins_in_an_empty_folder(
    network: LocalNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a cell finds where it works is what it has put there; its modules lie elsewhere."""
    (tmp_path / "module_of_ours.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    ran = run("import os, module_of_ours\nopen('mine', 'w').close()\nseen = list(os.walk('.'))")

    assert ran.outcome is not None
    assert ran.outcome.values["seen"] == [(".", [], ["mine"])]


MODULE = """
from pathlib import Path

def fail():
    raise ValueError("no")

def read():
    return (Path(__file__).parent / "data.json").read_text()
"""


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a notebook, with a package and data of the user's own."""
    (tmp_path / "pkg_of_ours").mkdir()
    (tmp_path / "pkg_of_ours/__init__.py").touch()
    (tmp_path / "pkg_of_ours/mod.py").write_text(MODULE)
    (tmp_path / "pkg_of_ours/data.json").write_text("1")
    (tmp_path / "data.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_frames_of_own_modules(network: LocalNetwork, beside: Path) -> None:
    """They show the path by which the user knows the file, and nothing of the host's folders."""
    told = plain(run("from pkg_of_ours import mod\nmod.fail()").raised.traceback)

    assert "File pkg_of_ours/mod.py:5, in fail()" in told
    assert "nosana-" not in told


@pytest.mark.parametrize(
    ("source", "hinted"),
    [
        ("open('data.json')", True),
        ("import os\nos.listdir('pkg_of_ours')", True),
        ("from pkg_of_ours import mod\nmod.read()", True),
        ("open('data.jsonl')", False),
        ("open('/no/such/data.json')", False),
    ],
)
def test_a_file_that_is_here_and_not_there(
    network: LocalNetwork, beside: Path, source: str, hinted: bool
) -> None:
    """Who looks for a file of the notebook's folder is told how to send it."""
    ran = run(source)

    assert ("is on this machine, not on the host" in plain(ran.raised.traceback)) == hinted
    assert ran.raised.ename == "FileNotFoundError"


def test_an_image_that_no_host_can_use(network: LocalNetwork) -> None:
    """A host without containers says that it uses its own Python; the cell runs all the same."""
    ran = run("x = 1", image="pytorch/pytorch:2.4.0")

    assert "The image pytorch/pytorch:2.4.0 is not used: this host has no containers" in ran.text
    assert ran.text.count("\n") == 1
    assert "image" not in run("x = 1").text


@pytest.mark.parametrize(
    "image", ["not an image!!", "library/UPPER", "python:", "a:b:c", "x" * 600]
)
def test_an_image_that_cannot_be(network: LocalNetwork, image: str) -> None:
    """It is refused before anything is spent."""
    ran = run("x = 1", image=image)

    assert type(ran.error) is UsageError
    assert not any(isinstance(event, Posted) for event in ran.events)
