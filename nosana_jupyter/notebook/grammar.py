"""
The options of `%%nosana` and of `%nosana quote`.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import itertools
import re
import shlex
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NoReturn

from .. import forms, secret_store, settings
from ..errors import UsageError
from ..project.pins import has_credentials
from ..units import parse_cap, parse_gib, parse_seconds, parse_size

COMMANDS = {
    "": "where you are: network, wallet, balance, running jobs",
    "jobs": "the newest jobs: jobs [NUMBER]",
    "receipts": "what they cost: receipts [NUMBER], or all of one: receipts JOB",
    "up": "open a session, in which cells keep their state: up [NAME] [--vram 16] [--for 2h]",
    "attach": "bring back a cell or session that goes on: attach [JOB|CELL|NAME] [--peek]",
    "down": "end a session, and pay it: down [NAME|--all]",
    "sessions": "what is open: host, time left, cost so far",
    "stop": "end a job: stop JOB",
    "extend": "give a job more time: extend JOB 30m [--yes]",
    "sweep": "settle everything this wallet left behind",
    "wallet": "address and balance; to get one: wallet create [FILE], wallet import [FILE]",
    "markets": "cards, prices and free hosts: markets [--vram 16] [--gpu 4090]",
    "deps": "packages of this notebook, and what a host gets of them: deps [--pip …] [--deps …]",
    "quote": "what a cell may cost: quote [--vram 16] [--timeout 30m]",
    "network": "choose the network, and see what it needs: network [local|devnet|mainnet]",
    "config": "settings: config [NAME [VALUE|--ask|--unset] [--notebook|--project]]",
    "help": "this list, or more on one command: help [COMMAND]",
}
"""What `%nosana` understands, and what each does."""

MOST_WORDS = {
    "": 0, "sweep": 0, "sessions": 0, "down": 1, "attach": 2,
    "jobs": 1, "receipts": 1, "stop": 1, "network": 1, "help": 1,
}  # fmt: skip
"""Most words that a command takes; the others read their own."""

ASK = "--ask"
"""In place of a setting's value: it is typed unseen."""

UNSET = "--unset"
"""In place of a setting's value: back to the default."""

NOTEBOOK = "--notebook"
"""After a setting's value: for this notebook alone."""

PROJECT = "--project"
"""After a setting's value: for all who work on this project, in a file they share."""

HELP = frozenset({"-?", "-h", "--help", "?"})
"""Words that ask for the list of options."""

MANY = "…"
"""At the end of what an option takes: several words, each a value."""

_OPTION = re.compile(r"--?[^\W\d][^\s]*")


def split(line: str) -> list[str]:
    """
    Return the words of a line, without its comment. A `#` inside a word belongs to it.

    Raises:
        UsageError: A quote is not closed.
    """
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(itertools.takewhile(lambda word: not word.startswith("#"), lexer))
    except ValueError as error:
        raise UsageError(f"{line.strip()!r}: {error}", hint="Close the quotes.") from None


class Grammar(argparse.ArgumentParser):
    """A parser that raises in place of ending the process, and names what was nearly meant."""

    def error(self, message: str) -> NoReturn:
        """Raise: what is left to argparse to find."""
        raise UsageError(message, hint=f"Usage: {' '.join(self.format_usage().split()[1:])}")

    def read(self, line: str) -> argparse.Namespace:
        """
        Parse a magic's line.

        Raises:
            UsageError: It cannot be understood; names the nearest option.
        """
        words = split(line)
        known = {option: action for action in self._actions for option in action.option_strings}
        written: list[str] = []
        given: set[str] = set()
        while words:
            word = words.pop(0)
            name, equals, value = word.partition("=")
            if name not in known:
                raise self._unknown(word, name, known)
            action = known[name]
            if action.metavar is None:
                if equals:
                    raise UsageError(f"{name} takes no value", hint=f"Write {name} alone.")
                written.append(name)
                continue
            repeatable = isinstance(action.default, list)
            if name in given and not repeatable:
                raise UsageError(f"{name} is given twice", hint="Leave one out.")
            given.add(name)
            parts = [value] if equals else []
            # A value with a space in it, as in `0.2 NOS` or `RTX A4000`, need not be quoted.
            many = str(action.metavar).endswith(MANY)
            while words and not (_OPTION.match(words[0]) or (parts and repeatable and not many)):
                parts.append(words.pop(0))
            if not parts:
                hint = f"Write {name} {action.metavar}: {action.help}."
                raise UsageError(f"{name} needs a value", hint=hint)
            written += [f"{name}={part}" for part in (parts if many else [" ".join(parts)])]
        return self.parse_args(written)

    def _unknown(self, word: str, name: str, known: Mapping[str, argparse.Action]) -> UsageError:
        """Return what is to be said of a word that is no option."""
        if not _OPTION.match(word):
            several = [
                option
                for option, action in known.items()
                if isinstance(action.default, list) and not str(action.metavar).endswith(MANY)
            ]
            hint = f"Options are {', '.join(known)}."
            if several:
                them = " and ".join(filter(None, [", ".join(several[:-1]), several[-1]]))
                hint = f"{them} are written once for each value. {hint}"
            return UsageError(f"{word!r} is not understood", hint=hint)
        near = nearest(f"--{name.lstrip('-')}", known)
        hint = f"Did you mean {near}?" if near else f"Options are {', '.join(known)}."
        return UsageError(f"there is no option {name}", hint=hint)


def nearest(word: str, names: Iterable[str]) -> str:
    """Return which of some names in small letters was nearly meant, or nothing."""
    near = difflib.get_close_matches(word.lower(), list(names), n=1)
    return near[0] if near else ""


def _checked(parse: Any) -> Any:
    """Return a type for argparse that lets our own errors through."""

    def check(text: str) -> Any:
        return parse(text)

    return check


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if not name.isidentifier():
            raise UsageError(f"{name!r} is not a name", hint="Write names as in a,b,c.")
    return names


def _money(text: str) -> str:
    """Check an amount. Dollars are turned into NOS later, where the price is known."""
    parse_cap(text, usd_per_nos=Decimal(1))
    return text


def _image(text: str) -> str:
    forms.check_image(text)
    return text


def _variable(text: str) -> tuple[str, str]:
    name, given, value = text.partition("=")
    if not name.isidentifier():
        raise UsageError(f"--env {text!r} names no variable", hint="Write --env NAME=VALUE.")
    if given and has_credentials(value):
        raise UsageError(
            f"--env {name} holds who asks, with a password, and now stands in the notebook",
            hint=f"Give it as a secret, whose value is never on the line: --secret {name}",
        )
    if given:
        return name, value
    known = settings.environment_value(name)
    if known is None:
        raise UsageError(
            f"--env {name} has no value, and this process has no such variable",
            hint=f"Write --env {name}=VALUE.",
        )
    return name, known


def _wants(grammar: Grammar) -> Grammar:
    """Add what is asked of a host."""
    grammar.add_argument(
        "--vram", type=_checked(parse_gib), metavar="GIB", help="GPU memory: 16, 16GB, 24GiB"
    )
    grammar.add_argument("--gpu", metavar="NAME", help="card: 4090, 'RTX A4000'")
    grammar.add_argument(
        "--market", metavar="NAME", help="slug or address of a market; no other is looked at"
    )
    return grammar


def _spends(grammar: Grammar) -> Grammar:
    """Add what bounds the cost."""
    grammar.add_argument(
        "--timeout", type=_checked(parse_seconds), metavar="TIME",
        help="longest run to pay for: 90s, 30m, 2h",
    )  # fmt: skip
    grammar.add_argument(
        "--max-cost", type=_checked(_money), metavar="AMOUNT",
        help="cap on deposit and fee: 0.5, 0.2 NOS, $0.10 or none",
    )  # fmt: skip
    return grammar


def _packages(grammar: Grammar) -> Grammar:
    """Add what says which packages a host is to have."""
    grammar.add_argument(
        "--pip", action="append", default=[], metavar="PACKAGE",
        help="requirement beside those that are found; repeatable",
    )  # fmt: skip
    grammar.add_argument(
        "--deps", metavar="FILE",
        help="file that says versions; all: install all of it; none: look at no file; by default "
        "the uv.lock, requirements.txt, environment.yml or pyproject.toml found here or above",
    )  # fmt: skip
    grammar.add_argument(
        "--secret", action="append", default=[], type=_checked(secret_store.check), metavar="NAME",
        help="variable whose value nothing shows: an index with a password, a token; repeatable",
    )  # fmt: skip
    return grammar


def deps_grammar() -> Grammar:
    """Return the grammar of `%nosana deps`."""
    grammar = _packages(Grammar(prog="%nosana deps", add_help=False, allow_abbrev=False))
    grammar.add_argument(
        "--image", type=_checked(_image), metavar="IMAGE", help="container image with a Python"
    )
    return grammar


@functools.cache
def cell_grammar() -> Grammar:
    """Return the grammar of `%%nosana`."""
    grammar = Grammar(prog="%%nosana", add_help=False, allow_abbrev=False)
    _spends(_wants(grammar))
    grammar.add_argument(
        "--image", type=_checked(_image), metavar="IMAGE", help="container image with a Python"
    )
    _packages(grammar)
    grammar.add_argument(
        "--in", dest="takes", type=_checked(_names), metavar="NAMES",
        help="names to send, as in a,b; by default those the cell reads",
    )  # fmt: skip
    grammar.add_argument(
        "--out", dest="returns", type=_checked(_names), metavar="NAMES",
        help="names to bring back, as in c,d; by default those the cell binds",
    )  # fmt: skip
    grammar.add_argument(
        "--files", action="append", default=[], metavar=f"PATTERN{MANY}",
        help="files and folders to send: 'data/*.csv', models, /data/a.csv:a.csv, '!*.tmp'",
    )  # fmt: skip
    grammar.add_argument(
        "--get", dest="gets", action="append", default=[], metavar=f"PATTERN{MANY}",
        help="files to bring back: 'out/*', or elsewhere: 'out/*:results/'",
    )  # fmt: skip
    grammar.add_argument(
        "--get-limit", type=_checked(parse_size), metavar="SIZE",
        help="most that --get brings back: 20GB; by default 8.6 GB",
    )  # fmt: skip
    grammar.add_argument(
        "--env", action="append", default=[], type=_checked(_variable), metavar="NAME[=VALUE]",
        help="variable of the cell's environment; without a value, this kernel's own; repeatable",
    )  # fmt: skip
    grammar.add_argument(
        "--session", metavar="NAME", help="session to run in; none: a job of the cell's own"
    )
    grammar.add_argument(
        "--cold", action="store_true", help="run in a job of the cell's own, whatever is open"
    )
    grammar.add_argument(
        "--detach", action="store_true",
        help="return at once; the cell goes on without this kernel: see %%nosana attach",
    )  # fmt: skip
    grammar.add_argument(
        "--dry-run", action="store_true", help="show what would travel and cost; spend nothing"
    )
    grammar.add_argument(
        "--trust", action="store_true",
        help="let the host's scripts and any of its widgets run in this page",
    )  # fmt: skip
    grammar.add_argument("--yes", action="store_true", help="spend real money without asking")
    return grammar


def up_grammar() -> Grammar:
    """Return the grammar of `%nosana up`."""
    grammar = _wants(Grammar(prog="%nosana up", add_help=False, allow_abbrev=False))
    grammar.add_argument(
        "--image", type=_checked(_image), metavar="IMAGE", help="container image with a Python"
    )
    grammar.add_argument(
        "--for", dest="most", type=_checked(parse_seconds), metavar="TIME",
        help="longest run in all: 30m, 2h",
    )  # fmt: skip
    grammar.add_argument(
        "--idle", type=_checked(parse_seconds), metavar="TIME",
        help="time without a cell after which it ends: 10m",
    )  # fmt: skip
    grammar.add_argument(
        "--timeout", type=_checked(parse_seconds), metavar="TIME",
        help="what is paid for at a time, within --for: 15m",
    )  # fmt: skip
    grammar.add_argument(
        "--max-cost", type=_checked(_money), metavar="AMOUNT",
        help="cap on all of it: 0.5, 0.2 NOS, $0.10 or none",
    )  # fmt: skip
    grammar.add_argument("--yes", action="store_true", help="spend real money without asking")
    return grammar


def named(rest: str) -> tuple[str, argparse.Namespace]:
    """Return the name of a session that a line begins with, if any, and its options."""
    words = rest.split(maxsplit=1)
    if words and not words[0].startswith(("-", "#")):
        return words[0], up_grammar().read(words[1] if len(words) > 1 else "")
    return "main", up_grammar().read(rest)


def quote_grammar() -> Grammar:
    """Return the grammar of `%nosana quote`."""
    return _spends(_wants(Grammar(prog="%nosana quote", add_help=False, allow_abbrev=False)))


def market_grammar() -> Grammar:
    """Return the grammar of `%nosana markets`."""
    return _wants(Grammar(prog="%nosana markets", add_help=False, allow_abbrev=False))


def split_command(line: str) -> tuple[str, str]:
    """
    Return the command of a `%nosana` line, and the rest of it.

    Raises:
        UsageError: There is no such command; names the nearest.
    """
    command, *rest = line.split(maxsplit=1) or [""]
    text = rest[0].strip() if rest else ""
    if command.startswith("#"):
        return "", ""
    if command not in COMMANDS:
        raise UsageError(f"%nosana has no command {command!r}", hint=_other_command(line, command))
    most = MOST_WORDS.get(command)
    if most is None:
        return command, text
    words = split(text)
    if len(words) > most:
        raise UsageError(
            f"%nosana {command} does not take {' '.join(words[most:])!r}",
            hint=f"%nosana {command}: {COMMANDS[command]}.",
        )
    return command, " ".join(words)


def _other_command(line: str, command: str) -> str:
    """Say what may have been meant in place of a command that there is not."""
    if command.startswith("-"):
        return f"Did you mean %%nosana {line.strip()}? Options stand above a cell."
    names = [name for name in COMMANDS if name]
    near = nearest(command, names)
    return f"Did you mean %nosana {near}?" if near else f"Commands are {', '.join(names)}."


def option_help(grammar: Grammar) -> str:
    """Return the options of a grammar, for a docstring."""
    rows = []
    for action in grammar._actions:  # noqa: SLF001 - argparse tells it in no other way
        name = action.option_strings[0] + (f" {action.metavar}" if action.metavar else "")
        rows.append(f"    {name:<22} {action.help}")
    return "\n".join(rows)
