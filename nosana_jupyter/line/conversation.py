"""
What the client says to a runner, in order: compare, execute, collect. What is installed and sent
between the first two is in `installing` and `transfer`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import HostFailed, JobError, NosanaError, RemoteProtocolError, TakenOver
from ..events import Begun, Relayed, Said, Waiting
from ..travel import landing, pythons
from ..travel.load import Load
from ..travel.pythons import short
from ..units import size
from ..wire import messages as say
from . import stored
from .hearing import MOST_MEASURED, Bookmark, Emit, Ended, follow
from .link import Link

GREETING = 60.0
"""Seconds in which a runner says what it is, once there is a line to it."""


async def greet(link: Link) -> say.Hello:
    """
    Wait for the runner to say what it is.

    Raises:
        HostFailed: It never does.
    """
    await link.reached.wait()
    try:
        async with asyncio.timeout(GREETING):
            hello = await link.receive()
    except TimeoutError:
        raise HostFailed(
            "the runner is there and does not say what it is", hint="Run the cell again."
        ) from None
    if not isinstance(hello, say.Hello):
        raise RemoteProtocolError(f"the runner began with {type(hello).__name__}")
    return hello


def check(hello: say.Hello, load: Load, emit: Emit, *, again: bool = False) -> None:
    """
    Compare the runner with what the cell needs, before any payload; say what may surprise.

    Args:
        hello: What the runner says it is.
        load: The cell.
        emit: Takes `Said`.
        again: Whether another cell has run there: then nothing surprises any more.

    Raises:
        VersionMismatch: Functions or classes travel, and their bytecode needs our minor version.
    """
    if load.has_code or not again:
        check_python(hello, load.has_code)
    check_room(hello, load)
    if again:
        return
    tell_python(hello, emit)
    tell_image(hello, load, emit)


def check_python(hello: say.Hello, has_code: Sequence[str]) -> None:
    """
    Compare the runner's Python with ours, before any payload.

    Raises:
        VersionMismatch: Functions or classes travel, and their bytecode needs our minor version.
    """
    pythons.refuse(
        hello.python,
        has_code,
        implementation=hello.implementation,
        by_image=hello.isolated,
    )


def check_room(hello: say.Hello, load: Load) -> None:
    """
    Compare the runner's memory and disk with the data and the files that go with the cell.

    Raises:
        HostFailed: They do not fit; another host may have more.
    """
    count = len(load.buffers) - len(load.files)
    data = sum(map(len, load.buffers[:count]))
    if 0 < hello.memory < data / (1 << 30):
        raise HostFailed(
            f"the cell reads {size(data)}, and the host has {hello.memory:.1f} GiB of memory",
            hint="Read less of it, or send files (`--files`) and read them there in parts.",
        )
    total = sum(map(len, load.buffers[count:]))
    free_there = hello.disk if 0 <= hello.disk < MOST_MEASURED else 0.0
    if total > free_there * (1 << 30):
        free = size(int(free_there * (1 << 30)))
        raise HostFailed(
            f"the files take {size(total)}, and the host has {free} of disk free",
            hint="Send fewer files, or choose another market (`--market`).",
        )


def tell_python(hello: say.Hello, emit: Emit) -> None:
    """Say so where the cell runs on another Python: what is in its library may differ."""
    if text := pythons.note(hello.python, by_image=hello.isolated):
        emit(Said(say.Stream("stderr", text)))


def tell_image(hello: say.Hello, load: Load, emit: Emit) -> None:
    """Say so where a host has no containers, and so cannot use the image that was asked for."""
    if load.image and not hello.isolated:
        text = (
            f"The image {load.image} is not used: this host has no containers, and runs cells "
            f"with its own Python {short(hello.python)}.\n"
        )
        emit(Said(say.Stream("stderr", text)))


async def execute(link: Link, load: Load, emit: Emit, mark: Bookmark | None = None) -> Ended:
    """
    Run the cell and pass on what it says, until its reply.

    Args:
        link: To the runner.
        load: The cell. Its buffers have been sent.
        emit: Takes `Said`.
        mark: Under which name it runs; `attach` goes on from there if the line is lost for good.

    Raises:
        HostFailed: The host went away.
        TakenOver: Another client has come. The cell goes on.
        RemoteProtocolError: The host broke the rules.
    """
    mark = mark or Bookmark()
    link.aside(None)
    message = say.Execute(
        code=load.code,
        count=load.count,
        header=load.header,
        buffers=len(load.buffers),
        returns=list(load.returns),
        changes=list(load.changes),
        modules=list(load.modules),
        sources=list(load.sources),
        environment={**load.environment, **load.secrets.values},
        widgets=load.widgets,
        explicit=load.explicit,
        wanted=list(load.wanted),
        most=load.most,
        cell=mark.cell,
        files=list(load.files),
        gets=load.gets.patterns if load.gets else [],
        gets_limit=load.gets.limit if load.gets else 0,
    )
    if mark.witness is not None:
        message = mark.witness.order(message)
    await link.send(message)
    if mark.witness is not None:
        # The runner is at work.
        mark.witness.ordered()
    return await _followed(link, mark, emit, load.returns, load.modules, load.gets)


async def attach(
    link: Link,
    mark: Bookmark,
    emit: Emit,
    *,
    returns: Sequence[str] | None = None,
    modules: Sequence[say.Module] = (),
    gets: landing.Wanted | None = None,
) -> Ended:
    """
    Pass on what a cell has said after a place, and what it goes on to say, until its reply.

    Args:
        link: To the runner, which has said that it knows the cell.
        mark: The cell, and from where on.
        emit: Takes `Said`.
        returns: Names that may come back; nothing if nobody remembers which were asked for.
        modules: Modules of the user that went with the cell.
        gets: Files that were asked for.

    Raises:
        HostFailed: The host went away, or no longer knows the cell.
        TakenOver: Another client has come. The cell goes on.
        RemoteProtocolError: The host broke the rules.
    """
    link.aside(None)
    await link.send(say.Attach(mark.cell, mark.heard))
    return await _followed(link, mark, emit, returns, modules, gets)


async def _followed(
    link: Link,
    mark: Bookmark,
    emit: Emit,
    returns: Sequence[str] | None,
    modules: Sequence[say.Module],
    gets: landing.Wanted | None,
) -> Ended:
    send = _sending(link)
    emit(Begun(mark.cell))
    link.patience.tell = lambda text: emit(Waiting(text))
    try:
        ended = await follow(
            link.messages(), mark, emit, send, returns=returns, modules=modules, gets=gets
        )
    except TakenOver:
        raise
    except JobError as error:
        if link.left is None:
            raise
        emit(Waiting("looking for what the runner has left behind"))
        return await stored.rest(error, link.left, mark, emit, returns=returns, gets=gets)
    finally:
        link.patience.tell = None
    # Whoever comes after this client need not fetch it.
    link.release(mark.cell)
    # Widgets live on, as long as their host.
    link.aside(lambda message: emit(Relayed(message, send)))
    return ended


def _sending(link: Link) -> Callable[[say.AnyMessage], None]:
    """Return what sends what the user says, from any thread."""
    loop = asyncio.get_running_loop()

    async def send(message: say.AnyMessage) -> None:
        # The cell may have ended meanwhile, or its host.
        with contextlib.suppress(NosanaError):
            await link.send(message)

    def pass_on(message: say.AnyMessage) -> None:
        if not loop.is_closed():
            asyncio.run_coroutine_threadsafe(send(message), loop)

    return pass_on


async def expect(link: Link, kind: Any, emit: Emit) -> Any:
    """
    Wait for a message; pass on what is said meanwhile.

    Raises:
        RemoteProtocolError: Another comes.
    """
    while True:
        message = await link.receive()
        if isinstance(message, kind):
            return message
        if isinstance(message, say.Stream):
            emit(Said(message))
            await asyncio.sleep(0)
            continue
        raise RemoteProtocolError(f"{type(message).__name__} where {kind.__name__} was due")
