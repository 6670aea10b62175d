"""Tracebacks after the first, which are coloured with what was made for it."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import functools, sys, tempfile
from pathlib import Path
from nosana_jupyter.runner import colours, shell

said = []
ours = shell.start(said.append, str, Path(tempfile.mkdtemp()), drawn=lambda: False)
if sys.argv[1:] == ["plain"]:
    colours.remember = lambda: None
CALL = "def f(text):\\n    return text['ä']\\nf('x')"
for source in ("1 / 0", CALL, "1 / 0", "%colors linux\\n1/0"):
    ours.raised = ours.cancelled = False
    ours.result = None
    ours.run_cell(source)
print([each for each in said], file=sys.__stdout__)
"""


def test_what_is_remembered_changes_no_colour() -> None:
    """Tracebacks read the same, whether their lexers and formatters are made anew or not."""
    ran = [
        subprocess.run(
            [sys.executable, "-c", CODE, *words], capture_output=True, text=True, check=True
        ).stdout
        for words in ([], ["plain"])
    ]

    assert ran[0] == ran[1]
    assert ran[0].count("ZeroDivisionError") >= 3
