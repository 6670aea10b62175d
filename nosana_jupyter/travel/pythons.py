"""
Whether the Python of a host can run what this one makes.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence

from ..errors import VersionMismatch

SHOWN = 40
"""Most characters of a version that a host names."""

_RESTART = "python -m nosana_jupyter.local stop"


def differs(python: str) -> bool:
    """
    Say whether a Python is of another minor version than this one.

    Args:
        python: As in `3.12.4`.
    """
    return python.split(".")[:2] != [str(sys.version_info.major), str(sys.version_info.minor)]


def needed(has_code: Sequence[str]) -> str:
    """Return the minor version of Python that a host must have, as in `3.12`, if it must."""
    if not has_code or sys.implementation.name != "cpython":
        return ""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def expect(python: str, has_code: Sequence[str]) -> None:
    """
    Compare Pythons before anything is spent, where a network says what its hosts run.

    Raises:
        VersionMismatch: Functions or classes cannot go there.
    """
    if python:
        refuse(python, has_code, by_image=False)


def refuse(
    python: str,
    has_code: Sequence[str],
    *,
    implementation: str = sys.implementation.name,
    by_image: bool,
) -> None:
    """
    Refuse to send functions and classes to another Python: their bytecode needs this version.

    Args:
        python: The host's, as in `3.12.4`.
        has_code: Names that carry bytecode.
        implementation: The host's, as in `cpython`.
        by_image: Whether it is the image's. Otherwise it is that of whoever started the host.

    Raises:
        VersionMismatch: They cannot go there.
    """
    if not has_code or not (differs(python) or implementation != sys.implementation.name):
        return
    rows = [
        ("", "here", "on the host"),
        ("Python", platform.python_version(), short(python)),
        ("implementation", sys.implementation.name, short(implementation)),
    ]
    ours = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    first = (
        f"Choose an image with {ours} (`--image`)"
        if by_image
        else f"Stop the local network ({_RESTART}) and run the cell again: it starts with {ours}"
    )
    raise VersionMismatch(
        f"functions and classes travel only between equal Pythons\n\n{table(rows)}\n\n"
        f"They are: {', '.join(has_code)}",
        hint=f"{first}, or define them inside the cell.",
    )


def note(python: str, *, by_image: bool) -> str:
    """Return one line on a cell that runs on another Python; nothing if it does not."""
    if not differs(python):
        return ""
    text = f"The cell runs on Python {short(python)}; here it is {platform.python_version()}."
    return f"{text}\n" if by_image else f"{text} To have the same: {_RESTART}, and run it again.\n"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as text in columns; the first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in rows]  # fmt: skip
    return "\n".join(lines)


def short(text: str) -> str:
    """Return what a host says as a short word of our own tables."""
    return " ".join(text.split())[:SHOWN]
