"""
How a template is read: from a folder or a single file, ours or of Nosana's own catalogue.

A folder has `info.json` beside `cell.py`, `notebook.ipynb` or `job-definition.json`. A single `.py`
says what it is in a comment at its top, as a script says what it requires; an `.ipynb` says it in
its metadata. Whoever wrote it may be a stranger: it is read, and never run here.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..errors import RemoteProtocolError, UsageError
from ..wire import definition as jobs
from .form import Info, Kind, Template, checked

LARGEST = 1 << 20
"""Most bytes of a file of a template."""

MOST = 32
"""Most files of a template."""

INFO, CELL, NOTEBOOK, DEFINITION = "info.json", "cell.py", "notebook.ipynb", "job-definition.json"

KINDS: dict[str, Kind] = {CELL: "cell", NOTEBOOK: "notebook", DEFINITION: "definition"}
"""What a template is by the file that it has."""

_FILE = re.compile(r"(?:info|job-definition[\w.-]{0,80})\.json|cell\.py|notebook\.ipynb")
_HEAD = re.compile(r"^# /// nosana[ \t]*\n((?:#(?: .*)?\n)+?)# ///[ \t]*(?:\n|\Z)", re.M)

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""What who reads code does not see, as marks that turn the direction of writing."""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One of several definitions of a template of the catalogue."""

    id: str
    name: str
    job_definition: str
    description: str = ""


class Catalogued(msgspec.Struct, frozen=True, kw_only=True):
    """What `info.json` says in Nosana's own catalogue."""

    id: str
    name: str
    icon: str = ""
    category: Sequence[str] = ()
    description: str = ""
    variants: Sequence[Variant] = ()


def read(path: Path, name: str = "") -> Template:
    """
    Read a template from a folder or a single file.

    Args:
        path: Where it stands.
        name: What it is called; by default as the folder or the file is.

    Raises:
        UsageError: It is none; says what is wrong in which file.
    """
    if not path.is_dir():
        return single(name or path.stem.lower(), path.name, read_text(path), path=path)
    files = [each for each in sorted(path.iterdir()) if _FILE.fullmatch(each.name)]
    if len(files) > MOST:
        raise UsageError(f"{path} has more than {MOST} files", hint="Leave some out.")
    texts = {each.name: read_text(each) for each in files}
    return made(name or path.name.lower(), texts, path=path)


def made(name: str, files: Mapping[str, str], *, path: Path | None = None) -> Template:
    """
    Return the template that the files of a folder are.

    Args:
        name: What it is called.
        files: Their text, by name.
        path: Where they stand.

    Raises:
        UsageError: They are none; says what is wrong in which file.
    """
    if INFO not in files:
        raise UsageError(f"{name} has no {INFO}", hint="That is what makes a folder a template.")
    said = _json(files[INFO], f"{name}/{INFO}")
    if isinstance(said, dict) and "id" in said and "title" not in said:
        return _catalogued(checked(name), said, files, path)
    info = _info(said, f"{name}/{INFO}")
    kinds = [each for each in KINDS if each in files]
    if info.variants:
        kinds = [DEFINITION]
    if len(kinds) != 1:
        raise UsageError(
            f"{name} has {' and '.join(kinds) or 'nothing that runs'}",
            hint=f"Beside its {INFO} there is one of {', '.join(KINDS)}.",
        )
    return _whole(name, info, kinds[0], files, path)


def single(name: str, file: str, text: str, *, path: Path | None = None) -> Template:
    """
    Return the template that a single file is.

    Args:
        name: What it is called.
        file: Name of the file.
        text: What stands in it.
        path: Where it stands.

    Raises:
        UsageError: It is none; says what is wrong.
    """
    if file.endswith(".py"):
        text = text.replace("\r\n", "\n")
        if (head := _HEAD.search(text)) is None:
            raise UsageError(
                f"{file} does not say that it is a template",
                hint='At its top write the lines "# /// nosana", "# title = \'…\'" and "# ///".',
            )
        try:
            said: object = tomllib.loads(re.sub(r"(?m)^# ?", "", head[1]))
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{file}: {error}", hint="What stands at its top is TOML.") from None
        body = text[: head.start()] + text[head.end() :]
        return _whole(name, _info(said, file), CELL, {CELL: body}, path)
    if file.endswith(".ipynb"):
        document = _json(text, file)
        metadata = document.get("metadata") if isinstance(document, dict) else None
        said = metadata.get("nosana") if isinstance(metadata, dict) else None
        return _whole(name, _info(said or {"title": name}, file), NOTEBOOK, {NOTEBOOK: text}, path)
    return _whole(name, Info(title=name), DEFINITION, {DEFINITION: text}, path)


def _whole(
    name: str, info: Info, file: str, files: Mapping[str, str], path: Path | None
) -> Template:
    """Return a template of some files, which are looked at."""
    wanted = list(dict.fromkeys(info.variants.values())) or [file]
    texts = {}
    for each in wanted:
        place = f"{checked(name)}/{each}"
        if each not in files:
            raise UsageError(f"{name} has no {each[:100]!r}, which its {INFO} names")
        texts[each] = files[each].replace("\r\n", "\n")
        if file == DEFINITION:
            _definition(texts[each], place)
        elif file == NOTEBOOK:
            for number, (kind, code) in enumerate(cells(texts[each], place)):
                if kind == "code":
                    _readable(code, f"{place}, cell {number + 1}")
        else:
            _readable(texts[each], place)
    if file == DEFINITION and not info.vram:
        info = msgspec.structs.replace(info, vram=_needs(texts[wanted[0]]))
    head = files.get(INFO, "")
    return Template(name=name, info=info, kind=KINDS[file], files=texts, head=head, path=path)


def _catalogued(name: str, said: object, files: Mapping[str, str], path: Path | None) -> Template:
    """Return what Nosana's own catalogue has."""
    try:
        found = msgspec.convert(said, Catalogued)
    except msgspec.ValidationError as error:
        raise UsageError(f"{name}/{INFO}: {error}") from None
    info = Info(
        title=found.name,
        description=found.description,
        author="Nosana" if "Official" in found.category else "",
        tags=tuple(found.category),
        variants={each.id: each.job_definition for each in found.variants},
    )
    return _whole(name, info, DEFINITION, files, path)


def _needs(text: str) -> int:
    """Return the GPU memory that a definition asks for, in GiB; 0 where it does not say."""
    meta = json.loads(text).get("meta") or {}
    needs = meta.get("system_requirements")
    needs = needs if isinstance(needs, dict) else meta
    mib, gib = needs.get("vram_total_mb"), needs.get("required_vram")
    if isinstance(mib, int) and 0 < mib <= 4096 << 10:
        return -(-mib // 1024)
    return gib if isinstance(gib, int) and 0 < gib <= 4096 else 0


def _definition(text: str, place: str) -> None:
    try:
        jobs.parse(_json(text, place))
    except RemoteProtocolError as error:
        raise UsageError(f"{place}: {error}") from None


def _info(said: object, place: str) -> Info:
    try:
        return msgspec.convert(said, Info)
    except msgspec.ValidationError as error:
        raise UsageError(f"{place}: {error}", hint="See %nosana help template") from None


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place} is not JSON: {error}") from None


def cells(text: str, place: str) -> list[tuple[str, str]]:
    """
    Return kind and source of each cell of a notebook. Whether it is whole, who opens it sees.

    Raises:
        UsageError: It is no notebook of version 4.
    """
    document = _json(text, place)
    try:
        if document["nbformat"] != 4:
            raise UsageError(f"{place} is a notebook of version {document['nbformat']!r}, not 4")
        return [(str(each["cell_type"]), "".join(each["source"])) for each in document["cells"]]
    except (LookupError, TypeError):
        raise UsageError(f"{place} is no notebook", hint="Save it anew with Jupyter.") from None


def _readable(code: str, place: str) -> None:
    """Refuse code that does not read as it runs."""
    if found := _UNSEEN.search(code):
        line = code.count("\n", 0, found.start()) + 1
        raise UsageError(
            f"{place}, line {line}, holds the character U+{ord(found[0]):04X}, which nobody sees",
            hint="Code that does not read as it runs is not taken: write it as an escape.",
        )


def read_text(path: Path) -> str:
    """Read a file of a template; none that leads elsewhere."""
    try:
        if path.is_symlink():
            raise UsageError(f"{path} is a link", hint="Put the file itself there.")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise UsageError(f"{path} is larger than {LARGEST >> 20} MiB")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text in UTF-8") from None
