"""
Whether there is a newer version, and how it gets here. Nothing here installs it.
"""

from __future__ import annotations

import re
import subprocess
import sys

from packaging.version import InvalidVersion, Version

from .. import __version__
from ..errors import NetworkError
from .showing import Glance

PACKAGE = "nosana-jupyter"

PATIENCE = 60


def newest() -> str:
    """
    Return the newest version that pip would install here, from wherever it is told to look.

    Raises:
        NetworkError: It cannot be asked.
    """
    command = [
        sys.executable, "-m", "pip", "index", "versions", PACKAGE, "--disable-pip-version-check",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NetworkError(f"pip has not answered in {PATIENCE} s", hint="Try again.") from None
    found = re.search(rf"^{PACKAGE} \(([^)]+)\)", done.stdout, re.M)
    if done.returncode or found is None:
        said = done.stderr.strip().splitlines()[-1:] or ["it says nothing"]
        raise NetworkError(
            f"pip knows no newest version: {said[0][:200]}", hint="See that this machine is online."
        )
    return found[1]


def told(latest: str, running: Glance | None) -> list[str]:
    """Return what there is to say and to do, line by line."""
    lines = []
    if _newer(latest):
        lines += [
            f"{PACKAGE} {latest} is there; this is {__version__}. To take it:",
            "  nosana-jupyter host drain",
            f"  {_install()}",
            "  nosana-jupyter host run",
        ]
    else:
        lines.append(f"{PACKAGE} {__version__} is the newest.")
    if running is not None and running.version != __version__:
        lines.append(
            f"The host that runs is still {running.version}: nosana-jupyter host drain, then run."
        )
    return lines


def _newer(latest: str) -> bool:
    try:
        return Version(latest) > Version(__version__)
    except InvalidVersion:
        return False


def _install() -> str:
    if "pipx" in sys.prefix:
        return f"pipx upgrade {PACKAGE}"
    return f"{sys.executable} -m pip install --upgrade {PACKAGE}"
