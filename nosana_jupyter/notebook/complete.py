"""
Completion of what stands after `%%nosana` and `%nosana`: commands, options, settings, their values.

Asks no network: what a key press shows must be there at once.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.completer import SimpleCompletion, context_matcher

from .. import known, settings
from ..sanitize import line as line_of
from . import grammar

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_shell: list[InteractiveShell] = []
"""The shell whose names may travel."""

MAGICS = ("%nosana", "%%nosana")

KIND = "magic"
"""What stands beside what needs no words."""

MOST = 2000
"""Most files of a folder that are looked at."""

TITLE = 40
"""Most characters of a job's title."""

_VALUES: dict[str, tuple[str, ...]] = {
    "network": settings.NETWORKS,
    "confirm": ("ask", "yes"),
    "pay": ("nos", "credits"),
    "priority": ("low", "medium", "high"),
}
"""Values of settings of which there are few."""


def candidates(line: str) -> dict[str, str]:
    """
    Return what may stand at the end of a line, each with what is shown beside it.

    Args:
        line: All up to the cursor; its last word may be begun.
    """
    magic, *words = line.split()
    begun = words.pop() if words and not line[-1].isspace() else ""
    found = _options(grammar.cell_grammar(), words) if magic == "%%nosana" else _of_line(words)
    if words and (values := _values(words[-1], begun)) is not None:
        found = values
    beside: Mapping[str, str] = found if isinstance(found, Mapping) else {}
    return {each: beside.get(each, KIND) for each in sorted(found) if each.startswith(begun)}


def _values(option: str, begun: str) -> Iterable[str] | None:
    """Return what an option may be given, as far as it is known here; None if it takes nothing."""
    network = settings.load().network
    if option == "--gpu":
        return {_model(name) for names in known.read(network).values() for name in names}
    if option == "--market":
        return list(known.read(network))
    if option == "--files":
        return _paths(begun)
    if option == "--deps":
        return ["all", "auto", "none", *_paths(begun)]
    if option == "--session":
        return ["none", *_sessions()]
    if option in ("--in", "--out") and _shell:
        before, comma, _ = begun.rpartition(",")
        hidden = _shell[0].user_ns_hidden
        names = [name for name in _shell[0].user_ns if name not in hidden and name[0] != "_"]
        return [f"{before}{comma}{name}" for name in names]
    return None


def _paths(begun: str) -> list[str]:
    """Return the files and folders that a path may mean; those that need quotes are left out."""
    no, path = ("!", begun[1:]) if begun.startswith("!") else ("", begun)
    folder, slash, _ = path.rpartition("/")
    try:
        with os.scandir(Path(folder + slash).expanduser() if path.count("/") else ".") as entries:
            found = [
                f"{no}{folder}{slash}{entry.name}{'/' if entry.is_dir() else ''}"
                for entry in islice(entries, MOST)
                if shlex.quote(entry.name) == entry.name
            ]
    except (OSError, ValueError, RuntimeError):
        return []
    return [each for each in found if not each.rstrip("/").rpartition("/")[2].startswith(".")]


def _model(name: str) -> str:
    """Return what tells a card from others, as in 4090, by which `--gpu` finds it."""
    return next((word for word in name.split() if any(map(str.isdigit, word))), name)


def _sessions() -> list[str]:
    """Return the sessions that are open; nobody opened one where the portal was never needed."""
    portal = sys.modules.get("nosana_jupyter.portal")
    return portal.shared().session_names() if portal is not None else []


def _jobs() -> dict[str, str]:
    """Return the open jobs with the first lines of their cells."""
    from ..journal import Journal

    journal = Journal()
    try:
        found = journal.unsettled(settings.load().network)
        return {each.intent.job: line_of(each.intent.cell)[:TITLE] or KIND for each in found}
    finally:
        journal.close()


def _of_line(words: list[str]) -> Iterable[str]:
    match words:
        case []:
            return [name for name in grammar.COMMANDS if name]
        case ["network"]:
            return settings.NETWORKS
        case ["wallet"]:
            return ["create", "import"]
        case ["wallet", "create" | "import"]:
            return ["keyring:"]
        case ["help"]:
            return [name for name in grammar.COMMANDS if name]
        case ["config"]:
            return settings.names()
        case ["config", name]:
            return [*_VALUES.get(name, ()), grammar.ASK, grammar.UNSET]
        case ["config", _, _]:
            return [grammar.NOTEBOOK, grammar.PROJECT]
        case ["stop"] | ["extend"]:
            return _jobs()
        case ["down"]:
            return ["--all", *_sessions()]
        case ["extend", _, *_]:
            return ["--yes"]
        case ["up", *given]:
            return _options(grammar.up_grammar(), given)
        case ["deps", *given]:
            return _options(grammar.deps_grammar(), given)
        case ["quote", *given]:
            return _options(grammar.quote_grammar(), given)
        case ["markets", *given]:
            return _options(grammar.market_grammar(), given)
    return []


def _options(of: grammar.Grammar, given: list[str]) -> list[str]:
    """Return the options that are not given yet, or may be given again."""
    names = {word.partition("=")[0] for word in given}
    return [
        action.option_strings[0]
        for action in of._actions  # noqa: SLF001 - argparse tells it in no other way
        if action.option_strings[0] not in names or isinstance(action.default, list)
    ]


@context_matcher(identifier="nosana_jupyter")  # type: ignore[untyped-decorator]  # it has no types
def matcher(context: Any) -> dict[str, Any]:
    """Return what IPython shows at the cursor: where something of ours fits, nothing else."""
    line = context.line_with_cursor[: context.cursor_position].lstrip()
    if not line.startswith(MAGICS) or not line.partition(" ")[1]:
        return {"completions": []}
    begun = line.split()[-1] if not line[-1].isspace() else ""
    # IPython's token is what will be replaced; it may be the end of our word only.
    kept = len(begun) - len(context.token)
    found = [
        SimpleCompletion(text=each[kept:], type=beside)
        for each, beside in candidates(line).items()
        if kept >= 0 and begun[kept:] == context.token
    ]
    return {"completions": found, "suppress": bool(found)}


def load(shell: InteractiveShell) -> None:
    """Let a shell complete our magics."""
    _shell[:] = [shell]
    shell.Completer.custom_matchers.append(matcher)


def unload(shell: InteractiveShell) -> None:
    """Take that back."""
    _shell.clear()
    if matcher in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(matcher)
