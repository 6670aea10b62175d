"""What is built in runs, whole and small, on a local network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from local_networks import LocalNetwork

from nosana_jupyter.notebook import grammar
from nosana_jupyter.templates import reading, shelves

BUILT_IN = shelves.shelves(Path("/"))[shelves.BUILT_IN]
TEMPLATES = [reading.read(each) for each in sorted(BUILT_IN.iterdir())]

SAID = {
    "embed-table": "A koala sleeps",
    "batch-inference": "5 of 5 prompts",
    "fine-tune": "group of hosts with",
    "generate-images": "4 pictures: images/000-seed-0.png",
    "hello-gpu": "GFLOPS on",
    "monte-carlo": "from 12,000 paths",
    "serve-ollama": "2 questions answered; 0.000",
    "serve-vllm": "2 questions answered; 0.000",
    "sweep": "accuracy",
    "train-classifier": "the model had not seen",
    "transcribe": "dialled.wav   0.95  1.05    9",
    "whole-notebook": "the largest correlation is",
}
"""What each prints at its end."""


def notebook(name: str) -> nbformat.NotebookNode:
    [template] = [each for each in TEMPLATES if each.name == name]
    if template.kind == "notebook":
        made: nbformat.NotebookNode = template.notebook({}, small=True)
        return made
    made = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    sources = ["%load_ext nosana_jupyter", template.cell({}, small=True)]
    made.cells = [nbformat.v4.new_code_cell(each) for each in sources]  # type: ignore[no-untyped-call]
    return made


def test_each_says_what_was_tried() -> None:
    """Title, description, tags, and honestly what was tested; its options are options."""
    assert [each.name for each in TEMPLATES] == sorted(SAID)
    for each in TEMPLATES:
        info = each.info
        assert info.title
        assert info.description.endswith(".")
        assert info.tags
        assert info.tested.startswith(("Whole", "On ", "With "))
        assert all(parameter.help for parameter in info.parameters)
        if each.kind == "cell" and not info.local:
            grammar.cell_grammar().read(each.cell({}).partition("\n")[0].removeprefix("%%nosana"))


@pytest.mark.network
@pytest.mark.kernel
@pytest.mark.parametrize("name", sorted(SAID))
def test_it_runs(session_network: LocalNetwork, tmp_path: Path, name: str) -> None:
    """It ends well, says what it is for, and leaves nothing unpaid."""
    path = tmp_path / f"{name}.ipynb"
    nbformat.write(notebook(name), path)  # type: ignore[no-untyped-call]
    done = subprocess.run(
        [sys.executable, "-m", "nosana_jupyter.cli", "run", str(path), "--json"],
        env={**session_network.environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert SAID[name] in (tmp_path / f"{name}.run.ipynb").read_text()
    assert all(each["receipt"] for each in json.loads(done.stdout)["jobs"])
