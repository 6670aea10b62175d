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
from typing import NoReturn

from ..errors import UsageError
from ..travel import secret_store
from ..units import parse_gib, parse_seconds, parse_size
from .values import Naming, checked, copies, image, links, money, names, order, share, variable
from .vocabulary import COMMANDS as COMMANDS
from .vocabulary import MOST_WORDS

SHELL = frozenset({"run", "exec", "verify", "mcp", "host", "local"})
"""Commands that there are in a terminal alone."""

TEAMS = ("join", "leave")
"""What is done with networks of teams."""

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


class Grammar(Naming):
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
                raise self._unknown(word, name, known, first=not written)
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

    def _unknown(
        self, word: str, name: str, known: Mapping[str, argparse.Action], *, first: bool
    ) -> UsageError:
        """Return what is to be said of a word that is no option."""
        if not _OPTION.match(word):
            several = [
                option
                for option, action in known.items()
                if isinstance(action.default, list) and not str(action.metavar).endswith(MANY)
            ]
            hint = f"Options are {', '.join(known)}."
            if first and self.prog.startswith("%%"):
                hint = f"What runs is written below this line. {hint}"
            elif several:
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


def wants(grammar: Grammar) -> Grammar:
    """Add what is asked of a host."""
    grammar.add_argument(
        "--vram", type=checked(parse_gib), metavar="GIB", help="GPU memory: 16, 16GB, 24GiB"
    )
    grammar.add_argument("--gpu", metavar="NAME", help="card: 4090, 'RTX A4000'")
    grammar.add_argument(
        "--market", metavar="NAME", help="slug or address of a market; no other is looked at"
    )
    return grammar


def chooses(grammar: Grammar) -> Grammar:
    """Add what is asked of a host, and what decides among those that have it."""
    wants(grammar).add_argument(
        "--prefer", type=checked(order), metavar="ORDER",
        help="what decides among markets that fit, the most important first: free, price, "
        "reliability, cached, with commas between; by default free,price",
    )  # fmt: skip
    return grammar


def _image(grammar: Grammar) -> None:
    grammar.add_argument(
        "--image", type=checked(image), metavar="IMAGE", help="container image with a Python"
    )


def lasts(grammar: Grammar, what: str) -> None:
    """Add how long something is kept that answers to this."""
    for name, dest, text in (
        ("--for", "most", "longest run in all: 30m, 2h"),
        ("--idle", "idle", f"time without a {what} after which it ends: 10m"),
        ("--timeout", "timeout", "what is paid for at a time, within --for: 15m"),
    ):
        grammar.add_argument(
            name, dest=dest, type=checked(parse_seconds), metavar="TIME", help=text
        )


def _spends(grammar: Grammar) -> Grammar:
    """Add what bounds the cost."""
    grammar.add_argument(
        "--timeout", type=checked(parse_seconds), metavar="TIME",
        help="longest run to pay for: 90s, 30m, 2h; in a session the cell is interrupted then",
    )  # fmt: skip
    grammar.add_argument(
        "--max-cost", type=checked(money), metavar="AMOUNT",
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
        "--secret", action="append", default=[], type=checked(secret_store.check), metavar="NAME",
        help="variable whose value nothing shows: an index with a password, a token; repeatable",
    )  # fmt: skip
    return grammar


def deps_grammar() -> Grammar:
    """Return the grammar of `%nosana deps`."""
    grammar = _packages(Grammar(prog="%nosana deps", add_help=False, allow_abbrev=False))
    _image(grammar)
    return grammar


@functools.cache
def cell_grammar() -> Grammar:
    """Return the grammar of `%%nosana`."""
    grammar = Grammar(prog="%%nosana", add_help=False, allow_abbrev=False)
    _spends(chooses(grammar))
    _image(grammar)
    _packages(grammar)
    grammar.add_argument(
        "--in", dest="takes", type=checked(names), metavar="NAMES",
        help="names to send, as in a,b; by default those the cell reads",
    )  # fmt: skip
    grammar.add_argument(
        "--out", dest="returns", type=checked(names), metavar="NAMES",
        help="names to bring back, as in c,d; by default those the cell binds",
    )  # fmt: skip
    grammar.add_argument(
        "--files", action="append", default=[], metavar=f"PATTERN{MANY}",
        help="files and folders to send: 'data/*.csv', models, /data/a.csv:a.csv, '!*.tmp'",
    )  # fmt: skip
    links(grammar)
    grammar.add_argument(
        "--get", dest="gets", action="append", default=[], metavar=f"PATTERN{MANY}",
        help="files to bring back: 'out/*', or elsewhere: 'out/*:results/'",
    )  # fmt: skip
    grammar.add_argument(
        "--get-limit", type=checked(parse_size), metavar="SIZE",
        help="most that --get brings back: 20GB; by default 8.6 GB",
    )  # fmt: skip
    grammar.add_argument(
        "--env", action="append", default=[], type=checked(variable), metavar="NAME[=VALUE]",
        help="variable of the cell's environment; without a value, this kernel's own; repeatable",
    )  # fmt: skip
    grammar.add_argument(
        "--session", metavar="NAME", help="session to run in; none: a job of the cell's own"
    )
    grammar.add_argument(
        "--cold", action="store_true", help="run in a job of the cell's own, whatever is open"
    )
    grammar.add_argument(
        "--verify", type=checked(copies), metavar="HOSTS",
        help="run it on so many hosts at once and compare what they find: 2; one more decides",
    )  # fmt: skip
    grammar.add_argument(
        "--audit", type=checked(share), metavar="SHARE",
        help="how often it is run again on another host once its result is in: 5%%, 100%%, none",
    )  # fmt: skip
    grammar.add_argument(
        "--tolerance", metavar="WHAT",
        help="by how much numbers may differ with --verify or --audit: exact, auto, 1e-4, or the "
        "name of a function of the notebook that is given both; by default auto, by type and size",
    )  # fmt: skip
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
    grammar = chooses(Grammar(prog="%nosana up", add_help=False, allow_abbrev=False))
    _image(grammar)
    lasts(grammar, "cell")
    grammar.add_argument(
        "--max-cost", type=checked(money), metavar="AMOUNT",
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
    grammar = _spends(chooses(Grammar(prog="%nosana quote", add_help=False, allow_abbrev=False)))
    _image(grammar)
    grammar.add_argument("--cell", metavar="N", help="cell to estimate: 7, as in In[7]")
    grammar.add_argument("--compare", action="store_true", help="what others ask for such a card")
    return grammar


def market_grammar() -> Grammar:
    """Return the grammar of `%nosana markets`."""
    grammar = chooses(Grammar(prog="%nosana markets", add_help=False, allow_abbrev=False))
    _image(grammar)
    return grammar


def hosts_grammar() -> Grammar:
    """Return the grammar of `%nosana hosts`."""
    return wants(Grammar(prog="%nosana hosts", add_help=False, allow_abbrev=False))


def export_grammar() -> Grammar:
    """Return the grammar of `%nosana receipts export JOB`."""
    grammar = Grammar(prog="%nosana receipts export JOB", add_help=False, allow_abbrev=False)
    grammar.add_argument("--to", default="receipt.json", metavar="FILE", help="where it goes")
    grammar.add_argument(
        "--code", action="store_true", help="with the source of the cells, for all who read it"
    )
    return grammar


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
    if command in SHELL:
        shell = f"In a terminal: nosana-jupyter {command}"
        return f"Did you mean %nosana {near}? {shell}" if near else shell
    return f"Did you mean %nosana {near}?" if near else f"Commands are {', '.join(names)}."


def option_help(grammar: Grammar) -> str:
    """Return the options of a grammar, for a docstring."""
    rows = []
    for action in grammar._actions:  # noqa: SLF001 - argparse tells it in no other way
        name = action.option_strings[0] + (f" {action.metavar}" if action.metavar else "")
        rows.append(f"    {name:<22} {action.help}")
    return "\n".join(rows)


def manual() -> str:
    """Return all there is to write, for who asks."""
    return f"""
Run a cell on a rented GPU, or ask about jobs and money.

    %%nosana [options]          run the cell below on a host, pay it, bring everything back
    %nosana [command]           {", ".join(filter(None, COMMANDS))}

Names the cell reads travel to the host; names it binds come back as plain data.

Options of the cell:

{option_help(cell_grammar())}

Commands of the line:

{chr(10).join(f"    {name or '(none)':<10} {text}" for name, text in COMMANDS.items())}
"""
