"""Other Pythons of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

VARIABLE = "NOSANA_TEST_PYTHONS"
"""A folder of folders, each with a Python in its `bin`: `make pythons` makes one."""


def find(minor: str) -> str | None:
    """Return a Python of a minor version, as `3.9`; nothing if there is none."""
    named = os.environ.get(VARIABLE)
    folders = [Path(named)] if named else []
    folders.append(Path.home() / ".pyenv/versions")
    found = [path for each in folders for path in sorted(each.glob(f"{minor}*/bin/python{minor}"))]
    for path in [*map(str, found), shutil.which(f"python{minor}")]:
        # A shim of a version that is not chosen is there, and runs nothing.
        if (
            path
            and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0
        ):
            return path
    return None
