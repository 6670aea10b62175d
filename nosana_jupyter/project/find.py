"""
The file of a project that says what it needs: the nearest, upwards from the notebook.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ..errors import UsageError
from . import conda, reqfile, uvlock
from .pins import Pins

AUTO, ALL, NONE = "auto", "all", "none"
"""Words in place of a file."""

MOST = 64 << 20
"""Most bytes of a file that is read."""


def read_pyproject(path: Path, shown: str) -> Pins:
    """Read what a project asks for; tells bounds, and hardly a version."""
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
        return reqfile.parse([str(each) for each in project.get("dependencies", [])], shown)
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{shown} cannot be read: {error}", hint="Mend it, or leave it with `--deps none`."
        ) from None


READERS: Mapping[str, Callable[[Path, str], Pins]] = {
    "uv.lock": uvlock.read,
    "requirements.txt": reqfile.read,
    "environment.yml": conda.read,
    "environment.yaml": conda.read,
    "pyproject.toml": read_pyproject,
}
"""What reads which file. Where a folder has several, the first in this order counts."""

_known: dict[Path, tuple[object, Pins]] = {}


def find(option: str = AUTO, folder: Path | None = None) -> Pins:
    """
    Return what a project's file says.

    Args:
        option: `auto`, `all`, `none`, or the path of a file.
        folder: The notebook's; by default the current one.

    Raises:
        UsageError: The file is not there, or cannot be read.
    """
    if option == NONE:
        return Pins()
    here = folder or Path.cwd()
    if option not in (AUTO, ALL):
        path = here / Path(option).expanduser()
        if not path.is_file():
            raise UsageError(
                f"--deps: there is no file {option}",
                hint=f"Name one, or {AUTO}, {ALL} or {NONE}.",
            )
        return _read(path, _reader(path))
    for place in _upwards(here):
        for name, reader in READERS.items():
            if os.path.isfile(f"{place}/{name}"):  # noqa: PTH113 - each cell asks for all of them
                return _read(Path(place, name), reader)
    if option == ALL:
        raise UsageError(
            "--deps all: there is no file of a project here or above",
            hint=f"It may be {', '.join(READERS)}.",
        )
    return Pins()


def _upwards(folder: Path) -> Iterator[str]:
    """Yield a folder and those above, as far as they are the project's."""
    # Not by methods of paths, here and above: each cell looks for all of these files.
    ends = (os.path.normpath(os.path.expanduser("~")), folder.anchor)  # noqa: PTH111
    place = str(folder)
    while True:
        yield place
        if os.path.exists(f"{place}/.git"):  # noqa: PTH110
            return
        above = os.path.dirname(place)  # noqa: PTH120
        if not above or above in (place, *ends):
            return
        place = above


def _reader(path: Path) -> Callable[[Path, str], Pins]:
    if found := READERS.get(path.name):
        return found
    if path.suffix in (".yml", ".yaml"):
        return conda.read
    if path.suffix == ".lock":
        return uvlock.read
    return read_pyproject if path.suffix == ".toml" else reqfile.read


def _read(path: Path, reader: Callable[[Path, str], Pins]) -> Pins:
    """Read a file, or remember it as long as it stays the same."""
    status = path.stat()
    if status.st_size > MOST:
        raise UsageError(f"{path} is too large", hint="Leave it with `--deps none`.")
    shown = os.path.relpath(path)
    state = (status.st_mtime_ns, status.st_size, shown, reader)
    if reader is reqfile.read:
        # Files within it may have changed without it.
        return reader(path, shown)
    if path not in _known or _known[path][0] != state:
        _known[path] = (state, reader(path, shown))
    return _known[path][1]
