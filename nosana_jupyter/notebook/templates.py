"""
`%nosana template`: list, show, use, save, share, import and remove.

A template is never run by this: what it stands for is put below the cell, or into a file, where its
reader runs it or does not.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import ipfs, network
from ..errors import UsageError
from ..money import wallets
from ..sanitize import line, plain
from ..templates import bringing, reading, sharing, shelves
from ..templates.form import Info, Template, checked
from ..templates.lifting import lifted
from ..templates.shelves import BUILT_IN, YOURS, Found, Origin
from . import grammar, tables, template_form

if TYPE_CHECKING:
    from ..client import Client
    from ..portal import Portal

DEEDS = {
    "list": "all there are, or those with a word in them: list [WORD]",
    "show": "what one is, and its text: show NAME",
    "use": "put it below this cell, or into a file: use NAME [PARAMETER=VALUE …] [--form] "
    "[--small] [--to FILE]",
    "save": "make one of a cell that ran: save NAME [--cell N] [--parameters a,b] [--title TEXT]",
    "share": "sign one and pin it for everybody, or write it to a file: share NAME [--to FILE]",
    "import": "take one from elsewhere: import FILE|URL|ipfs://CID|git+URL [--as NAME]",
    "remove": "remove one of yours: remove NAME",
}
"""What `%nosana template` understands, and what each does."""

NEVER = {"--yes": "yes", "--trust": "trust"}
"""Options that are the user's to give, and never a template's."""


class Shown:
    """A template: what it says of itself, and its text."""

    def __init__(self, table: tables.Table, text: str, language: str) -> None:
        self._table = table
        self._text = text
        self._language = language

    def __repr__(self) -> str:
        return f"{self._table!r}\n\n{self._text}"

    def _repr_html_(self) -> str:
        from IPython.display import Code

        code = Code(data=self._text, language=self._language)
        return f"{self._table._repr_html_()}{code._repr_html_()}"


def do(portal: Portal, shell: Any, rest: str) -> Any:
    """Do what a line says of templates."""
    deed, *words = grammar.split(rest) or ["list"]
    if deed not in DEEDS:
        near = grammar.nearest(deed, DEEDS)
        hint = f"Did you mean {near}?" if near else f"There are {', '.join(DEEDS)}."
        raise UsageError(f"%nosana template has no {deed!r}", hint=hint)
    if deed == "list":
        return listed(" ".join(words))
    name, given, options = _read(deed, words)
    match deed:
        case "show":
            return shown(shelves.find(name))
        case "use":
            return use(shell, shelves.find(name), given, options)
        case "save":
            return save(shell, name, options)
        case "share":
            return share(portal, shelves.find(name), options.get("--to", ""))
        case "import":
            return take(portal, name, options.get("--as", ""))
    return tables.Table(head=("",), rows=(), note=f"Removed {shelves.remove(name)}.")


def listed(word: str = "") -> tables.Table:
    """Show all templates, or those in which a word stands."""
    rows = []
    for each in shelves.listed():
        about = each.template
        if about is None:
            rows.append((each.name, f"cannot be read: {line(each.why)}", "", "", each.shelf))
            continue
        text = f"{each.name} {about.info.title} {about.info.description} {about.info.tags}"
        if word.lower() not in text.lower():
            continue
        vram = f"{about.info.vram:g} GiB" if about.info.vram else "any"
        rows.append((each.name, line(about.info.title), vram, about.kind, _whose(each)))
    note = "To see one: %nosana template show NAME. To begin with it: %nosana template use NAME"
    return tables.Table(
        head=("template", "", "VRAM", "is a", "from"),
        rows=rows,
        note=note if rows else f"No template has {line(word)!r} in it.",
    )


def shown(found: Found) -> Shown:
    """Show what a template is, whose it is, and all that it would run."""
    template = _of(found)
    text = plain(template.body)
    if template.kind == "notebook":
        text = "\n\n".join(
            plain(source) if kind == "code" else _commented(plain(source))
            for kind, source in reading.cells(template.body, template.name)
        )
    if template.kind == "cell":
        text = template.cell({})
    return Shown(_about(found), text, "json" if template.kind == "definition" else "python")


def use(shell: Any, found: Found, given: Mapping[str, str], options: Mapping[str, str]) -> Any:
    """
    Put a template below the cell, or into a file, or show its form. It does not run.

    Raises:
        UsageError: A parameter cannot be so, an option is not a template's to give, or the file
            is there.
    """
    template = _of(found)
    to, small = options.get("--to", ""), "--small" in options
    if (origin := found.origin) and origin.author and not sharing.is_as_signed(template, origin):
        raise UsageError(
            f"template {template.name} was changed since {line(origin.author)[:44]} signed it",
            hint=f"Read it: %nosana template show {template.name}. If the change is yours, remove "
            f"{shelves.ORIGIN} in {found.path}",
        )
    if "--form" in options:
        template.must_be("cell")
        check = partial(_allowed, template)
        return template_form.Form(template, given, small=small, check=check)
    if template.kind == "cell":
        text = template.cell(given, small=small)
        _allowed(template, text)
        if not to and shell is not None:
            shell.set_next_input(text)
            note = "It stands below. Nothing runs until you run it."
            return _about(found, given, small=small, note=note)
    elif template.kind == "notebook":
        import nbformat  # Loads slowly.

        text = nbformat.writes(template.notebook(given, small=small))  # type: ignore[no-untyped-call]
    else:
        rest = {name: value for name, value in given.items() if name != "variant"}
        if rest:
            raise UsageError(
                f"template {template.name} has no parameter {next(iter(rest))!r}",
                hint="A job definition has variants alone: variant=NAME",
            )
        text = json.dumps(template.definition(given.get("variant", "")), indent=2) + "\n"
    ends = {"cell": ".py", "notebook": ".ipynb", "definition": ".json"}
    path = Path(to or f"{template.name}{ends[template.kind]}").expanduser()
    _write(path, text)
    return _about(found, given, small=small, note=f"It stands in {path}. Nothing has run.")


def save(shell: Any, name: str, options: Mapping[str, str]) -> tables.Table:
    """
    Make a template of a cell that ran, by default of the last `%%nosana` cell.

    Raises:
        UsageError: There is no such cell, or a parameter is not set to a plain value in it.
    """
    source = _cell_of(shell, options.get("--cell", ""))
    head, _, body = source.partition("\n")
    words = grammar.split(head.removeprefix("%%nosana"))
    if refused := [word for word in words if word in NEVER]:
        words = [word for word in words if word not in refused]
    vram = 0
    parsed = grammar.cell_grammar().read(shlex.join(words))
    if parsed.vram:
        vram = parsed.vram
        at = next(number for number, word in enumerate(words) if word.startswith("--vram"))
        del words[at : at + (1 if "=" in words[at] else 2)]
    named = [each for each in options.get("--parameters", "").split(",") if each]
    parameters, body = lifted(body, named)
    title = options.get("--title") or name.replace("-", " ").replace("_", " ").capitalize()
    info = Info(title=title, vram=vram, options=shlex.join(words), parameters=parameters)
    template = Template(
        name=checked(name), info=info, kind="cell", files={reading.CELL: body.strip() + "\n"}
    )
    place = shelves.shelves()
    folder = Path.cwd() / shelves.FOLDER if "--project" in options else place[YOURS]
    path = shelves.save(template, folder)
    found = Found(name, shelves.PROJECT if "--project" in options else YOURS, path, template)
    return _about(found, note=f"It stands in {path}, for you to change.")


def share(portal: Portal, found: Found, to: str) -> tables.Table:
    """
    Sign a template with the wallet, and pin it or write it to a file.

    Raises:
        UsageError: There is no wallet, or the file is there.
        NetworkError: The pin service does not take it.
    """
    template = _of(found)

    async def signed(client: Client) -> dict[str, Any]:
        return sharing.signed(template, wallets.find(client.network, client.settings))

    async def pinned(client: Client, document: dict[str, Any]) -> str:
        token = network.pin_token(client.network, client.settings)
        return await ipfs.pin(client.network, document, token=token)

    document = portal.call(signed)
    author = document["author"]
    if to:
        _write(Path(to).expanduser(), json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        where = to
    else:
        where = f"ipfs://{portal.call(lambda client: pinned(client, document))}"
    rows = [("template", template.name), ("signed by", author), ("where", where)]
    note = f"Others take it with: %nosana template import {where}"
    if not to:
        note += "\nWhoever has this address can read it, and it cannot be taken back."
    return tables.Table(head=("", ""), rows=rows, note=note)


def take(portal: Portal, source: str, name: str) -> tables.Table:
    """
    Take templates from elsewhere, and put them with the user's own.

    Raises:
        UsageError: There is none, or there is one of that name, or it was changed on its way.
        NetworkError: The source cannot be reached.
    """

    def fetch(cid: str) -> object:
        return portal.call(lambda client: ipfs.fetch(client.network, cid))

    told: list[str] = []
    brought = bringing.bring(source, fetch, tell=told.append)
    if name and len(brought) > 1:
        raise UsageError(f"{source[:100]} has {len(brought)} templates", hint="Leave --as out.")
    if name:
        brought = [(replace(template, name=checked(name)), origin) for template, origin in brought]
    place = shelves.shelves()[YOURS]
    rows = []
    for template, origin in brought:
        try:
            path = shelves.save(template, place, origin)
        except UsageError as error:
            if len(brought) == 1:
                raise
            told.append(f"{error}: it was left as it is")
            continue
        made = Found(template.name, YOURS, path, template, origin=origin)
        rows.append((template.name, line(template.info.title), template.kind, _whose(made)))
    notes = [line(f"Not taken: {each}") for each in told]
    notes += ["Read it before you use it: %nosana template show NAME"] if rows else []
    head = ("template", "", "is a", "from") if rows else ("",)
    return tables.Table(head=head, rows=rows, note="\n".join(notes))


def _cell_of(shell: Any, number: str) -> str:
    """Return the source of a `%%nosana` cell that ran."""
    cells: list[str] = list(shell.history_manager.input_hist_raw)
    if number:
        if not number.isdigit() or not 0 < int(number) < len(cells):
            raise UsageError(f"there is no cell {number}", hint="Name a number as in In [5].")
        source = cells[int(number)]
        if not source.lstrip().startswith("%%nosana"):
            raise UsageError(f"cell {number} is no %%nosana cell", hint="Name another.")
        return source.lstrip()
    for source in reversed(cells):
        if source.lstrip().startswith("%%nosana"):
            return source.lstrip()
    raise UsageError("no %%nosana cell has run here", hint="Run one, then save it.")


def _allowed(template: Template, text: str) -> None:
    """Refuse a template that gives options which are the user's to give."""
    if template.info.local:
        return
    parsed = grammar.cell_grammar().read(text.partition("\n")[0].removeprefix("%%nosana"))
    for option, name in NEVER.items():
        if getattr(parsed, name):
            raise UsageError(
                f"template {template.name} says {option}, which is yours alone to say",
                hint=f"Read it before you use it: %nosana template show {template.name}",
            )


def _about(
    found: Found, given: Mapping[str, str] | None = None, *, small: bool = False, note: str = ""
) -> tables.Table:
    """Say what a template is and whose, and what was given to it."""
    template = _of(found)
    info = template.info
    rows = [("template", template.name), ("title", line(info.title))]
    rows += [("", line(info.description))] if info.description else []
    rows.append(("from", _whose(found)))
    rows += [("author", line(info.author))] if info.author else []
    rows.append(("VRAM", f"{info.vram:g} GiB" if info.vram else "any card"))
    rows += [("options", line(info.options))] if info.options else []
    rows += [("variants", line(", ".join(info.variants)))] if info.variants else []
    rows += template_form.rows(template, given, small=small)
    rows += [("tested", line(info.tested))] if info.tested else []
    note = "\n".join(each for each in (note, template_form.others(template)) if each)
    return tables.Table(head=("", ""), rows=rows, note=note)


def _whose(found: Found) -> str:
    """Say where a template is from, and what its signature is worth."""
    origin = found.origin
    if origin is None:
        words = {BUILT_IN: "built in", YOURS: "yours"}
        return words.get(found.shelf, "this project")
    return f"{line(origin.source)[:120]}, {_signature(found, origin)}"


def _signature(found: Found, origin: Origin) -> str:
    if not origin.author:
        return "not signed"
    if found.template is not None and sharing.is_as_signed(found.template, origin):
        return f"signed by {line(origin.author)}"
    return f"NOT as {line(origin.author)[:44]} signed it: it was changed"


def _of(found: Found) -> Template:
    assert found.template is not None  # `shelves.find` has seen to it.
    return found.template


def _commented(text: str) -> str:
    return "\n".join(f"# {each}".rstrip() for each in text.splitlines())


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already", hint="Name another with --to.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


_OPTIONS = {
    "use": {"--to", "--form", "--small"},
    "save": {"--cell", "--parameters", "--title", "--project"},
    "share": {"--to"},
    "import": {"--as"},
}
_FLAGS = {"--project", "--form", "--small"}


def options_of(deed: str) -> list[str]:
    """Return the options of a deed."""
    return sorted(_OPTIONS.get(deed, ()))


def _read(deed: str, words: Sequence[str]) -> tuple[str, dict[str, str], dict[str, str]]:
    """Return the name, the parameters and the options of a line."""
    names: list[str] = []
    given: dict[str, str] = {}
    options: dict[str, str] = {}
    rest = list(words)
    known = _OPTIONS.get(deed, set())
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if option in _FLAGS & known and not equals:
            options[option] = "yes"
        elif option in known:
            if not equals and not rest:
                raise UsageError(f"{option} needs a value", hint=f"{deed}: {DEEDS[deed]}.")
            options[option] = value if equals else rest.pop(0)
        elif word.startswith("--"):
            hint = f"Options are {', '.join(sorted(known))}." if known else "It has none."
            raise UsageError(f"%nosana template {deed} has no {option}", hint=hint)
        elif equals and deed == "use" and re.fullmatch(r"\w+", option):
            given[option] = value
        else:
            names.append(word)
    if len(names) != 1:
        raise UsageError(
            f"%nosana template {deed} takes one name" + (f", not {names!r}" if names else ""),
            hint=f"{deed}: {DEEDS[deed]}.",
        )
    return names[0], given, options
