"""
Where templates stand: with the project, with the user, and built in. The nearest of a name counts.

What came from elsewhere has a note beside it that says whence, and who signed it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from .. import settings
from ..errors import UsageError
from . import reading
from .form import Info, Template, checked

PROJECT, YOURS, BUILT_IN = "project", "yours", "built in"

FOLDER = Path(".nosana", "templates")
"""Of a project, where its templates stand."""

ORIGIN = "origin.json"

SUFFIXES = (".py", ".ipynb", ".json")
"""Of single files that may be templates."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Whence a template came."""

    source: str
    author: str = ""
    """Address of the wallet that signed it; empty where nobody did."""

    signature: str = ""
    """In base58."""


@dataclass(frozen=True, slots=True)
class Found:
    """What stands under a name."""

    name: str
    shelf: str
    path: Path
    template: Template | None = None
    """Nothing, where it cannot be read."""

    why: str = ""
    """Why it cannot be read."""

    origin: Origin | None = None


def shelves(folder: Path | None = None) -> dict[str, Path]:
    """Return the folders in which templates stand, the nearest first."""
    own = {YOURS: settings.home() / "templates", BUILT_IN: Path(__file__).with_name("built_in")}
    project = _project(folder or Path.cwd())
    return {PROJECT: project, **own} if project else own


def listed(folder: Path | None = None) -> list[Found]:
    """Return all templates, without those that a nearer one of the same name hides."""
    known: dict[str, Found] = {}
    for shelf, place in shelves(folder).items():
        for path in _entries(place):
            name = path.name.lower() if path.is_dir() else path.stem.lower()
            if name not in known:
                known[name] = _found(name, shelf, path)
    return sorted(known.values(), key=lambda each: each.name)


def find(name: str, folder: Path | None = None) -> Found:
    """
    Return the nearest template of a name.

    Raises:
        UsageError: There is none, or it cannot be read.
    """
    every = {each.name: each for each in listed(folder)}
    if name not in every:
        import difflib

        near = difflib.get_close_matches(name.lower(), every, n=1)
        hint = f"Did you mean {near[0]}?" if near else "See %nosana template list."
        raise UsageError(f"there is no template {name[:60]!r}", hint=hint)
    found = every[name]
    if found.template is None:
        raise UsageError(f"template {name} cannot be read: {found.why}", hint=f"See {found.path}")
    return found


def save(template: Template, place: Path, origin: Origin | None = None) -> Path:
    """
    Write a template as a folder, whole or not at all; never over another.

    Args:
        template: What.
        place: The shelf's folder.
        origin: Whence it came, if it came from elsewhere.

    Raises:
        UsageError: There is one of that name, or it cannot be written.
    """
    target = place / checked(template.name)
    if any(path.stem.lower() == template.name for path in _entries(place)):
        raise UsageError(
            f"there is a template {template.name} at {target}",
            hint="Give it another name: --as NAME",
        )
    files = {reading.INFO: template.head or written(template.info), **template.files}
    if origin is not None:
        files[ORIGIN] = json.dumps(msgspec.to_builtins(origin), indent=2) + "\n"
    try:
        place.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".new-", dir=place))
        try:
            for file, text in files.items():
                (draft / file).write_text(text, encoding="utf-8")
            draft.chmod(0o755)
            draft.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}") from None
    return target


def remove(name: str, folder: Path | None = None) -> Path:
    """
    Remove one of the user's own templates.

    Raises:
        UsageError: There is none, or it is not the user's.
    """
    found = next((each for each in listed(folder) if each.name == name), None)
    if found is None or found.shelf != YOURS:
        whose = f" of yours; it is {found.shelf}" if found else ""
        raise UsageError(f"there is no template {name[:60]!r}{whose}")
    shutil.rmtree(found.path) if found.path.is_dir() else found.path.unlink()
    return found.path


def written(info: Info) -> str:
    """Return what a template says of itself as its `info.json`, without what it does not say."""
    said = msgspec.to_builtins(info)
    plain = msgspec.to_builtins(Info(title=""))
    kept = {key: value for key, value in said.items() if value != plain[key]}
    kept["parameters"] = [_said(each) for each in said["parameters"]]
    if not kept["parameters"]:
        del kept["parameters"]
    return json.dumps(kept, indent=2, ensure_ascii=False) + "\n"


def _said(parameter: dict[str, object]) -> dict[str, object]:
    empty: tuple[object, ...] = ("", None, [], ())
    return {
        key: value
        for key, value in parameter.items()
        if key in ("name", "default") or not any(value is e or value == e for e in empty)
    }


def _found(name: str, shelf: str, path: Path) -> Found:
    try:
        template = reading.read(path, name)
        origin = _origin(path)
    except UsageError as error:
        return Found(name, shelf, path, why=str(error))
    return Found(name, shelf, path, template, origin=origin)


def _origin(path: Path) -> Origin | None:
    note = path / ORIGIN
    if not note.is_file():
        return None
    try:
        return msgspec.json.decode(note.read_bytes()[: reading.LARGEST], type=Origin)
    except (msgspec.DecodeError, OSError):
        return Origin(source="unknown: its note cannot be read")


def _entries(place: Path) -> Iterator[Path]:
    try:
        entries = sorted(place.iterdir())
    except OSError:
        return
    for path in entries:
        if path.name.startswith((".", "_")):
            continue
        if (path / reading.INFO).is_file() or (path.is_file() and path.suffix in SUFFIXES):
            yield path


def _project(folder: Path) -> Path | None:
    """Return where the templates of a project stand: here or above, up to its root or the home."""
    home = Path.home()
    for each in (folder, *folder.parents):
        if (each / FOLDER).is_dir():
            return each / FOLDER
        if os.path.exists(each / ".git") or each == home:  # noqa: PTH110 - as elsewhere
            return None
    return None
