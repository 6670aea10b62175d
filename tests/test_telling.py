"""Reports of tests arrive, and what stops pytest itself is told last."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import telling

HALF = r"""
def test_half():
    print("\udc80 is half")
    raise ValueError("\ud83d is half")
"""
STOPS = """
def pytest_runtest_logfinish(nodeid):
    raise OSError(f"no file is left after {nodeid}")
"""


def _run(folder: Path, **files: str) -> list[str]:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "telling", "--numprocesses=1", "test_half.py"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), "PYTEST_ADDOPTS": ""},
        cwd=folder, capture_output=True, text=True, timeout=270,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_half_characters_arrive(tmp_path: Path) -> None:
    """A test that fails over one, as names of files can have them, has failed, and no more."""
    said = _run(tmp_path, test_half=HALF)

    assert "1 failed" in said[-1]
    assert any(r"ValueError: \ud83d is half" in line for line in said)


def test_the_end_says_why(tmp_path: Path) -> None:
    """Where pytest itself stops, its last lines say which tests failed, and what stopped it."""
    said = _run(tmp_path, test_half=HALF, conftest=STOPS)[-20:]

    assert "FAILED test_half.py::test_half" in said
    assert any("OSError: no file is left after test_half.py::test_half" in line for line in said)


def test_a_tree_is_parsed_once_more() -> None:
    """Where Python has lost count of a tree's depth, it is made again; other errors stand."""
    lost = iter([SystemError("recursion depth mismatch"), SystemError("mismatch"), None])

    def parse(source: str) -> str:
        if error := next(lost):
            raise error
        return source

    assert telling.patient(parse)("x") == "x"
    with pytest.raises(SyntaxError):
        telling.patient(ast.parse)("(")
