"""
What the client says to a runner, in order: compare, install, upload, execute, collect.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import CellError, HostFailed, RemoteProtocolError, VersionMismatch
from .events import Event, Said, Waiting
from .link import Link
from .units import size
from .wire import messages as say
from .wire import values
from .wire.chunks import Assembly, split

MOST_VALUES = 2 << 30
"""Most bytes of values that one cell may bring back."""

PROGRESS_ABOVE = 8_000_000
"""Bytes above which an upload says how far it is."""

Emit = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """All that goes to the runner for one cell."""

    code: str
    count: int
    header: bytes
    buffers: Sequence[memoryview]
    has_code: Sequence[str]
    """Names that carry bytecode, and so need the same minor version of Python."""

    packages: Sequence[tuple[str, str]]
    """Distributions and the versions used here; an empty version admits any."""

    extras: Sequence[str]
    """Requirements the user named."""

    modules: Sequence[say.Module]
    sources: Sequence[say.Source]
    returns: Sequence[str]
    explicit: bool
    """Whether the user named what comes back: then large values come too."""

    environment: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How a cell ended."""

    status: str
    seconds: float
    values: dict[str, Any]
    handles: dict[str, say.Handle]
    peak_memory: float


async def greet(link: Link) -> say.Hello:
    """
    Wait for the runner to say what it is.

    Raises:
        HostFailed: It never does.
    """
    hello = await link.receive()
    if not isinstance(hello, say.Hello):
        raise RemoteProtocolError(f"the runner began with {type(hello).__name__}")
    return hello


def check_python(hello: say.Hello, has_code: Sequence[str]) -> None:
    """
    Compare the runner's Python with ours, before any payload.

    Raises:
        VersionMismatch: Functions or classes travel, and their bytecode needs our minor version.
    """
    ours = sys.version_info
    theirs = tuple(int(part) for part in hello.python.split(".")[:2] if part.isdigit())
    same = theirs == (ours.major, ours.minor) and hello.implementation == sys.implementation.name
    if same or not has_code:
        return
    rows = [
        ("", "here", "on the host"),
        ("Python", f"{ours.major}.{ours.minor}.{ours.micro}", hello.python),
        ("implementation", sys.implementation.name, hello.implementation),
    ]
    raise VersionMismatch(
        f"functions and classes travel only between equal Pythons\n\n{table(rows)}\n\n"
        f"They are: {', '.join(has_code)}",
        hint=f"Choose an image with Python {ours.major}.{ours.minor} (`--image`), or define them "
        "inside the cell.",
    )


async def prepare(link: Link, load: Load, emit: Emit) -> None:
    """
    Compare packages and install what is missing; never upgrade what is there.

    Raises:
        CellError: Something cannot be installed; shows the end of the installer's log.
    """
    if not load.packages and not load.extras:
        return
    wanted = dict(load.packages)
    named = [_name_of(extra) for extra in load.extras]
    await link.send(say.Check([*wanted, *named]))
    checked = await _expect(link, say.Checked, emit)
    found = checked.versions
    missing = [
        f"{name}=={version}" if version else name
        for name, version in wanted.items()
        if found.get(name) is None
    ]
    missing += [
        extra for extra, name in zip(load.extras, named, strict=True) if found.get(name) is None
    ]
    different = [
        (name, version, found[name] or "")
        for name, version in wanted.items()
        if version and found.get(name) not in (None, version)
    ]
    if different:
        text = table([("package", "here", "on the host"), *different])
        emit(Said(say.Stream("stderr", f"Versions differ on the host:\n{text}\n")))
    if not missing:
        return
    emit(Waiting(f"installing {', '.join(missing)} on the host"))
    await link.send(say.Install(missing))
    installed = await _expect(link, say.Installed, emit)
    if not installed.ok:
        raise CellError(
            f"{', '.join(missing)} cannot be installed on the host:\n{installed.log[-2000:]}",
            hint="Choose an image that has them (`--image`), or other versions (`--pip`).",
        )


async def upload(link: Link, load: Load, emit: Emit) -> None:
    """Send the buffers of what the cell reads, in pieces."""
    total = sum(buffer.nbytes for buffer in load.buffers)
    sent, told = 0, 0
    for chunk in split(load.buffers):
        await link.send(chunk)
        sent += len(chunk.data)
        if total > PROGRESS_ABOVE and sent - told > total // 20:
            emit(Waiting(f"sending data: {size(sent)} of {size(total)}"))
            told = sent


async def execute(link: Link, load: Load, emit: Emit) -> Ended:
    """
    Run the cell and pass on what it says, until its reply.

    Raises:
        HostFailed: The host went away.
        RemoteProtocolError: The host broke the rules.
    """
    await link.send(
        say.Execute(
            code=load.code,
            count=load.count,
            header=load.header,
            buffers=len(load.buffers),
            returns=list(load.returns),
            modules=list(load.modules),
            sources=list(load.sources),
            environment=load.environment,
            explicit=load.explicit,
        )
    )
    incoming = Assembly(limit=MOST_VALUES)
    async for message in link.messages():
        match message:
            case say.Chunk():
                incoming.add(message)
            case say.Reply():
                return _ended(message, incoming, load.returns)
            case _ if isinstance(message, say.Output):
                emit(Said(message))
            case _:
                raise RemoteProtocolError(f"{type(message).__name__} while a cell runs")
    raise HostFailed("the conversation ended before the cell did")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as text in columns; the first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in rows]  # fmt: skip
    return "\n".join(lines)


def _ended(reply: say.Reply, incoming: Assembly, returns: Sequence[str]) -> Ended:
    buffers = incoming.take(reply.buffers)
    unasked = (reply.values.keys() | reply.handles.keys()) - set(returns)
    if unasked:
        raise RemoteProtocolError(f"the host sends names nobody asked for: {sorted(unasked)[:5]}")
    found: dict[str, Any] = {}
    handles = dict(reply.handles)
    for name, tree in reply.values.items():
        try:
            found[name] = values.decode(tree, buffers)
        except values.NotPlain as error:
            # What the value is made of is not installed here.
            handles[name] = say.Handle(type="value", text="", reason=str(error))
    return Ended(
        status=reply.status,
        seconds=reply.seconds,
        values=found,
        handles=handles,
        peak_memory=reply.peak_memory,
    )


async def _expect(link: Link, kind: Any, emit: Emit) -> Any:
    while True:
        message = await link.receive()
        if isinstance(message, kind):
            return message
        if isinstance(message, say.Stream):
            emit(Said(message))
            await asyncio.sleep(0)
            continue
        raise RemoteProtocolError(f"{type(message).__name__} where {kind.__name__} was due")


def _name_of(requirement: str) -> str:
    from packaging.requirements import Requirement

    return Requirement(requirement).name
