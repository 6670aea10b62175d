"""
Completion of what stands after `%%nosana` and `%nosana`: commands, options, settings, their values.

Asks no network: what a key press shows must be there at once.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from IPython.core.completer import SimpleCompletion

from .. import settings
from ..errors import NosanaError
from ..market import known
from ..sanitize import line as line_of
from . import ask, grammar, serving

OPEN = re.compile(
    r"%nosana +(stop|extend|down|attach|serve +stop) +\S*$|%%nosana .*--session +\S*$"
)
"""Where only jobs or sessions fit."""

KIND = "magic"
"""What stands beside what needs no words."""

MOST = 2000
"""Most files of a folder that are looked at."""

LATEST = 20
"""Most receipts that are offered."""

TITLE = 40
"""Most characters of a job's title."""

_VALUES: dict[str, tuple[str, ...]] = {
    "confirm": ("ask", "yes"),
    "pay": ("nos", "credits"),
    "priority": ("low", "medium", "high"),
}
"""Values of settings of which there are few."""

_TIMES = ("10m", "30m", "1h", "2h", "8h")
_AMOUNTS = ("$0.50", "$1", "$5", "$20", "none")
_USUAL: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("timeout", "for", "longest", "wait", "idle", "boot"), _TIMES),
    **dict.fromkeys(("answer", "lease", "lease-detached"), ("90s", "2m", "5m", "30m")),
    **dict.fromkeys(("max-cost", "budget", "ask-above"), _AMOUNTS),
    **dict.fromkeys(("budget-day", "budget-month", "budget-notebook"), _AMOUNTS),
    "vram": ("8", "16", "24", "48", "80"),
    "small": ("64kB", "1MB", "10MB"),
    "get-limit": ("1GB", "20GB"),
    "audit": ("1%", "5%", "20%", "100%", "none"),
    "prefer": ("price", "reliability", "cached", "free,reliability"),
    "attempts": ("1", "3", "5"),
}
"""What is often meant, of options and settings that may be anything of a kind."""


def candidates(line: str, names: Iterable[str] = ()) -> dict[str, str]:
    """
    Return what may stand at the end of a line, each with what is shown beside it.

    Args:
        line: All up to the cursor; its last word may be begun.
        names: What may travel.
    """
    magic, *words = line.split()
    begun = words.pop() if words and not line[-1].isspace() else ""
    of_cell = grammar.cell_grammar() if magic == "%%nosana" else None
    found = _options(of_cell, words) if of_cell else _of_line(words)
    if magic == "%%ask":
        found = [*_options(ask.grammar(), words), *([] if words else _left())]
    if words and (values := _values(words[-1], begun, names)) is not None:
        found = values
    elif words and of_cell and _takes_value(of_cell, words[-1]):
        found = []
    elif magic == "%nosana" and words[:1] == ["config"] and len(words) == 2:
        found = {*found, *(_values(f"--{words[1].replace('_', '-')}", begun) or ())}
    beside: Mapping[str, str] = found if isinstance(found, Mapping) else {}
    return {each: beside.get(each, KIND) for each in sorted(found) if each.startswith(begun)}


def _values(option: str, begun: str, names: Iterable[str] = ()) -> Iterable[str] | None:
    """Return what an option may be given, as far as it is known here; None if it takes nothing."""
    if option in ("--gpu", "--market"):
        markets = known.read(settings.load().network)
        if option == "--market":
            return list(markets)
        return {_model(name) for names in markets.values() for name in names} or known.CARDS
    if option in ("--image", "--pip", "--secret", "--env", "--get"):
        return []
    if usual := _USUAL.get(option.removeprefix("--")):
        return usual if option.startswith("--") else None
    if option == "--files":
        return _paths(begun)
    if option == "--deps":
        return ["all", "auto", "none", *_paths(begun)]
    if option == "--session":
        return ["none", *_sessions()]
    if option in ("--in", "--out"):
        before, comma, _ = begun.rpartition(",")
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


def _services() -> list[str]:
    """Return the services that are kept here."""
    portal = sys.modules.get("nosana_jupyter.portal")
    return portal.shared().service_names() if portal is not None else []


def _left() -> list[str]:
    """Return the services that are known of, whoever keeps them."""
    from ..rent.servicebook import ServiceBook

    book = ServiceBook()
    try:
        return [each.name for each in book.records(settings.load().network)]
    finally:
        book.close()


def _kept() -> list[str]:
    """Return the sessions that are known of, also those of other processes."""
    from ..rent.logbook import Logbook

    logbook = Logbook()
    try:
        return logbook.names(settings.load().network)
    finally:
        logbook.close()


def _hosts(deed: str) -> dict[str, str]:
    """Return the hosts that may be reported or forgiven, with what is held against them."""
    from ..market.reputation import Reputation

    hosts = Reputation(settings.load().network)
    try:
        now = time.time()
        return {
            each.node: line_of(each.why)[:TITLE] or KIND
            for each in hosts.all()
            if (each.avoid_until > now if deed == "forgive" else each.differed or each.lied)
        }
    finally:
        hosts.close()


def _jobs(*, ended: bool = False, node: str = "") -> dict[str, str]:
    """Return the open jobs, or those that ended last, with the first lines of their cells."""
    from ..money.journal import Journal

    journal = Journal()
    try:
        network = settings.load().network
        if ended:
            last = journal.receipts(network, limit=LATEST)
            return {
                each.job: f"{each.status}, {each.spent}"
                for each in last
                if each.node.startswith(node)
            }
        found = journal.unsettled(network)
        return {each.intent.job: line_of(each.intent.cell)[:TITLE] or KIND for each in found}
    finally:
        journal.close()


def _plain(names: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(names, KIND)


def _of_line(words: list[str]) -> Iterable[str]:
    match words:
        case []:
            return [name for name in grammar.COMMANDS if name]
        case ["network"]:
            return [*settings.teams.known(), *grammar.TEAMS]
        case ["network", "leave"]:
            return settings.teams.joined()
        case ["wallet"]:
            return ["create", "import"]
        case ["wallet", "create" | "import"]:
            return ["keyring:"]
        case ["help"]:
            return [name for name in grammar.COMMANDS if name]
        case ["config"]:
            return settings.names()
        case ["config", name]:
            values = settings.teams.known() if name == "network" else _VALUES.get(name, ())
            return [*values, grammar.ASK, grammar.UNSET]
        case ["config", _, _]:
            return [grammar.NOTEBOOK, grammar.PROJECT]
        case ["stop"]:
            return {**_jobs(), **_plain([*_sessions(), *_services()])}
        case ["extend"] | ["receipts"]:
            return _jobs(ended=words[0] == "receipts")
        case ["attach"]:
            return {**_jobs(), **_plain([*_kept(), *_left()])}
        case ["attach", _]:
            return ["--peek"]
        case ["open", _]:
            return ["--to"]
        case ["down"]:
            return ["--all", *_sessions(), *_services()]
        case ["extend", _]:
            return ["10m", "30m", "1h"]
        case ["extend", _, _]:
            return ["--yes"]
        case ["stake"]:
            return ["extend", "unstake", "restake", "withdraw", "join", "claim"]
        case ["stake", first] if first[:1].isdigit():
            return ["--for"]
        case ["template", *given]:
            return _of_templates(given)
        case ["serve"]:
            return [*serving.KINDS, serving.STOP]
        case ["serve", "stop"]:
            return ["--all", *_services()]
        case ["serve", kind, *given] if kind not in serving.KINDS or given:
            return _options(serving.grammar(), given)
        case ["up", *given]:
            return _options(grammar.up_grammar(), given)
        case ["deps", *given]:
            return _options(grammar.deps_grammar(), given)
        case ["quote", *given]:
            return [*_options(grammar.quote_grammar(), given), *_pick(given)]
        case ["hosts", "report" | "forgive" as deed]:
            return _hosts(deed)
        case ["hosts", "report", _]:
            return ["--job"]
        case ["hosts", "report", node, "--job"]:
            return _jobs(ended=True, node=node)
        case ["hosts", "report" | "forgive", *_]:
            return []
        case ["hosts"]:
            return ["forgive", "report", *_options(grammar.hosts_grammar(), [])]
        case ["hosts", *given]:
            return _options(grammar.market_grammar(), given)
        case ["markets", *given]:
            return [*_options(grammar.market_grammar(), given), *_pick(given)]
    return []


def _pick(given: list[str]) -> list[str]:
    return [] if "--pick" in given else ["--pick"]


def _of_templates(given: list[str]) -> Iterable[str]:
    """Return what may follow `%nosana template`."""
    from ..templates import shelves
    from . import templates

    match given:
        case []:
            return templates.DEEDS
        case ["show" | "use" | "share"]:
            return {
                each.name: line_of(each.template.info.title)[:TITLE] or KIND
                for each in shelves.listed()
                if each.template is not None
            }
        case ["remove"]:
            return [each.name for each in shelves.listed() if each.shelf == shelves.YOURS]
        case ["use", name, *more]:
            found = next((each.template for each in shelves.listed() if each.name == name), None)
            parameters = found.info.parameters if found is not None else ()
            names = {f"{each.name}=": line_of(each.help)[:TITLE] or KIND for each in parameters}
            given_names = {f"{word.partition('=')[0]}=" for word in more}
            left = [each for each in templates.options_of("use") if each not in more]
            fitting = {name: text for name, text in names.items() if name not in given_names}
            return fitting | dict.fromkeys(left, KIND)
        case ["import"]:
            return ["git+https://", "https://", "ipfs://"]
        case [deed, _, *more]:
            return [each for each in templates.options_of(deed) if each not in more]
    return []


def _takes_value(of: grammar.Grammar, word: str) -> bool:
    """Say whether a word is an option behind which a value belongs."""
    actions = of._actions  # noqa: SLF001 - argparse tells it in no other way
    return any(word in each.option_strings and each.nargs != 0 for each in actions)


def _options(of: grammar.Grammar, given: list[str]) -> list[str]:
    """Return the options that are not given yet, or may be given again."""
    names = {word.partition("=")[0] for word in given}
    return [
        action.option_strings[0]
        for action in of._actions  # noqa: SLF001 - argparse tells it in no other way
        if action.option_strings[0] not in names or isinstance(action.default, list)
    ]


def matches(line: str, token: str, names: Iterable[str]) -> dict[str, Any]:
    """
    Return what IPython shows at the end of a line.

    Args:
        line: All up to the cursor.
        token: What of it will be replaced.
        names: What may travel.
    """
    try:
        return _matches(line, token, names)
    except NosanaError:
        return {"completions": []}  # A file of settings is wrong: who runs something is told.


def _matches(line: str, token: str, names: Iterable[str]) -> dict[str, Any]:
    begun = line.split()[-1] if not line[-1].isspace() else ""
    # IPython's token may be the end of our word only.
    kept = len(begun) - len(token)
    found = [
        SimpleCompletion(text=each[kept:], type=beside)
        for each, beside in candidates(line, names).items()
        if kept >= 0 and begun[kept:] == token
    ]
    if not found:
        # Were nothing shown, IPython would show names of Python, which fit nowhere there.
        why = "none is open" if OPEN.match(line) else KIND
        found = [SimpleCompletion(text=token, type=why)]
    return {"completions": found, "suppress": True}
