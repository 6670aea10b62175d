"""
From a delivered definition to the runner's hello: shown as the host tells it, and not for ever.

A host is left when it falls silent, or when the runner has not come within the user's patience: all
of that time is paid. That a link does not connect says nothing, as an image may be on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from ..chain.rpc import Rpc
from ..errors import ClockError, HostFailed, NodeError, RpcError
from ..events import Booting, Event
from ..line.conversation import greet
from ..line.link import Link
from ..network import Network
from ..node import Node
from ..sanitize import line
from ..settings import Settings, change
from ..units import duration, parse_seconds, size
from ..wire import launch
from ..wire.definition import Definition, RunOperation, document, service_id
from ..wire.messages import Hello

log = logging.getLogger("nosana_jupyter.rent.boot")

TICK = 0.25
"""Seconds between two looks at the clock."""

SOON = 1.0
"""Seconds in which many a runner comes, and nothing of it need be told."""

OFTEN = 0.5
"""Seconds between two words on progress."""

NAMED = 60.0
"""Seconds in which a host comes to know the name of a service."""

CLOCKS = 60
"""Seconds by which two clocks may differ before one is called wrong."""

WORDLESS = 20.0
"""Seconds after which a log that has brought nothing is asked for anew."""

PAUSE = 1.0
"""Seconds before a log that was cut is asked for again."""

LONGEST = 120
"""Characters of a line of the runner's log that are shown."""

MOST_BARS = 500
"""Most layers and files whose progress is counted."""

PULLING, FETCHING, STARTING = "pulling the image", "fetching resources", "starting the runner"

READY = ("pull complete", "already exists")
LOADED = ("download complete", "downloaded", "extracting", "verifying checksum", *READY)
"""What an engine says of a layer that is there, and of one that needs no more downloading."""

LAYER = ("pulling fs layer", "waiting", "downloading", "retrying", *LOADED)


@dataclass(slots=True)
class _Bar:
    """One layer, or one file."""

    current: int = 0
    total: int = 0
    ready: bool = False
    lacked: bool = False
    """Whether some of it was not here."""


class Progress:
    """
    What a host has said of its preparations, summed up.

    Args:
        starting: What it does once all is there, in words.
    """

    def __init__(self, starting: str = STARTING) -> None:
        self._starting = starting
        self._bars: dict[str, dict[str, _Bar]] = {PULLING: {}, FETCHING: {}}
        self.stage = ""
        self._said = ""

    def take(self, entry: dict[str, Any]) -> None:
        """Take one entry of the log; what cannot be read says nothing."""
        message = entry.get("message")
        if isinstance(message, dict):
            self._take_bar(message)
        elif isinstance(message, str) and (lines := message.strip().splitlines()):
            own = entry.get("type") == "container" and entry.get("opId") != "system"
            self._said = line(lines[-1])[:LONGEST]
            if own:
                self.stage = self._starting

    def _take_bar(self, message: dict[str, Any]) -> None:
        payload = message.get("payload")
        event = payload.get("event") if isinstance(payload, dict) else None
        if not isinstance(event, dict):
            return
        status, ident = str(event.get("status", "")).lower(), str(event.get("id", ""))
        # Layers come many at once. A pull begins with the name of its image, and tells its tag.
        several = str(message.get("type", "")).startswith("multi")
        pulls = several and status.startswith(("pull", *LAYER))
        self.stage, self._said = PULLING if pulls else FETCHING, ""
        bars, detail = self._bars[self.stage], event.get("progressDetail")
        counts = status.startswith(LAYER) if pulls else bool(detail) or ident in bars
        if counts and ident and (ident in bars or len(bars) < MOST_BARS):
            self._count(bars.setdefault(ident, _Bar()), status, detail)

    @staticmethod
    def _count(bar: _Bar, status: str, detail: object) -> None:
        # While a layer is unpacked, the numbers are those of unpacking.
        if status.startswith(LOADED):
            bar.current, bar.ready = bar.total, status.startswith(READY)
        elif isinstance(detail, dict):
            bar.current, bar.total = _number(detail.get("current")), _number(detail.get("total"))
            bar.lacked = bar.lacked or bar.current < bar.total

    def fetched(self, name: str) -> tuple[int, bool]:
        """Return the bytes of a resource, and whether all of it was there; 0 if that is unsaid."""
        bar = self._bars[FETCHING].get(name, _Bar())
        return bar.total, not bar.lacked

    def told(self) -> Booting:
        """Return all of it in words."""
        bars = self._bars.get(self.stage, {})
        if not bars:
            stage = self.stage or "preparing the job"
            return Booting(stage, f"{stage}: {self._said}" if self._said else stage)
        total = sum(bar.total for bar in bars.values())
        current = sum(min(bar.current, bar.total or bar.current) for bar in bars.values())
        # Of a layer that still waits its size is not known.
        whole = all(bar.total or bar.ready for bar in bars.values())
        least = "" if whole else "at least "
        parts = [f"{size(current)} of {least}{size(total)}" if total else size(current)]
        if total and whole:
            parts.insert(0, f"{100 * current // total} %")
        share = min(1.0, current / total) if total and whole else None
        if self.stage == PULLING:
            ready = sum(bar.ready for bar in bars.values())
            parts.append(f"{ready} of {len(bars)} layers ready")
        return Booting(self.stage, f"{self.stage}: {', '.join(parts)}", share)


async def deliver(host: Node, asked: Definition, chosen: Settings, rpc: Rpc) -> None:
    """
    Hand over the real definition for as long as a runner would be waited for.

    Raises:
        NodeError: The host does not take it, or does not answer.
        ClockError: It does not as it should: what we sign bears the time of a clock that is wrong.
    """
    try:
        await host.deliver(
            document(asked),
            within=parse_seconds(chosen.boot),
            silence=parse_seconds(chosen.answer),
        )
    except NodeError as error:
        if error.status in (401, 403):
            await _check_clock(rpc)
        raise


async def _check_clock(rpc: Rpc) -> None:
    """Hold this machine's clock against the chain's, which no host can set."""
    with contextlib.suppress(RpcError):
        theirs = await rpc.clock()
        off = int(time.time()) - theirs if theirs is not None else 0
        if abs(off) > CLOCKS:
            way = "ahead of" if off > 0 else "behind"
            raise ClockError(
                f"the clock of this machine is {duration(abs(off))} {way} the chain's, and no host "
                "takes what is signed at such a time",
                hint="Set the clock, and run the cell again. No host is to blame.",
            )


async def runner_url(host: Node, network: Network, asked: Definition) -> str:
    """Return where the runner will listen: derived from the job, unless only the host knows."""
    first = asked.ops[0]
    ident = None
    if isinstance(first, RunOperation) and first.args.private:
        ident = await host.service(launch.PORT, within=NAMED)
    ident = ident or service_id(operation=0, port=launch.PORT, job=host.job)
    return network.address(ident).replace("http", "ws", 1) + "/"


async def meet(link: Link, host: Node, emit: Callable[[Event], None], chosen: Settings) -> Hello:
    """
    Wait until the runner says what it is; show what its host does until then.

    Args:
        link: To the runner, which need not be there yet.
        host: Says what it does.
        emit: Takes `Booting`.
        chosen: How long to wait, all of it paid.

    Raises:
        HostFailed: The runner does not come, or the host has fallen silent.
    """
    within, silence = parse_seconds(chosen.boot), parse_seconds(chosen.answer)
    deadline = host.since + within
    following = asyncio.create_task(show(host, emit))
    asking = asyncio.create_task(ask(host, every=silence / 3))
    greeting = asyncio.create_task(greet(link))
    try:
        while not (await asyncio.wait([greeting], timeout=TICK))[0]:
            now = time.monotonic()
            if link.connections:
                continue  # It is there: what it says first has a limit of its own.
            if now - host.heard > silence:
                raise HostFailed(
                    f"host {host.address} has not answered for {duration(int(now - host.heard))}",
                    hint="Run the cell again: another host may take it.",
                )
            if now > deadline:
                raise HostFailed(
                    f"host {host.address} did not start the runner within {duration(within)}, "
                    "which are paid",
                    hint=f"A smaller image is there sooner. {change('boot')}",
                )
        return greeting.result()
    finally:
        for task in (following, asking, greeting):
            task.cancel()
        await asyncio.gather(following, asking, greeting, return_exceptions=True)


async def ask(host: Node, *, every: float) -> None:
    """Ask a host that has not said anything for a while: its silence may mean that all is well."""
    while True:
        await asyncio.sleep(every)
        if time.monotonic() - host.heard >= every:
            with contextlib.suppress(NodeError):
                await host.operations()


async def show(host: Node, emit: Callable[[Event], None], progress: Progress | None = None) -> None:
    """
    Pass on what the host's log says of its preparations, in a few words and not too often.

    Args:
        host: The host.
        emit: Takes `Booting`.
        progress: Sums it up.
    """
    progress, said, at = progress or Progress(), "", 0.0
    await asyncio.sleep(SOON)
    async for entry in _entries(host):
        if entry is not None:
            progress.take(entry)
        told, now = progress.told(), time.monotonic()
        if told.text != said and now - at >= OFTEN:
            emit(told)
            said, at = told.text, now


async def _entries(host: Node) -> AsyncIterator[dict[str, Any] | None]:
    """
    Follow a host's log over all cuts of the line, each entry once.

    A new line begins with all that was said before: an entry is known by operation and time, and
    the times of an operation only grow. Nothing is yielded where nothing comes for a moment.
    """
    seen: dict[str, float] = {}
    while True:
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(1000)
        reading = asyncio.create_task(_read(host, queue))
        patience = WORDLESS
        try:
            while patience > 0:
                try:
                    async with asyncio.timeout(OFTEN):
                        entry = await queue.get()
                except TimeoutError:
                    # A refusal may leave the line open, and silent.
                    patience -= OFTEN
                    yield None
                    continue
                if entry is None:
                    break
                patience = float("inf")
                moment, operation = entry.get("timestamp"), str(entry.get("opId"))
                if not isinstance(moment, int | float) or moment > seen.get(operation, 0):
                    if isinstance(moment, int | float) and len(seen) < MOST_BARS:
                        seen[operation] = moment
                    yield entry
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        await asyncio.sleep(PAUSE)


async def _read(host: Node, queue: asyncio.Queue[dict[str, Any] | None]) -> None:
    """Put what one line brings into a queue, and nothing at its end."""
    with contextlib.suppress(NodeError):
        async for entry in host.logs():
            await queue.put(entry)
    await queue.put(None)


def _number(found: object) -> int:
    """Return a number of bytes that a host has said, or 0."""
    good = isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < 1e15
    return int(found) if good and isinstance(found, int | float) else 0
