"""The notebooks run as they are stored."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import base58
import nbformat
import pytest
from local_networks import LocalNetwork
from solders.keypair import Keypair

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"

pytestmark = [pytest.mark.network, pytest.mark.kernel]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_outputs_are_those_stored(session_network: LocalNetwork, path: Path) -> None:
    """Every cell runs, and what does not change from run to run is what the notebook shows."""
    # Commands of a notebook are those of its environment, as where that is activated. What is said
    # to the pytest around is not for this one.
    found = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", str(path)],
        env={**session_network.environment, "PATH": found, "PYTEST_ADDOPTS": ""},
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


def book(path: Path, cells: list[str]) -> None:
    """Write a notebook of somebody's own."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(made, path)


def test_stored_outputs_of_ones_own_are_compared(
    session_network: LocalNetwork, tmp_path: Path
) -> None:
    """
    As `docs/ci.md` says: a marked `%%nosana` cell, in a job or a session, shows what it did when it
    was stored; its card is another and is not looked at; what it prints otherwise fails.
    """
    path = tmp_path / "book.ipynb"
    book(path, [
        "%load_ext nosana_jupyter\nfactor = 6",
        "%%nosana\n# NBVAL_CHECK_OUTPUT\nanswer = factor * 7\nprint('there:', answer)\nanswer",
        "# NBVAL_CHECK_OUTPUT\nanswer + 1",
        "%nosana up",
        "%%nosana\n# NBVAL_CHECK_OUTPUT\nanswer += 1\n[answer, {'a': 1}]",
        "%nosana down",
    ])  # fmt: skip
    environment = {**session_network.environment, "PYTEST_ADDOPTS": ""}
    stored = subprocess.run(
        [sys.executable, "-m", "jupyter", "execute", "--inplace", str(path)],
        env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert stored.returncode == 0, stored.stderr
    assert "application/vnd.nosana.job+json" in path.read_text()

    told = (NOTEBOOKS.parent / "docs" / "ci.md").read_text()
    [line] = re.findall(r"^pytest (.*--nbval.*)$", told, re.MULTILINE)

    def compared() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pytest", *line.split(), "-p", "no:cacheprovider"],
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240,
        )  # fmt: skip

    done = compared()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
    path.write_text(path.read_text().replace("print('there:', answer)", "print('there:', 41)"))
    failed = compared()
    assert failed.returncode == 1
    assert "1 failed, 5 passed" in failed.stdout
    assert "there: 41" in failed.stdout


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_what_is_stored_is_nobodys(path: Path) -> None:
    """Every code cell has run; neither a key, nor a token, nor a path of a machine is in it."""
    text = path.read_text()
    for cell in nbformat.read(path, as_version=4).cells:
        assert cell.cell_type != "code" or cell.execution_count
        assert not re.search(
            r"/(?:tmp|home|root|work|Users|var)/\\?\w", str(cell.get("outputs", ""))
        )
        assert "swordfish" not in str(cell.get("outputs", ""))
    assert not keys(text)


def keys(text: str) -> list[str]:
    """Return what are key pairs in a text, in either of the two spellings."""
    found = [re.findall(r"\d{1,3}", each) for each in re.findall(r"\[[\d\s,]{128,400}\]", text)]
    lists = [bytes(map(int, each)) for each in found if max(map(int, each)) < 256]
    words = re.findall(r"\b[1-9A-HJ-NP-Za-km-z]{86,88}\b", text)
    spelled = [base58.b58decode(each) for each in words]
    return [each.hex() for each in (*lists, *spelled) if _is_pair(each)]


def _is_pair(data: bytes) -> bool:
    if len(data) != 64:
        return False
    try:
        return bytes(Keypair.from_seed(data[:32]).pubkey()) == data[32:]
    except ValueError:
        return False


def test_a_key_would_be_found() -> None:
    """The check can fail: both spellings of a key are seen, and a signature is none."""
    pair = Keypair()
    assert keys(f"wallet {pair}")
    assert keys(str(list(bytes(pair))))
    assert not keys(str(pair.sign_message(b"hello")))


def test_the_first_cell_shows_what_it_promises(
    session_network: LocalNetwork, tmp_path: Path
) -> None:
    """Progress, a figure and a table come from the host; values are used, a receipt is kept."""
    out = tmp_path / "executed.ipynb"
    done = subprocess.run(
        [sys.executable, str(NOTEBOOKS / "demo.py"), str(NOTEBOOKS / "first_cell.ipynb"),
         "--out", str(out)],
        env=session_network.environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    executed = nbformat.read(out, as_version=4)
    cells = {cell.id: cell for cell in executed.cells}

    told = cells["cell-07"].outputs
    text = "".join(each.text for each in told if each.output_type == "stream")
    assert "epoch 40: loss" in text
    models = executed.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    assert 40.0 in [each["state"].get("value") for each in models.values()]  # The bar, at its end.
    assert any("image/png" in data(each) for each in told)
    assert any("accuracy" in data(each).get("text/html", "") for each in told)
    assert any("paid" in data(each).get("text/plain", "") for each in told)
    assert "40 losses" in cells["cell-09"].outputs[0].text
    assert "did not come back" in data(cells["cell-10"].outputs[0])["text/plain"]
    assert "stand-in" in data(cells["cell-12"].outputs[0])["text/plain"]
    assert f"The executed notebook: {out}" in done.stdout
    assert not any(each.output_type == "error" for cell in cells.values()
                   for each in cell.get("outputs", []))  # fmt: skip


def data(output: Any) -> dict[str, str]:
    """Return an output's data by MIME type."""
    found: dict[str, str] = output.get("data", {})
    return found
