"""
What a cell says, from its first output to its reply, wherever that comes from.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import absent, landing, transfer
from .errors import HostFailed, RemoteProtocolError
from .events import Asked, Event, Relayed, Said, SaidLate
from .wire import messages as say
from .wire import values
from .wire.chunks import Assembly

MOST_MEASURED = 1e9
"""Number of seconds, or of GiB, that no cell reaches."""

Emit = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How a cell ended."""

    status: str
    seconds: float
    values: dict[str, Any]
    handles: dict[str, say.Handle]
    peak_memory: float
    changed: tuple[str, ...] = ()
    """Names the cell did not bind, but changed what they hold."""

    landed: landing.Landed = landing.NOTHING
    """Files that came back."""

    bound: tuple[str, ...] = ()
    """Names that were bound on the host though nobody asked for them."""

    gone: tuple[str, ...] = ()
    """Names that are there no more."""


@dataclass(kw_only=True, slots=True)
class Bookmark:
    """A cell that runs, and how far its outputs have been heard. It moves as they come."""

    cell: str = field(default_factory=lambda: os.urandom(8).hex())
    heard: int = 0
    """Number of the last one."""


async def follow(
    messages: AsyncIterator[say.AnyMessage],
    mark: Bookmark,
    emit: Emit,
    answering: Callable[[say.AnyMessage], None] | None = None,
    *,
    returns: Sequence[str] | None,
    modules: Sequence[say.Module] = (),
    gets: landing.Wanted | None = None,
) -> Ended:
    """
    Pass on what a cell says, until its reply; raises as `attach` does.

    Args:
        messages: What it says, wherever that comes from.
        mark: The cell, and what was heard of it.
        emit: Takes `Said`.
        answering: Takes what the user types, or does with widgets; nothing if the cell is not
            there to hear it.
        returns: Names that may come back, as for `attach`.
        modules: Modules of the user that went with the cell.
        gets: Files that may come back.
    """
    incoming = transfer.incoming(gets.limit if gets else 0)
    arrivals = transfer.Arrivals(emit)
    async for message in messages:
        match message:
            case say.Chunk():
                incoming.add(message)
                arrivals.note(incoming.bytes)
            case say.Reply():
                arrivals.done()
                return await _ended(message, incoming, returns, gets)
            case say.InputRequest():
                if answering is not None:
                    emit(Asked(message, answering))
            case say.Late():
                mark.heard += 1
                emit(SaidLate(message.cell, message.output))
            case say.At():
                mark.heard = message.number
            case say.Unknown():
                raise HostFailed(
                    f"the host keeps nothing of cell {mark.cell} any more",
                    hint="Run the cell again.",
                )
            case _ if isinstance(message, say.OUTPUTS):
                mark.heard += 1
                if isinstance(message, say.Error):
                    message = absent.with_hint(message, modules)
                emit(Said(message))
            case _ if isinstance(message, say.COMMS):
                mark.heard += 1
                emit(Relayed(message, answering or _unheard))
            case _:
                raise RemoteProtocolError(f"{type(message).__name__} while a cell runs")
    raise HostFailed("the conversation ended before the cell did")


def _unheard(_: say.AnyMessage) -> None:
    """Take what the user does with widgets of a host that is gone."""


async def _ended(
    reply: say.Reply,
    incoming: Assembly,
    returns: Sequence[str] | None,
    gets: landing.Wanted | None,
) -> Ended:
    buffers = incoming.take(reply.buffers)
    # Beside the loop: there may be gigabytes to write.
    landed = await asyncio.to_thread(
        landing.taken, reply, buffers, gets, remembered=returns is not None
    )
    names = reply.values.keys() | reply.handles.keys()
    unasked = names - set(names if returns is None else returns)
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
        seconds=_measured(reply.seconds),
        values=found,
        handles=handles,
        peak_memory=_measured(reply.peak_memory),
        landed=landed,
        bound=tuple(reply.bound),
        gone=tuple(reply.gone),
    )


def _measured(value: float) -> float:
    """Return a number that a host measured as one that can be kept and shown."""
    # What is not a number is not less than anything; JSON has no way to write it down.
    return value if 0 <= value < MOST_MEASURED else 0.0
