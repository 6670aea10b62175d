"""That nothing a kernel shows, writes or hands on holds a key or a token."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from front_ends import Kernel, Shown, environment
from local_networks import LocalNetwork
from traces import files, found

VECTORS = Path(__file__).parents[1] / "vectors"
KEYS = json.loads((VECTORS / "keys.json").read_text())["keys"]
ALICE, BOB = (KEYS[name] for name in ("alice", "bob"))
SECRET, OTHER = (bytes(each["secret_json_array"]) for each in (ALICE, BOB))
TOKEN = "eyJ0b2tlbi1vZi1waW5hdGE.very-secret"

pytestmark = pytest.mark.kernel


class Place:
    """A kernel of a user who has a key in the environment, and no network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        (folder / "ipython").mkdir()
        env = environment(str(folder / "data"), str(folder))
        nowhere = {
            f"NOSANA_{name}": "http://127.0.0.1:9" for name in ("RPC", "PIN", "GATEWAY", "API")
        }
        self.kernel = Kernel(
            {**env, **nowhere, "HOME": str(self.home), "NOSANA_PRIVATE_KEY": ALICE["secret_base58"]}
        )
        self.said: list[str] = []
        self.asked: list[dict[str, Any]] = []

    def run(self, source: str, *answers: str) -> Shown:
        """Run a cell, and type answers where it asks."""
        client = self.kernel.client
        ident = str(client.execute(source, allow_stdin=bool(answers), stop_on_error=False))
        for answer in answers:
            request = client.get_stdin_msg(timeout=60)
            self.asked.append(request["content"])
            client.input(answer)
        shown = self.kernel.follow(ident)
        self.said.append(json.dumps(shown.messages))
        return shown


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.kernel.close()


LOOKS = [
    "import os\ndict(os.environ)",
    "%nosana network mainnet",
    "%nosana",
    "%nosana wallet",
    "%nosana config",
    "%env",
    "import os, subprocess, sys\ndict(os.environ)",
    (
        "subprocess.run([sys.executable, '-c', 'import os; print(dict(os.environ))'],"
        " capture_output=True, text=True).stdout"
    ),
    "!env",
    "%xmode Verbose",
    "%%nosana --yes\nprint(1)",
    "%%nosana --yes --env NOSANA_PRIVATE_KEY\nprint(1)",
    (
        "import nosana_jupyter.settings as s, nosana_jupyter.portal as p\n"
        "[vars(s), s.load(), p.shared(), vars(p.shared()), p.shared()._client]"
    ),
    (
        "from nosana_jupyter import wallets, network\n"
        "w = wallets.find(network.MAINNET, s.load()); [w, dir(w), w.__slots__]"
    ),
    "import pickle\npickle.dumps(w)",
    "%whos",
    "%history",
]


def test_a_key_of_the_environment_is_seen_by_nobody(place: Place) -> None:
    """
    The wallet is that of the variable, and neither a magic, an error, a child process, the history
    nor a file shows its key, in any encoding.
    """
    place.run("%load_ext nosana_jupyter")
    shown = [place.run(source) for source in LOOKS]

    assert ALICE["public_key"] in shown[1].text
    assert "NOSANA_PRIVATE_KEY in the environment" in shown[1].text
    assert not any("NOSANA_PRIVATE_KEY'" in each.text for each in [shown[0], *shown[5:9]])
    assert "has no value" in shown[11].text
    assert found(SECRET, *place.said, files(place.folder)) == []


def test_a_key_is_taken_unseen(place: Place) -> None:
    """
    An imported key is asked for as a password, and stands in its file and nowhere else; so does a
    token.
    """
    place.run("%load_ext nosana_jupyter")
    path = place.folder / "mine.json"
    taken = place.run(f"%nosana wallet import {path}", BOB["secret_base58"])
    token = place.run("%nosana config pin_token --ask", TOKEN)
    place.run("%nosana network mainnet")
    place.run("%history -n")
    place.run("raise KeyError('with everything around it')")
    settings_file = place.folder / "data" / "settings.toml"

    assert BOB["public_key"] in taken.text
    assert "NOSANA_PRIVATE_KEY in the environment wins" in taken.text
    assert all(asked["password"] for asked in place.asked)
    assert len(place.asked) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == BOB["secret_json_array"]
    assert "pin_token" in token.text
    assert TOKEN in settings_file.read_text()
    kept = files(place.folder, without=frozenset({path, settings_file}))
    assert found(OTHER, *place.said, kept, settings_file.read_bytes()) == []
    assert TOKEN not in "".join(place.said)
    assert TOKEN.encode() not in kept


def test_a_key_on_a_line_is_refused(place: Place) -> None:
    """
    Who writes a key on the line is told that it is not a secret any more; no answer repeats it.
    """
    place.run("%load_ext nosana_jupyter")
    for line in ("wallet import", "wallet create", "wallet", "config wallet"):
        for key in (BOB["secret_base58"], json.dumps(BOB["secret_json_array"])):
            shown = place.run(f"%nosana {line} {key}")
            assert "UsageError" in shown.text
            said = [each for each in shown.messages if each[0] != "execute_input"]
            assert found(OTHER, json.dumps(said)) == []

    assert not (place.home / ".config").exists()


def test_nobody_to_ask_is_said(place: Place) -> None:
    """
    In a notebook that takes no input nothing is asked, and nothing is changed.
    """
    place.run("%load_ext nosana_jupyter")
    for line in ("wallet import", "config pin_token --ask"):
        assert "nothing can be typed unseen here" in place.run(f"%nosana {line}").text

    assert not (place.home / ".config").exists()


def test_a_secret_on_a_line_is_told_of(place: Place) -> None:
    """
    Who writes a token on the line is told where it stands now, and how not to; it is not repeated.
    """
    place.run("%load_ext nosana_jupyter")
    shown = place.run(f"%nosana config pin_token {TOKEN}")
    said = [each for each in shown.messages if each[0] != "execute_input"]

    assert "It stands in this notebook now." in shown.text
    assert TOKEN not in json.dumps(said)
    assert "stands in this notebook" not in place.run("%nosana config timeout 5m").text


@pytest.mark.network
def test_no_program_that_is_started_here_has_the_key(tmp_path: Path) -> None:
    """
    A local network, its host and a cell on it are started by a kernel that had a key in its
    environment: none of them has it, and nothing of it is written.
    """
    (tmp_path / "ipython").mkdir()
    home = tmp_path / "data"
    env = environment(str(home), str(tmp_path))
    kernel = Kernel({**env, "NOSANA_PRIVATE_KEY": ALICE["secret_base58"]})
    local = LocalNetwork(home)
    try:
        source = "import logging; logging.basicConfig(level=0)\n%load_ext nosana_jupyter"
        shown = [kernel.run(line) for line in source.splitlines()]
        shown.append(kernel.run("%%nosana\nimport os\nprint(sorted(os.environ.items()))\nx = 1"))
        running = local.status()
        pids = [running["pid"], running["host"]["pid"]]  # type: ignore[index]
        environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in pids]
    finally:
        local.stop()
        kernel.close()

    assert "nosana: done" in shown[-1].text
    assert all(b"NOSANA_JUPYTER_HOME" in each for each in environments)
    told = [json.dumps(each.messages) for each in shown]
    assert found(SECRET, *told, *environments, files(tmp_path)) == []
