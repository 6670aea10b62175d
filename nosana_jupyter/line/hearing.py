"""
What a cell says, from its first output to its reply, wherever that comes from.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from ..cell.modules import own_class
from ..errors import HostFailed, RemoteProtocolError
from ..events import Asked, Event, Given, Relayed, Said
from ..market.caches import Report
from ..outcome import NOTHING_LANDED, Landed
from ..travel import absent, landing
from ..wire import messages as say
from ..wire import values
from ..wire.chunks import Assembly
from ..wire.instances import MAIN
from . import bounds, keeping, transfer
from .gauging import Gauges
from .witness import Witness

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
    peak_card: float = 0.0
    """Most memory of cards that was seen in use, in GiB; 0 where none was seen."""

    changed: tuple[str, ...] = ()
    """Names the cell did not bind, but changed what they hold."""

    landed: Landed = NOTHING_LANDED
    """Files that came back."""

    bound: tuple[str, ...] = ()
    """Names that were bound on the host though nobody asked for them."""

    gone: tuple[str, ...] = ()
    """Names that are there no more."""

    keeps: Report | None = None
    """What the host keeps for later jobs, if that is news."""

    later: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    """Makes those of `handles` whose classes the cell defines, once they are here."""

    @property
    def closes_as(self) -> str:
        """What the receipt calls it, of a job that it was alone in."""
        return {"ok": "done", "error": "failed"}.get(self.status, self.status)


@dataclass(kw_only=True, slots=True)
class Bookmark:
    """A cell that runs, and how far its outputs have been heard. It moves as they come."""

    cell: str = field(default_factory=lambda: os.urandom(8).hex())
    heard: int = 0
    """Number of the last one."""

    witness: Witness | None = None
    """Hears what the runner signs."""


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
    incoming: Assembly | None = None
    given: set[str] = set()
    arrivals = transfer.Arrivals(emit)
    gauges = Gauges()
    keeps: Report | None = None
    async for message in messages:
        if isinstance(message, say.Gauge):
            if (seen := gauges.seen(message)) is not None:
                emit(seen)
            continue
        if isinstance(message, say.Keeps):
            keeps = keeping.heard(message)
            continue
        if mark.witness is not None:
            mark.witness.take(message)
        match message:
            case say.Chunk():
                # Most cells bring back nothing that needs room.
                incoming = incoming or transfer.incoming(gets.limit if gets else 0)
                incoming.add(message)
                arrivals.note(incoming.bytes)
            case say.Early():
                came = {*message.values, *message.unsent}
                if again := came & given:
                    raise RemoteProtocolError(f"the host gives {sorted(again)[:5]} twice")
                given |= came
                emit(_given(message, incoming or Assembly(limit=0), returns))
                incoming = None  # What is left of our memory is asked for anew.
            case say.Reply():
                arrivals.done()
                ended = await _ended(message, incoming, returns, gets)
                return replace(ended, peak_card=gauges.peak, keeps=keeps)
            case say.InputRequest():
                if answering is not None:
                    emit(Asked(message, answering))
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


def _given(early: say.Early, incoming: Assembly, returns: Sequence[str] | None) -> Given:
    """Return the values that come before the end of a cell."""
    _expect({*early.values, *early.unsent}, returns)
    counts = [each.buffers for each in early.values.values()]
    if min(counts, default=0) < 0:
        raise RemoteProtocolError("a value with less than no buffers")
    buffers = incoming.take(sum(counts))
    found: dict[str, Any] = {}
    unsent = dict(early.unsent)
    for name, each in early.values.items():
        own, buffers = buffers[: each.buffers], buffers[each.buffers :]
        try:
            bounds.check(memoryview(each.tree), most=bounds.MOST_VALUES)
            found[name] = values.unpacked(each.tree, own, own_class)
        except values.NotPlain as error:
            # What the value is made of is not installed here, or not defined.
            unsent[name] = str(error)
    return Given(found, unsent)


def _expect(names: Set[str], returns: Sequence[str] | None) -> None:
    """
    Compare names with those that were asked for.

    Raises:
        RemoteProtocolError: There are others.
    """
    if returns is not None and (unasked := names - set(returns)):
        raise RemoteProtocolError(f"the host sends names nobody asked for: {sorted(unasked)[:5]}")


async def _ended(
    reply: say.Reply,
    incoming: Assembly | None,
    returns: Sequence[str] | None,
    gets: landing.Wanted | None,
) -> Ended:
    buffers = (incoming or Assembly(limit=0)).take(reply.buffers)
    landed = NOTHING_LANDED
    if reply.files or reply.unsent or gets is not None:
        # Beside the loop: there may be gigabytes to write.
        landed = await asyncio.to_thread(
            landing.taken, reply, buffers, gets, remembered=returns is not None
        )
    _expect(reply.values.keys() | reply.handles.keys(), returns)
    found: dict[str, Any] = {}
    later: dict[str, Callable[[], Any]] = {}
    handles = dict(reply.handles)
    classes = functools.partial(_class_here, frozenset(returns or ()))
    for name, tree in reply.values.items():
        match tree:
            case ["same", str(other)] if other in found:
                found[name] = found[other]
                continue
            case ["same", str(other)] if other in reply.values:  # It waits for its class.
                tree = reply.values[other]
        try:
            found[name] = values.decode(tree, buffers, classes)
        except values.NotPlain as error:
            # What the value is made of is not installed here, or not defined.
            handles[name] = say.Handle(type="value", text="", reason=str(error))
            if isinstance(error, values.NoClass):
                later[name] = functools.partial(values.decode, tree, buffers, own_class)
    return Ended(
        status=reply.status,
        seconds=_measured(reply.seconds),
        values=found,
        handles=handles,
        peak_memory=_measured(reply.peak_memory),
        landed=landed,
        bound=tuple(reply.bound),
        gone=tuple(reply.gone),
        later=later,
    )


def _class_here(bound: frozenset[str], module: str, name: str) -> type | None:
    """Return a class of the user's own, unless the cell has defined it: what is here is older."""
    own = module == MAIN and name.partition(".")[0] in bound
    return None if own else own_class(module, name)


def _measured(value: float) -> float:
    """Return a number that a host measured as one that can be kept and shown."""
    # What is not a number is not less than anything; JSON has no way to write it down.
    return value if 0 <= value < MOST_MEASURED else 0.0
