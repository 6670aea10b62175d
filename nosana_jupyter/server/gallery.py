"""
The gallery of templates: found, filled, kept, shared and brought. None is ever run by this.

Whoever asks names a template and a folder below the server's root, and never a path of a shelf.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import ipfs, network
from ..errors import UsageError
from ..money import wallets
from ..sanitize import line, plain
from ..templates import bringing, reading, sharing, shelves
from ..templates.form import Info, checked
from ..templates.form import Template as Work
from ..templates.parameters import Parameter
from ..templates.shelves import BUILT_IN, PROJECT, YOURS, Found
from . import views
from .bodies import Fill, Import, Save
from .views import Filled, Shared, Templates

if TYPE_CHECKING:
    from typing import Any

    from ..client import Client
    from .asked import Asked
    from .desk import Desk

SHELVES = {PROJECT: "project", YOURS: "user", BUILT_IN: "built in"}

REFUSED = ("--yes", "--trust")
"""Options that are the user's to give, and never a template's."""

ENDS = {"cell": ".py", "notebook": ".ipynb", "definition": ".json"}

BROKEN = "broken"
"""In place of who signed a template that is not what they signed."""


async def listed(asked: Asked) -> Templates:
    """Say which templates there are for notebooks of a folder."""
    folder = asked.desk.folder(asked.folder)
    return await asked.desk.run(_listed, folder)


async def one(asked: Asked) -> views.Template:
    """Show one template, with all that it would run."""
    found = await _found(asked, asked.folder)
    return await asked.desk.run(_shown, found)


async def fill(asked: Asked) -> Filled:
    """Put values into a template: as cells, or as a notebook."""
    wanted = asked.read(Fill)
    found = await _found(asked, wanted.folder)
    return await asked.desk.run(_filled, asked.desk, found, wanted)


async def save(asked: Asked) -> views.Template:
    """Make a template of a cell."""
    wanted = asked.read(Save)
    folder = asked.desk.folder(wanted.folder)
    made = await asked.desk.run(_saved, wanted, folder)
    asked.desk.stale("templates")
    return made


async def bring(asked: Asked) -> Templates:
    """Put templates from elsewhere with the user's own."""
    wanted = asked.read(Import)
    desk = asked.desk
    source = await desk.run(_source, desk, wanted.source.strip())
    documents: dict[str, object] = {}
    if cid := re.search(r"(?:^|/)(Qm\w{44}|b[a-z2-7]{58})/?$", source):
        # Bound now: what fetches it runs in the portal, and what reads it in a thread.
        documents[cid[1]] = await desk.call(lambda client: ipfs.fetch(client.network, cid[1]))
    brought = await desk.run(_brought, source, documents, wanted.name)
    desk.stale("templates")
    return brought


async def share(asked: Asked) -> Shared:
    """Sign a template with the wallet, and pin it for everybody."""
    found = await _found(asked, asked.folder)
    template = _of(found)

    async def pinned(client: Client) -> str:
        document = sharing.signed(template, wallets.find(client.network, client.settings))
        token = network.pin_token(client.network, client.settings)
        return await ipfs.pin(client.network, document, token=token)

    cid = await asked.desk.call(pinned)
    address = f"ipfs://{cid}"
    return Shared(cid=cid, address=address, command=f"%nosana template import {address}")


async def remove(asked: Asked) -> None:
    """Remove a template of the user's own."""
    folder = asked.desk.folder(asked.folder)
    await asked.desk.run(shelves.remove, asked.name, folder)
    asked.desk.stale("templates")


async def _found(asked: Asked, folder: str) -> Found:
    return await asked.desk.run(shelves.find, asked.name, asked.desk.folder(folder))


def _listed(folder: Path) -> Templates:
    every = shelves.listed(folder)
    return Templates(
        templates=tuple(_view(each) for each in every if each.template is not None),
        problems=tuple(
            f"{line(each.name)}: {line(each.why)}" for each in every if each.template is None
        ),
    )


def _view(found: Found, code: str = "") -> views.Template:
    template = _of(found)
    info = template.info
    signed = ""
    if found.origin is not None and found.origin.author:
        as_signed = sharing.is_as_signed(template, found.origin)
        signed = line(found.origin.author) if as_signed else BROKEN
    return views.Template(
        name=template.name,
        title=line(info.title),
        description=plain(info.description),
        kind=template.kind,
        author=line(info.author),
        tags=tuple(line(each) for each in info.tags),
        vram=info.vram,
        shelf=SHELVES.get(found.shelf, found.shelf),
        tested=line(info.tested),
        signed=signed,
        foreign=found.origin is not None,
        parameters=(*_variants(template), *map(_parameter, info.parameters)),
        code=code,
    )


def _parameter(found: Parameter) -> views.Parameter:
    return views.Parameter(
        name=found.name,
        type=found.type,
        default=found.default,
        help=line(found.help),
        choices=tuple(found.choices),
        min=found.min,
        max=found.max,
    )


def _variants(template: Work) -> Iterator[views.Parameter]:
    """Offer a job definition's variants, as if they were a parameter."""
    if len(names := tuple(template.info.variants)) > 1:
        told = "The same work for other cards"
        yield views.Parameter(
            name="variant", type="text", default=names[0], help=told, choices=names
        )


def _shown(found: Found) -> views.Template:
    template = _of(found)
    if template.kind == "cell":
        return _view(found, plain(template.cell({})))
    if template.kind == "notebook":
        parts = [
            source if kind == "code" else "\n".join(f"# {each}" for each in source.splitlines())
            for kind, source in reading.cells(template.body, template.name)
        ]
        return _view(found, plain("\n\n".join(parts)))
    return _view(found, plain(template.body))


def _filled(desk: Desk, found: Found, wanted: Fill) -> Filled:
    template = _of(found)
    if found.origin is not None and found.origin.author:
        _intact(found, template)
    if template.kind == "cell":
        text = template.cell(wanted.values)
        if not template.info.local:
            _allowed(template, text)
        if not wanted.open:
            return Filled(cells=(text,))
        made = _notebook([text])
    elif template.kind == "notebook":
        filled = template.notebook(wanted.values)
        if not wanted.open:
            return Filled(cells=tuple(each.source for each in filled.cells if each.source))
        made = _written(filled)
    else:
        variant = wanted.values.get("variant", "")
        if set(wanted.values) - {"variant"} or not isinstance(variant, str):
            raise UsageError("a job definition has variants alone: variant=NAME")
        made = json.dumps(template.definition(variant), indent=2) + "\n"
        if not wanted.open:
            raise UsageError(
                f"template {template.name} is a job definition, and no cell",
                hint="Open it as a file.",
            )
    end = ".json" if template.kind == "definition" else ".ipynb"
    return Filled(path=desk.below(_kept(desk.folder(wanted.folder), template.name, end, made)))


def _notebook(cells: Sequence[str]) -> str:
    import nbformat

    code = [nbformat.v4.new_code_cell(each.rstrip("\n")) for each in cells]  # type: ignore[no-untyped-call]
    load = nbformat.v4.new_code_cell("%load_ext nosana_jupyter")  # type: ignore[no-untyped-call]
    return _written(nbformat.v4.new_notebook(cells=[load, *code]))  # type: ignore[no-untyped-call]


def _written(notebook: Any) -> str:
    import nbformat

    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    return text


def _kept(folder: Path, name: str, end: str, text: str) -> Path:
    """Write a file that is not there yet."""
    for number in range(100):
        path = folder / f"{name}{f'-{number}' if number else ''}{end}"
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(f"{path.name} cannot be written: {error.strerror}") from None
        return path
    raise UsageError(f"there are a hundred files {name}{end}", hint="Remove some.")


def _intact(found: Found, template: Work) -> None:
    assert found.origin is not None
    if not sharing.is_as_signed(template, found.origin):
        raise UsageError(
            f"template {template.name} was changed since {line(found.origin.author)[:44]} "
            "signed it",
            hint=f"Read it. If the change is yours, remove {shelves.ORIGIN} beside it.",
        )


def _allowed(template: Work, text: str) -> None:
    """Refuse a template that gives options which are the user's to give."""
    try:
        words = {word.partition("=")[0] for word in shlex.split(text.partition("\n")[0])}
    except ValueError as error:
        raise UsageError(f"the magic line of {template.name} cannot be read: {error}") from None
    if refused := [word for word in REFUSED if word in words]:
        raise UsageError(
            f"template {template.name} says {refused[0]}, which is yours alone to say",
            hint="Read it before you use it.",
        )


def _saved(wanted: Save, folder: Path) -> views.Template:
    head, _, body = wanted.code.lstrip().partition("\n")
    options, vram, local = "", 0, not head.startswith("%%nosana")
    if local:
        body = wanted.code
    else:
        options, vram = _options(head.removeprefix("%%nosana"))
    info = Info(
        title=line(wanted.title) or wanted.name,
        description=wanted.description,
        vram=vram,
        local=local,
        options=options,
    )
    template = Work(
        name=checked(wanted.name), info=info, kind="cell",
        files={reading.CELL: body.strip() + "\n"},
    )  # fmt: skip
    shelf = PROJECT if wanted.project else YOURS
    place = folder / shelves.FOLDER if wanted.project else shelves.shelves()[YOURS]
    path = shelves.save(template, place)
    return _shown(Found(template.name, shelf, path, template))


def _options(rest: str) -> tuple[str, int]:
    """Return the options of a magic line that a template keeps, and the memory it asks for."""
    try:
        words = shlex.split(rest, comments=True)
    except ValueError as error:
        raise UsageError(f"the magic line cannot be read: {error}") from None
    kept, vram = [], 0
    rests = iter(words)
    for word in rests:
        name, given, value = word.partition("=")
        if name == "--vram":
            value = value if given else next(rests, "")
            if not value.isdecimal() or not 0 < int(value[:6]) <= 4096:
                raise UsageError(f"--vram is a number of GiB, not {value[:40]!r}")
            vram = int(value)
        elif name not in REFUSED:
            kept.append(word)
    return shlex.join(kept), vram


def _source(desk: Desk, source: str) -> str:
    """Return what is brought: addresses as they are, files only from below the server's root."""
    if re.match(r"(?:https?://|git\+https?://|ipfs://|/ipfs/)", source):
        return source
    if re.fullmatch(r"(?:Qm\w{44}|b[a-z2-7]{58})", source):
        return source
    try:
        path = (desk.root / source.lstrip("/")).resolve()
        known = path.exists()
    except (OSError, ValueError):
        known = False
    if not known or not path.is_relative_to(desk.root) or path.suffix == ".git":
        raise UsageError(
            f"there is no template at {source[:200]!r}",
            hint="Name an https address, ipfs://CID, git+https://…, or a file or folder below "
            "the server's.",
        )
    return str(path)


def _brought(source: str, documents: dict[str, object], name: str) -> Templates:
    """Take what a source has. Of several, what cannot be read or is there already is left out."""
    from dataclasses import replace

    told: list[str] = []
    brought = bringing.bring(source, documents.__getitem__, tell=told.append)
    if name and len(brought) > 1:
        raise UsageError(f"{source[:100]} has {len(brought)} templates", hint="Give no name.")
    if name:
        brought = [(replace(template, name=checked(name)), origin) for template, origin in brought]
    place = shelves.shelves()[YOURS]
    made = []
    for template, origin in brought:
        try:
            path = shelves.save(template, place, origin)
        except UsageError as error:
            if len(brought) == 1:
                raise
            told.append(f"{error}: it was left as it is")
            continue
        made.append(_shown(Found(template.name, YOURS, path, template, origin=origin)))
    return Templates(templates=tuple(made), problems=tuple(map(line, told)))


def _of(found: Found) -> Work:
    assert found.template is not None  # `shelves.find` has seen to it.
    return found.template
