"""
Text of a cell that is too long for a notebook, kept in a file that the reader can open.

JupyterLab makes links of paths in HTML only, and finds them from the notebook's folder on: so the
file lies beside the notebook, in a folder that git ignores, and the note on it is a link. Where
there is no page, or no writing there, it lies with our own logs, and the note is its path.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from .. import settings
from ..units import size

if TYPE_CHECKING:
    from .fronts import Here

FOLDER = "nosana-output"

KEPT = 1 << 30
"""Most characters of one cell that are kept in a file: a host must not fill the disk."""


class Overflow:
    """
    The file of one cell.

    Args:
        label: What its name begins with.
        is_here: Whether there is a page, which makes a link of it.
    """

    def __init__(self, label: str, *, is_here: bool) -> None:
        self._kept = 0
        self._is_here = is_here
        self._path = self._made(label)

    def add(self, text: str) -> None:
        """Keep text, within the bound."""
        with self._path.open("a", encoding="utf-8") as file:
            self._kept += file.write(text[: max(0, KEPT - self._kept)])

    def tell(self, front: Here) -> None:
        """Show where it is."""
        part = "All" if self._kept < KEPT else f"The first {size(KEPT)}"
        data = {"text/plain": f"[{part} of the output is in {self._path}]"}
        if self._is_here:
            name = f"{FOLDER}/{self._path.name}"
            link = f'<a href="{quote(name)}">{escape(name)}</a>'
            data["text/html"] = f"[{part} of the output is in {link}]"
        front.display(data, {})

    def _made(self, label: str) -> Path:
        if self._is_here:
            try:
                folder = Path.cwd() / FOLDER
                if not folder.exists():
                    folder.mkdir(mode=0o700)
                    (folder / ".gitignore").write_text("*\n")
                return _new(folder, label)
            except OSError:
                self._is_here = False
        folder = settings.home() / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        return _new(folder, label)


def _new(folder: Path, label: str) -> Path:
    """Make a file that is not there yet."""
    number = 1
    while True:
        path = folder / (f"{label}.txt" if number == 1 else f"{label}-{number}.txt")
        try:
            path.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            number += 1
            continue
        return path
