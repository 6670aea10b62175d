"""
Write `reference.md` from what the code says: its options, commands, settings, docstrings, errors.

    make docs
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nosana_jupyter
from nosana_jupyter import cli, errors, settings
from nosana_jupyter.earning import commands as earning
from nosana_jupyter.notebook import grammar, templates
from nosana_jupyter.settings import scoped
from nosana_jupyter.templates import reading, shelves

PLACE = Path(__file__).with_name("reference.md")

GRAMMARS = {
    "%nosana up": grammar.up_grammar,
    "%nosana markets": grammar.market_grammar,
    "%nosana quote": grammar.quote_grammar,
    "%nosana deps": grammar.deps_grammar,
    "%nosana receipts export JOB": grammar.export_grammar,
}
"""Commands of a line that take options as a cell does."""


SET = """Set with `%nosana config NAME VALUE`, or as a variable of the environment, `NOSANA_NAME`.
A project's `nosana.toml` may say those that are marked."""

RAISED = """Each says what is wrong, with the value, and has a `hint`. After money has moved,
`money` says where it is."""


def reference() -> str:
    """Return the whole page."""
    parts = [
        "# Reference",
        "Made by `make docs` from the code itself: change it there.",
        "## `%%nosana`",
        "Runs the cell below it on a host, pays it, and brings everything back.",
        *options(grammar.cell_grammar()),
        "## `%nosana`",
        table(("command", "what it does"), commands()),
        *(each for name, of in GRAMMARS.items() for each in (f"### `{name}`", *options(of()))),
        "### `%nosana template`",
        table(("word", "what it does"), ((f"`{name}`", text) for name, text in DEEDS.items())),
        "## Built-in templates",
        table(("name", "what it is", "VRAM", "tested"), built_in()),
        "## Python",
        *(each for name in nosana_jupyter.__all__ for each in python(name)),
        "## `nosana-jupyter`",
        f"```\n{cli._help().strip()}\n```",
        "### `nosana-jupyter host`",
        table(("command", "what it does", "options"), host_commands()),
        "## Settings",
        SET,
        table(("setting", "default", "in a project", "what it is for"), known_settings()),
        "## Errors",
        RAISED,
        f"```\n{tree()}\n```",
        *(each for kind in kinds() for each in (f"### `{kind.__name__}`", prose(kind.__doc__))),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


DEEDS = templates.DEEDS


def host_commands() -> Iterator[tuple[str, str, str]]:
    """Yield what the owner of a host may type."""
    (of,) = (each for each in earning.grammar()._actions if isinstance(each.choices, dict))
    for shown in of._choices_actions:  # type: ignore[attr-defined]
        taken = [
            each.option_strings[0] for each in of.choices[shown.dest]._actions  # type: ignore[index]
            if each.option_strings and each.dest != "help"
        ]  # fmt: skip
        yield f"`{shown.dest}`", shown.help, ", ".join(f"`{each}`" for each in taken)


def options(of: grammar.Grammar) -> Iterator[str]:
    """Yield the options of a grammar as a table."""
    rows = [
        (f"`{' '.join(filter(None, (each.option_strings[0], each.metavar)))}`",
         str(each.help).replace("%%", "%"))
        for each in of._actions
    ]  # fmt: skip
    yield table(("option", "what it does"), rows)


def commands() -> Iterator[tuple[str, str]]:
    """Yield each command of the line, and what it does."""
    for name, text in grammar.COMMANDS.items():
        yield f"`%nosana {name}`".replace(" `", "`"), text


def built_in() -> Iterator[tuple[str, ...]]:
    """Yield what is said of each template that comes with the package."""
    place = shelves.shelves(Path("/"))[shelves.BUILT_IN]
    for each in sorted(place.iterdir()):
        if each.name.startswith(("_", ".")):
            continue
        info = reading.read(each).info
        vram = f"{info.vram:g} GiB" if info.vram else "any card"
        yield f"`{each.name}`", f"{info.title}. {info.description}", vram, info.tested


def python(name: str) -> Iterator[str]:
    """Yield what there is to know of a public name."""
    found = getattr(nosana_jupyter, name)
    if inspect.isclass(found) and issubclass(found, Exception):
        return
    if inspect.isfunction(found):
        yield f"### `{name}`\n\n```python\n{name}{signature(found)}\n```"
        yield docstring(found)
        return
    shown = "" if hasattr(found, "__struct_fields__") else signature(found.__init__)
    yield f"### `{name}`" + (f"\n\n```python\n{name}{shown}\n```" if shown else "")
    yield docstring(found)
    for each, method in inspect.getmembers(found):
        inherited = each not in vars(found)
        if (
            each.startswith("_")
            or inherited
            or not (callable(method) or isinstance(method, property))
        ):
            continue
        what = each if isinstance(method, property) else f"{each}{signature(method)}"
        yield f"- `{what}`: {prose(inspect.getdoc(method)).partition(chr(10) * 2)[0]}"


def signature(function: Any) -> str:
    """Return how a function is called, without what only a type checker reads."""
    found = inspect.signature(function)
    kept = [each.replace(annotation=inspect.Parameter.empty)
            for each in found.parameters.values() if each.name != "self"]  # fmt: skip
    plain = found.replace(parameters=kept, return_annotation=inspect.Signature.empty)
    return re.sub(r"<[^<>]*>", "…", str(plain))


def docstring(of: Any) -> str:
    """Return a docstring as it is written, in which arguments stand in a column."""
    text = inspect.getdoc(of) or ""
    head, _, rest = text.partition("\n\n")
    return prose(head) + (f"\n\n```\n{rest.strip()}\n```" if rest.strip() else "")


def prose(text: str | None) -> str:
    """Return a docstring as paragraphs."""
    parts = textwrap.dedent(text or "").strip().split("\n\n")
    return "\n\n".join(" ".join(part.split()) for part in parts)


def known_settings() -> Iterator[tuple[str, ...]]:
    """Yield each setting, its default, who may set it, and what it is for."""
    meanings = settings.meanings()
    for name in settings.names():
        default = getattr(settings.Settings(), name)
        may = "yes" if name in scoped.ALLOWED else ""
        yield f"`{name}`", f"`{default}`" if default else "", may, meanings.get(name, "")


def tree() -> str:
    """Return the tree of errors, as their module draws it."""
    lines = (errors.__doc__ or "").splitlines()
    return textwrap.dedent("\n".join(each for each in lines if each.startswith("    ")))


def kinds() -> list[type[Exception]]:
    """Return the errors in the order in which they stand in the code."""
    found = [each for each in vars(errors).values()
             if inspect.isclass(each) and issubclass(each, errors.NosanaError)]  # fmt: skip
    return [each for each in found if each.__module__ == errors.__name__]


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table."""
    head = list(head)
    made = [head, ["-"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(cell, row))} |" for row in made)


def cell(text: str) -> str:
    """Return a text as it stands in a table."""
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    PLACE.write_text(reference(), encoding="utf-8")
    print(f"Written: {PLACE}")
