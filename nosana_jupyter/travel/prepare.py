"""
A cell made ready to travel. Spends nothing, and touches no network.
"""

from __future__ import annotations

import re
import threading
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..cell import bundle, indirect, overlap
from ..cell.embedded import parse
from ..cell.held import Held
from ..cell.imports import find_imports, refuse_ours
from ..cell.inventory import measure
from ..cell.missing import missing, refuse_missing
from ..cell.modules import Module, find_modules, imports_of
from ..cell.names import Names, find_names
from ..cell.packages import Package, find_packages, parse_extra
from ..cell.pickler import travels
from ..cell.travel import Elsewhere
from ..errors import CellError, UsageError
from ..events import Cell, Row
from ..links.keep import NAME as SAVES
from ..links.link import Link
from ..project import find
from ..settings import Settings, forms, variables
from ..units import parse_gib, size
from ..wire import messages as say
from ..wire import randoms
from ..wire.chunks import Buffer
from . import absent, files, landing
from .load import Load
from .pinning import spelled, together
from .pythons import table
from .secrecy import Secrets

GIB = 1 << 30

UNASKED = 1_000_000
"""Bytes from which on a value is sent to a session only if the cell itself reads it."""

_OLDER = (
    "{name} is another one here now; what lives in the session sees it once a cell there reads it"
)

MOST_ROWS = 20
"""Most rows of that table."""

_TURN = threading.Lock()
"""
Kept while syntax trees are made: some Pythons count their depth for all threads together, and raise
`SystemError` where two make one at the same time.
"""

_UNCHANGING = (
    *(type(None), bool, int, float, complex, str, bytes, frozenset, range, slice),
    *(Elsewhere, Link, type, types.ModuleType, types.FunctionType),
    *(types.BuiltinFunctionType, types.MethodType),
)
"""Types of what cannot be changed in place, or is no data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """All that a cell needs on a host."""

    load: Load
    image: str
    title: str
    """The line that tells the cell from others, for lists."""

    needs: tuple[Package, ...]
    """Distributions that are imported, installed or not."""
    packages: tuple[str, ...]
    """As in `pandas==3.1.1`."""

    modules: tuple[str, ...]
    """The user's own, as in `pkg/sub.py`."""

    changes: tuple[str, ...]
    """Names that come back though the cell does not bind them: it may change their values."""

    notes: tuple[str, ...]
    """What may surprise, one sentence each."""

    sent: Mapping[str, Any]
    """Values that travel with it, by name."""


def prepare(cell: Cell, settings: Settings, held: Held | None = None) -> Prepared:
    """
    Find out what a cell needs and pack it.

    Args:
        cell: The cell.
        settings: Say what it does not.
        held: What the session has already that it is to run in.

    Raises:
        CellError: The cell is not Python, reads what nobody has, or what cannot travel.
        UsageError: An option names what does not exist.
    """
    with _TURN:
        return _prepare(cell, settings, held)


def at_once(cell: Cell, settings: Settings, held: Held | None) -> Prepared | None:
    """Do what `prepare` does, or nothing where somebody else is at it: nobody waits here."""
    if not _TURN.acquire(blocking=False):
        return None
    try:
        return _prepare(cell, settings, held)
    finally:
        _TURN.release()


def _prepare(cell: Cell, settings: Settings, held: Held | None) -> Prepared:
    names = find_names(cell.source, cell.namespace)
    older: list[str] = []
    values = bundle.collect(names, cell.namespace, only=cell.takes)
    if cell.saves is not None:
        values[SAVES] = cell.saves
    if held is not None and cell.takes is None:
        # What was made there reads what is there, and that may have changed here.
        values |= indirect.reads(values, cell.namespace, held.made_there)
        values, older = _read_unseen(values, cell.namespace, held)
    tree, _ = parse(cell.source)
    refuse_ours(tree)
    here = cell.namespace if held is None else held.seen(cell.namespace)
    refuse_missing(names, here)
    sent = {
        name: value
        for name, value in values.items()
        if held is None or not held.has(name, value, cell.namespace)
    }
    packed = bundle.pack(sent, cell.namespace, held)
    sent |= {name: cell.namespace[name] for name in packed.along}
    if cell.takes is not None:
        there = () if held is None else held.names
        refuse_missing(names, here, sent={*values, *packed.brought, *there})
    modules, packages = find_code(cell, packed.modules)
    notes = [f"{name} is nowhere: the cell may raise NameError" for name in missing(names, here)]
    notes += [_OLDER.format(name=name) for name in older]
    pins = find.find(cell.deps)
    extras = tuple(parse_extra(text) for text in (*settings.pip.split(), *cell.pip))
    named = {canonicalize_name(Requirement(extra).name) for extra in extras}
    notes += [
        package.note
        for package in packages
        if package.note
        and (name := canonicalize_name(package.distribution)) not in named
        and (package.version or not pins.knows(name))
    ]
    wanted, remarks = together(
        packages, pins, everything=cell.deps == find.ALL,
        indexed=any("INDEX" in name for name in cell.secrets),
    )  # fmt: skip
    returns = find_returns(cell, names, values, packed.brought)
    if cell.saves is not None:
        # The link to what is sealed takes the place of its value.
        returns = tuple(dict.fromkeys((*returns, *cell.saves.sealed)))
    changes = tuple(name for name in returns if name not in names.binds and name in cell.namespace)
    notes += overlap.notes(changes, values, cell.namespace)
    if held is not None:
        # What the cell binds is told of, whether it comes back or not.
        returns = (*returns, *(name for name in _made(names) if name not in returns))
    outgoing, gets = find_files(cell)
    notes += outgoing.notes
    if held is None:
        # In a session an earlier cell may have brought them.
        notes += absent.notes(tree, Path.cwd(), {name for name, _ in outgoing.sources})
    buffers: list[Buffer] = [*packed.buffers, *(source for _, source in outgoing.sources)]
    load = Load(
        code=cell.source,
        count=cell.count,
        header=packed.header,
        buffers=buffers,
        has_code=packed.has_code,
        packages=wanted,
        extras=extras,
        modules=[say.Module(each.path, each.source, each.shown) for each in modules],
        sources=[say.Source(each.filename, each.text, each.count) for each in packed.sources],
        returns=returns,
        changes=changes,
        explicit=cell.returns is not None and held is None,
        wanted=(cell.returns or ()) if held is not None else (),
        most=None if held is None else int(parse_gib(settings.small) * GIB),
        widgets=cell.widgets,
        environment={**variables(settings), **cell.environment},
        image=cell.image or "",
        secrets=Secrets(cell.secrets),
        pins=pins,
        remarks=remarks,
        files=outgoing.messages(len(packed.buffers)),
        table=partial(_table, sent, outgoing, cell.namespace),
        gets=gets,
        spans={**packed.spans, **outgoing.spans(len(packed.buffers))},
    )
    return Prepared(
        load=load,
        image=image_of(cell.image, settings),
        title=title(cell.source),
        needs=tuple(packages),
        packages=(*(spelled(*each, pins) for each in wanted), *extras),
        modules=tuple(each.path for each in modules),
        changes=changes,
        notes=tuple(notes),
        sent={
            name: each
            for name, each in {**_picked(packed.brought, cell.namespace), **sent}.items()
            if "." not in name and name != "Out"
        },
    )


def _read_unseen(
    values: Mapping[str, Any], namespace: Mapping[str, Any], held: Held
) -> tuple[dict[str, Any], list[str]]:
    """
    Return the values with those that may be read by what lives in the session, and was made there.

    What code it has nobody here can see: so what has changed here since goes along, if it is small.
    Of what is larger the names are returned, once.
    """
    found = dict(values)
    lives = (isinstance(value, Elsewhere) and held.resolve(value) for value in values.values())
    if not any(lives):
        return found, []
    larger = []
    for name, value in held.stale(namespace, most=UNASKED).items():
        if name in found or isinstance(value, Elsewhere) or not travels(value, namespace):
            continue
        if measure(value, namespace) < UNASKED:
            found[name] = value
        elif name not in held.told:
            larger.append(name)
    held.told.update(larger)
    return found, larger


def imported(sources: Iterable[str]) -> set[str]:
    """Return the names that cells bind by imports alone. What is no Python binds none."""
    imports: set[str] = set()
    others: set[str] = set()
    for source in sources:
        try:
            with _TURN:
                names = find_names(source)
        except CellError:
            continue
        imports.update(names.imports)
        others.update(_made(names))
    return imports - others


def find_files(cell: Cell) -> tuple[files.Outgoing, landing.Wanted | None]:
    """
    Return the files that go with a cell, and those that are to come back.

    Raises:
        UsageError: What the user wants is no file, or has no place.
    """
    base = Path.cwd()
    limit = landing.LIMIT if cell.gets_limit is None else cell.gets_limit
    gets = landing.Wanted(cell.gets, base, limit=limit) if cell.gets else None
    return files.find(cell.files, base), gets


def image_of(asked: str | None, settings: Settings) -> str:
    """
    Return the name of the container image.

    Raises:
        UsageError: It can be none.
    """
    return forms.spelled(asked or settings.image)


def find_returns(
    cell: Cell, names: Names, values: Mapping[str, Any], brought: Iterable[str] = ()
) -> tuple[str, ...]:
    """
    Return the names that come back: those that the user wants, or that the cell binds or changes.

    Raises:
        UsageError: What the user wants is no name.
    """
    if cell.returns is not None:
        for name in cell.returns:
            if not name.isidentifier():
                raise UsageError(f"--out: {name!r} is not a name")
        return cell.returns
    made = _made(names)
    sent = {*values, *brought}
    changed = [
        name
        for name in names.changes
        if name in cell.namespace
        and name in sent
        and name not in names.binds
        and not isinstance(cell.namespace[name], _UNCHANGING)
    ]
    through = indirect.binds(values, cell.namespace)
    reached = {**values, **indirect.reads(values, cell.namespace, lambda *_: True)}
    # Whoever draws from a generator changes it: the next cell is to draw others.
    drawn = [name for name, value in reached.items() if isinstance(value, randoms.kinds())]
    return tuple(dict.fromkeys((*made, *changed, *through, *drawn)))


def _made(names: Names) -> list[str]:
    return [name for name in names.binds if name not in names.imports]


def _picked(names: Iterable[str], namespace: Mapping[str, Any]) -> dict[str, Any]:
    return {name: namespace[name] for name in names if name in namespace}


def find_code(cell: Cell, reached: Iterable[str]) -> tuple[list[Module], list[Package]]:
    """
    Return the user's own modules that a cell and its values need, and the packages.

    Args:
        cell: Imports modules itself.
        reached: Full names of the modules that its values need.

    Raises:
        CannotTravel: A module is compiled, or has no source.
        CellError: They are too large.
    """
    tree, _ = parse(cell.source)
    imports = {*find_imports(tree), *reached}
    forced: set[str] = set()
    while True:
        modules = find_modules(sorted(imports), forced=forced)
        for module in modules:
            imports.update(imports_of(module))
        local = {module.name.partition(".")[0] for module in modules}
        packages = find_packages(sorted(imports), local=local)
        # What no index has travels as source, with all that it imports in turn.
        more = {name for each in packages if each.as_source for name in each.imports} - forced
        if not more:
            return modules, packages
        forced |= more


def title(source: str) -> str:
    """Return the line that tells a cell from others: the first that is no import or comment."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    # The one comment that tells is what `@remote` writes above its call.
    dull = re.compile(r"import |from |%|#(?! @remote )")
    telling = (line for line in lines if not dull.match(line))
    return next(telling, lines[0] if lines else "")[:80]


def rows(cell: Cell) -> tuple[Row, ...]:
    """Say what travels, name by name."""
    values = bundle.collect(find_names(cell.source), cell.namespace, only=cell.takes)
    return _rows(values, files.find(cell.files, Path.cwd()), cell.namespace)


def _rows(
    values: Mapping[str, Any], outgoing: files.Outgoing, namespace: Mapping[str, Any]
) -> tuple[Row, ...]:
    # Handles go as the names that they stand for.
    here = {name: value for name, value in values.items() if not isinstance(value, Elsewhere)}
    found = [
        Row(name=each.name, type=each.type, size=each.size, via=each.via)
        for each in bundle.describe(here, namespace)
    ]
    return (
        *found,
        *(Row(name=n, type=t, size=s, via=v) for n, t, s, v in files.described(outgoing)),
    )


def _table(
    values: Mapping[str, Any], outgoing: files.Outgoing, namespace: Mapping[str, Any]
) -> str:
    """Return the largest of what travels, as text."""
    found = _rows(values, outgoing, namespace)
    large = sorted(found, key=lambda row: row.size, reverse=True)[:MOST_ROWS]
    return table(
        [
            ("data for the host", "", "size"),
            *((row.name, row.type, size(row.size)) for row in large),
        ]
    )
