"""
Settings: defaults < the user's file < the project's < the notebook's < environment < one magic.

This module, `place` and `around` alone read the environment. The user's file is `settings.toml` in
the data folder; an environment variable is `NOSANA_` and the name of the setting in capitals. What
the other two may say is in `scoped`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ..errors import UsageError
from . import scoped
from . import teams as teams
from .choices import ADDRESSES as ADDRESSES
from .choices import CHECKS
from .choices import SECRET as SECRET
from .choices import Settings as Settings
from .choices import meanings as meanings
from .forms import KEY_VARIABLE
from .place import HOME_VARIABLE as HOME_VARIABLE
from .place import home as home

_folder: Path | None = None
"""Where this process began: projects are found from there, wherever it has gone since."""

_here: dict[str, str] = {}
"""Settings of this notebook, as this process was told them."""

_told: list[scoped.Project] = []
"""Of which project's file it was said that some of it is ignored."""

LISTED = 5
"""Most of its settings that are named then."""


def begin() -> None:
    """Note the folder from which the project's file is looked for."""
    global _folder
    try:
        _folder = Path.cwd()
    except FileNotFoundError:  # It was removed.
        _folder = Path.home()


def load(folder: Path | None = None, notebook: str = "", *, tell: bool = False) -> Settings:
    """
    Read the settings as they hold now.

    Args:
        folder: From which the project's file is looked for; by default where this process began.
        notebook: Whose settings hold, by the name that `notebook` returns; by default this one's.
        tell: Whether to say on stderr what the project's files say in vain, once in a process.

    Raises:
        UsageError: A file is not TOML, or it or the environment names an unknown setting or a
            value of the wrong form; says where it is set and how to change it. What a project's
            file says wrongly is ignored instead: see `project`.
    """
    take_key()
    own = dict(_read_file())
    for name in own:
        if name not in Settings.__dataclass_fields__:
            raise UsageError(
                f"there is no setting {name!r}, but {_path()} names it",
                hint=f"Remove it: %nosana config {name} --unset",
            )
    projects = _projects(own, folder)
    if tell:
        tell_unheeded(projects)
    theirs = {name: value for each in projects for name, value in each.values.items()}
    values = {**own, **theirs, **_of_notebook(notebook), **_environment()}
    for name, value in values.items():
        _check(name, value)
    return replace(Settings(), **values)


def project(name: str) -> Path | None:
    """Return the project's file that says a setting."""
    found = [each.path for each in _projects(_read_file()) if name in each.values]
    return found[-1] if found else None


def _projects(own: dict[str, Any], folder: Path | None = None) -> list[scoped.Project]:
    """Return what the project's files say, the nearest last: each may change what it finds."""
    if _folder is None:
        begin()
    assert _folder is not None
    found: list[scoped.Project] = []
    paths = scoped.find(folder or _folder)
    theirs = _without_project(own) if paths else {}
    for path in reversed(paths):
        found.append(scoped.project(path, theirs, lambda name, value: _check(name, value, "")))
        theirs |= found[-1].values
    return found


def _without_project(own: dict[str, Any]) -> dict[str, str]:
    return {name: str(own.get(name, getattr(Settings(), name))) for name in names()}


def unheeded(only: str = "") -> list[str]:
    """
    Say what the project's file says in vain, and why.

    Args:
        only: Setting that is asked about; by default all are.
    """
    return [
        why if key == scoped.NAME else f"{found.path} sets {key[:40]}, which is ignored: {why}"
        for found in _projects(_read_file())
        for key, why in found.ignored.items()
        if only in ("", scoped.SPELLED.get(key, key)) or key == scoped.NAME
    ]


def tell_unheeded(projects: list[scoped.Project] | None = None) -> None:
    """Say on stderr what the project's file says in vain, once in a process."""
    for found in _projects(_read_file()) if projects is None else projects:
        if not found.ignored or found in _told:
            continue
        _told.append(found)
        ignored = [f"{key[:40]} ({why[:200]})" for key, why in [*found.ignored.items()][:LISTED]]
        more = ", …" if len(found.ignored) > LISTED else ""
        text = f"of {found.path} is ignored: {', '.join(ignored)}{more}. See %nosana config"
        # The file may be a stranger's: nothing of it commands a terminal.
        sys.stderr.write(f"nosana: {''.join(c if c.isprintable() else '?' for c in text)}\n")


def _environment() -> dict[str, str]:
    # Few are set, and each that is asked for takes its time.
    given = [key for key in os.environ if key.startswith("NOSANA_") and key.isupper()]
    found = ((key.removeprefix("NOSANA_").lower(), os.environ[key]) for key in given)
    every = Settings.__dataclass_fields__
    return {name: value for name, value in found if value and name in every}


def _of_notebook(other: str = "") -> dict[str, str]:
    """Return what was set for this notebook, in this process or an earlier one; or for another."""
    path = home() / "notebooks" / f"{other}.toml" if other.isalnum() else _notebook_path()
    said = (scoped.read(path) if path is not None else {}) | ({} if other else _here)
    return {name: value for name, value in said.items() if name in names() and value}


def notebook() -> str:
    """Return a name for this notebook that says nothing of it; empty if nobody says which it is."""
    path = _notebook_path()
    return path.stem if path is not None else ""


def notebook_title() -> str:
    """Return where this notebook is, as its Jupyter server says; empty if none does."""
    return os.environ.get("JPY_SESSION_NAME", "")


def _notebook_path() -> Path | None:
    """Return where the settings of this notebook are kept, if a Jupyter server says which it is."""
    notebook = os.environ.get("JPY_SESSION_NAME")
    return scoped.notebook_file(home(), notebook) if notebook else None


def save_notebook(name: str, value: str) -> bool:
    """
    Set something for this notebook; an empty value goes back to what holds without it.

    Returns:
        Whether the next kernel of this notebook will know it.

    Raises:
        UsageError: There is no such setting, the value has the wrong form, or it is a secret.
    """
    check(name, value)
    if name in SECRET:
        raise UsageError(
            f"{name} is a secret, and is not kept for one notebook",
            hint=f"%nosana config {name} --ask",
        )
    _here[name] = value
    path = _notebook_path()
    if path is not None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        scoped.write(path, name, value, mode=0o600, head=f"# {os.environ['JPY_SESSION_NAME']}\n")
    return path is not None


def save_project(name: str, value: str) -> Path:
    """
    Set something for the project, in the file that is found or a new one where this process began.

    Raises:
        UsageError: A project may not say this, or the value has the wrong form.
    """
    check(name, value)
    if why := scoped.REFUSED.get(name):
        raise UsageError(
            f"{scoped.NAME} may not set {name}: {why}", hint=f"%nosana config {name} VALUE"
        )
    own = _without_project(_read_file())
    *above, found = [None, *_projects(_read_file())]
    for each in above:
        own |= each.values if each else {}
    if value and (why := scoped.ALLOWED[name](value, own[name])):
        raise UsageError(f"{scoped.NAME} would set {name} in vain: {why}", hint="It was not saved.")
    assert _folder is not None
    path = found.path if found else _folder / scoped.NAME
    # Written by us it would be ours, with all that it says.
    if found and scoped.NAME in found.ignored:
        raise UsageError(f"{found.ignored[scoped.NAME]}. It was not saved", hint="Copy it first.")
    scoped.write(path, name, value, head="# What cells of this project ask for: see README.\n")
    return path


def save(name: str, value: str) -> None:
    """
    Write one setting to the file; an empty value goes back to the default.

    Raises:
        UsageError: There is no such setting, or the value has the wrong form.
    """
    if value or name not in _read_file():
        check(name, value)
    scoped.write(_path(), name, value, mode=0o600)


def check(name: str, value: str) -> None:
    """
    See that a value can be that of a setting.

    Raises:
        UsageError: It cannot.
    """
    _check(known(name), value, "It was not saved.")


def change(name: str) -> str:
    """Say how a setting is changed where it is set now."""
    if origin(name) == "environment":
        return f"Change {variable(name)} in the environment."
    if origin(name) == "notebook":
        return f"Change it: %nosana config {name} VALUE --notebook, or --unset --notebook."
    if origin(name) == "project":
        return (
            f"The file {project(name)} says so. Here alone: %nosana config {name} VALUE --notebook"
        )
    return f"Change it: %nosana config {name} VALUE, or --unset."


def variable(name: str) -> str:
    """Return the variable of the environment that sets a setting."""
    return f"NOSANA_{name.upper()}"


def origin(name: str) -> str:
    """Say where a value comes from: `default`, `file`, `project`, `notebook` or `environment`."""
    if os.environ.get(variable(name)):
        return "environment"
    own = _read_file()
    if name in _of_notebook():
        return "notebook"
    if any(name in each.values for each in _projects(own)):
        return "project"
    return "file" if name in own else "default"


def place(name: str) -> str:
    """Say where a value comes from, for who looks for it: a file is named, and so is a variable."""
    where = {
        "environment": variable(name),
        "project": project(name),
        "notebook": os.environ.get("JPY_SESSION_NAME"),
        "file": _path(),
    }
    came = origin(name)
    return f"{came}: {where[came]}" if where.get(came) else came


def environment_value(name: str) -> str | None:
    """Read one variable of the environment by name, for `--env NAME` without a value."""
    return None if name == KEY_VARIABLE else os.environ.get(name)


def variables(chosen: Settings) -> dict[str, str]:
    """
    Return the variables that every cell's environment has.

    Raises:
        UsageError: One is to have this process's own value, and there is none.
    """
    found = {}
    for word in chosen.env.split():
        name, given, value = word.partition("=")
        known = value if given else environment_value(name)
        if known is None:
            raise UsageError(
                f"setting env names {name}, and this process has no such variable",
                hint=change("env"),
            )
        found[name] = known
    return found


class _Secret:
    """A text that no list of attributes, and no text form of what holds it, shows."""

    __slots__ = ("text",)

    def __init__(self) -> None:
        self.text = ""

    def __repr__(self) -> str:
        return "…"


_key = _Secret()


def private_key() -> str:
    """
    Return the key that the environment held when the settings were first read, if it did.

    Raises:
        UsageError: The environment names a wallet as well.
    """
    take_key()
    if _key.text and os.environ.get(variable("wallet")):
        raise UsageError(
            f"{KEY_VARIABLE} and {variable('wallet')} in the environment name two wallets",
            hint="Unset one of them.",
        )
    return _key.text


def take_key() -> None:
    """Take a key out of the environment: programs that are started from here do not inherit it."""
    if text := os.environ.pop(KEY_VARIABLE, ""):
        _key.text = text


def _read_file() -> dict[str, Any]:
    return scoped.read(_path())


def _path() -> Path:
    return home() / "settings.toml"


def _check(name: str, value: object, hint: str | None = None) -> None:
    """Check one value. What is wrong is said with the setting's name and, by default, the cure."""
    if not isinstance(value, str):
        raise UsageError(
            f"setting {name} is {value!r}; settings are text in quotes",
            hint=change(name) if hint is None else hint,
        )
    if value:
        try:
            CHECKS[name](value)
        except UsageError as error:
            more = change(name) if hint is None else hint
            raise UsageError(f"setting {name}: {error}", hint=f"{error.hint} {more}") from None


def names() -> list[str]:
    """Return the names of all settings."""
    return [each.name for each in fields(Settings)]


def known(name: str) -> str:
    """
    Return the name of a setting.

    Raises:
        UsageError: There is none; names the nearest.
    """
    if name in names():
        return name
    import difflib

    near = difflib.get_close_matches(name.lower(), names(), n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Settings are {', '.join(names())}."
    raise UsageError(f"there is no setting {name!r}", hint=hint)
