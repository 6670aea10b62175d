"""Reports of a run, as programs read them, and what is written for CI services."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from local_networks import LocalNetwork
from test_cli import notebook

from nosana_jupyter import reports
from nosana_jupyter.batch import Ended, Ran

ROOT = Path(__file__).parent.parent


# Half characters too: files may be named by bytes that are no text.
anything = st.text(st.characters(exclude_categories=()))


@given(anything, anything, anything)
@example("\x1b[31mé", "\x00", "caf\udce9.ipynb")
def test_a_report_is_xml_whatever_cells_say(title: str, text: str, name: str) -> None:
    """
    Escapes, controls and markup of a cell leave XML that is read again, with its cases.
    """
    ended = Ended()
    ended.ran = [
        Ran(1, "x = 1", 0.5, "passed"), Ran(2, title, 1.5, "failed", text), Ran(3, "y"),
    ]  # fmt: skip
    suite = ET.fromstring(reports.junit(ended, name))[0]
    assert reports.costs(ended, name).encode()

    cases = suite.findall("testcase")
    assert [[each.tag for each in case] for case in cases] == [[], ["failure"], ["skipped"]]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    assert suite.get("time") == "2.000"


def test_a_report_keeps_what_is_text() -> None:
    """Characters of any plane are those of the cell."""
    ended = Ended()
    ended.ran = [Ran(1, "é", 0.5, "failed", "é 😀 \U0010ffff\x1b[0m")]
    suite = ET.fromstring(reports.junit(ended, "book.ipynb"))[0]

    assert suite[1][0].text == "é 😀 \U0010ffff"


def environment(network: LocalNetwork, folder: Path) -> dict[str, str]:
    """Return what a step of a CI service finds, with the command on its path."""
    command = folder / "bin" / "nosana-jupyter"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m nosana_jupyter.cli "$@"\n')
    command.chmod(0o755)
    temporary = folder / "temporary"
    temporary.mkdir()
    return {
        **network.environment,
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "RUNNER_TEMP": str(temporary),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
    }


@pytest.mark.network
def test_the_action_runs_a_notebook(session_network: LocalNetwork, tmp_path: Path) -> None:
    """
    The action's own script runs a notebook with parameters that are no shell, tells its costs, and
    ends as the notebook does; its inputs are those that it reads.
    """
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    [step] = [each for each in action["runs"]["steps"] if each.get("id") == "run"]
    named = set(re.findall(r"inputs\.(\w+)", str(step["env"])))
    assert named == set(action["inputs"])
    inputs = {name: each.get("default", "") for name, each in action["inputs"].items()}
    inputs |= {"notebook": "book.ipynb", "budget": "1 NOS"}
    inputs["parameters"] = "n 21\nname $(touch evil); `touch evil`\n"
    notebook(
        tmp_path, "n = 1\nname = ''", "%%nosana\nm = 2 * n", "assert (m, name[:2]) == (42, '$(')",
        "1 / 0", "2", tags=("parameters",),
    )  # fmt: skip
    env = environment(session_network, tmp_path) | {
        key: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: inputs[found[1]], text)
        for key, text in step["env"].items()
    }
    script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(
        script, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 1, done.stderr
    assert not (tmp_path / "evil").exists()
    assert (tmp_path / "output").read_text() == "output=book.run.ipynb\n"
    assert (tmp_path / "book.run.ipynb").exists()
    summary = (tmp_path / "summary").read_text()
    assert summary.startswith("### book.ipynb: 0.")
    assert "4 of 6 cells ran to their end" in summary
    assert len(re.findall(r"^\| `m = 2 \* n` \| nvidia", summary, re.MULTILINE)) == 1
    suite = ET.parse(tmp_path / "nosana.xml").getroot()[0]
    assert [
        each.get("name") for each in suite.iter("testcase") if each.find("failure") is not None
    ] == ["cell 5: 1 / 0"]


@pytest.mark.network
def test_the_job_of_the_documentation_runs(session_network: LocalNetwork, tmp_path: Path) -> None:
    """
    The lines of the GitLab job, but for the installation, run as they stand there.
    """
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/ci.md").read_text(), re.DOTALL)
    [job] = [found["notebook"] for each in blocks if "notebook" in (found := yaml.safe_load(each))]
    notebook(tmp_path, "%%nosana\nprint('there')").rename(tmp_path / "train.ipynb")
    env = environment(session_network, tmp_path) | job["variables"]
    for line in [each for each in job["script"] if not each.startswith("pip ")]:
        subprocess.run(line, shell=True, cwd=tmp_path, env=env, check=True, timeout=120)

    kept = [*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]]
    assert all((tmp_path / each).stat().st_size for each in kept)
