"""
Files that are here and not on the host: what is said about them, before a cell runs and after.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from ..wire import messages as say
from .pythons import short

MOST_SEARCHED = 4096
"""Most characters of an exception's message that are searched for the name of a file."""

MOST_TOLD = 3
"""Most files of which it is told before a cell runs."""

_MISSING = re.compile(
    r"No such file or directory: b?(?P<quote>['\"])(?P<path>[^'\"]+)(?P=quote)"
    r"|name = '(?P<name>[^']+)', errno = 2\b"
)
"""How Python and HDF5 say that a file is missing."""

_BESIDE_MODULE = re.compile(r"/nosana-[^/]+/modules/(.+)$")
"""A file that one of the user's modules looks for beside itself."""

_NOT_READ = re.compile(
    r"(to_|sav|writ|dump|print|log|touch|mkdir|unlink|remove|exists|is_file|run)"
)
"""Beginnings of the names of calls that do not read the file they name."""


def notes(tree: ast.Module, base: Path, sent: Collection[str]) -> list[str]:
    """
    Say which files a cell names that are here, and that no `--files` brings.

    Args:
        tree: The cell.
        base: The notebook's folder.
        sent: Names of the files that go with it.
    """
    told = []
    for text in dict.fromkeys(_read(tree)):
        path = base / os.path.expanduser(text)
        below = os.path.normpath(text).replace(os.sep, "/")
        if below not in sent and _is_users(path, base) and path.is_file():
            told.append(f"{text} is here and not on the host: {_option(text)}")
    return told[:MOST_TOLD]


def _is_users(path: Path, base: Path) -> bool:
    """Say whether a path lies where a user's own files do: hosts have files of a system too."""
    full = Path(os.path.normpath(path))
    return full.is_relative_to(base) or full.is_relative_to(os.path.expanduser("~"))


def _read(tree: ast.Module) -> Iterator[str]:
    """Yield texts that calls are given and that may be names of files they read."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func
        name = str(getattr(called, "attr", "") or getattr(called, "id", ""))
        first = node.args[0]
        text = first.value if isinstance(first, ast.Constant) else None
        if _NOT_READ.match(name) or not isinstance(text, str) or not _is_name(text):
            continue
        mode = next((each.value for each in node.keywords if each.arg == "mode"), None)
        mode = mode or (node.args[1] if name == "open" and len(node.args) > 1 else None)
        if isinstance(mode, ast.Constant) and re.search("[wax]", str(mode.value)):
            continue
        yield text


def _is_name(text: str) -> bool:
    # One word alone may be anything: a key, a column, a name of a model.
    return 0 < len(text) < 1024 and text.isprintable() and ("." in text or "/" in text)


def with_hint(error: say.Error, modules: Sequence[say.Module]) -> say.Error:
    """Return what a cell raised; where a file is missing that is here, with a word about it."""
    found = _MISSING.search(error.evalue[-MOST_SEARCHED:])
    path = found and (found["path"] or found["name"])
    if not path:
        return error
    name = short(Path(path).name)
    if _is_there(Path(path)):
        how = f"Send it along: {_option(path)}."
    elif _is_beside(path, modules):
        how = "Read it here, and use what was read in the cell."
    else:
        return error
    text = f"hint: {name} is on this machine, not on the host. {how}"
    return msgspec.structs.replace(error, traceback=[*error.traceback, "", text])


def _option(path: str) -> str:
    """Return the option that sends a file along."""
    pure = os.path.normpath(os.path.expanduser(path))
    if not os.path.isabs(pure) and not pure.startswith(".."):
        return f"--files {shlex.quote(path)}"
    name = os.path.basename(pure)
    return f"--files {shlex.quote(path)}, and read it there as {name}"


def _is_beside(path: str, modules: Sequence[say.Module]) -> bool:
    """Say whether a file that a module looks for beside itself is beside it here."""
    beside = _BESIDE_MODULE.search(path)
    roots = {each.origin.removesuffix(each.path) for each in modules}
    if beside is None:
        return False
    return any(_is_there(Path(root or ".").expanduser() / beside[1]) for root in roots)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
