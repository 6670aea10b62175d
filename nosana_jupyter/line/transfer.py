"""
The buffers of a cell, on their way to a runner and back: what is there already is not sent again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from hashlib import sha256

from ..errors import RemoteProtocolError
from ..events import Event, Listed, Waiting
from ..units import duration, size
from ..wire import attest, pieces
from ..wire.beside import Beside
from ..wire.chunks import Assembly, Buffer, View, plain, split
from ..wire.messages import CHUNK, Chunk, Have, Large, Missing
from ..wire.shrink import Shrinker
from .link import Link

MOST_VALUES = 64 << 30
"""Most bytes of values that one cell may bring back."""

PROGRESS_ABOVE = 8_000_000
"""Bytes above which an upload says how far it is."""

TABLE_ABOVE = 50_000_000
"""Bytes above which an upload begins with a table of what goes."""

ASK_ABOVE = 1 << 18
"""Bytes above which the runner is asked what it has: less is sent before it could answer."""

PACE = 0.2
"""Seconds between two words about how far an upload is."""

EARLY = 16
"""Chunks that are sent before some of them are confirmed."""

STRIDE = 1 << 24
"""Bytes that are named at a time."""

Emit = Callable[[Event], None]


class _Changed(Exception):
    """A buffer is no longer what it was when it was named."""

    def __init__(self, buffer: int) -> None:
        self.buffer = buffer


async def upload(
    link: Link,
    buffers: Sequence[Buffer],
    emit: Emit,
    *,
    unpacks: Sequence[str] = (),
    table: Callable[[], str] = str,
) -> list[bytes]:
    """
    Send what the runner lacks of the buffers of what a cell reads; return the digests of all.

    Args:
        link: Leads to the runner.
        buffers: Must not be let go before the cell has begun.
        emit: Hears how far it is.
        unpacks: Ways to compress that the runner knows.
        table: Says what they are, to be shown before much is sent.
    """
    views = [plain(buffer) for buffer in buffers]
    if sum(map(len, views)) < ASK_ABOVE:
        for chunk in split(views):
            await link.send(chunk)
        return [attest.whole(attest.digests(view)) for view in views]
    how = next((each for each in pieces.packers() if each in unpacks), "")
    while True:
        try:
            return await _Upload(link, views, emit, how).run(table)
        except _Changed as changed:
            # A thread of the notebook writes to it: what goes is how it is now.
            views[changed.buffer] = memoryview(bytes(views[changed.buffer][:]))


class _Upload:
    """One attempt to send buffers."""

    def __init__(self, link: Link, views: list[View], emit: Emit, how: str) -> None:
        self._link = link
        self._views = views
        self._emit = emit
        self._shrinker = Shrinker(how)
        self._hashing = Beside()
        self._total = sum(map(len, views))
        self._due = self._sent = 0
        """Bytes that are missing there, and how many of them have been sent."""

        self._began = 0.0

    async def run(self, table: Callable[[], str]) -> list[bytes]:
        """
        Ask, and send; return the digests of all buffers.

        Raises:
            _Changed: A buffer has changed meanwhile.
        """
        if self._total > PROGRESS_ABOVE:
            self._emit(Waiting("comparing the data with what the host has"))
        have = [await self._name(view) for view in self._views]
        await self._link.send(Have(have, self._link.names.key))
        answer = await self._link.receive()
        if not isinstance(answer, Missing):
            raise RemoteProtocolError(f"{type(answer).__name__} where Missing was due")
        runs = list(pieces.runs(have, answer.pieces))
        self._due = sum(end - begin for _, begin, end in runs)
        if self._due > TABLE_ABOVE and (said := await asyncio.to_thread(table)):
            self._emit(Listed(f"{said}\n"))
        self._began = time.monotonic()
        telling = asyncio.create_task(self._keep_telling())
        try:
            for number, (buffer, begin, end) in enumerate(runs):
                await self._link.send(await self._chunk(have[buffer], buffer, begin, end))
                self._sent += end - begin
                if number == EARLY:
                    # Whether the line is slow is to be known before it has more than a moment's
                    # worth.
                    await self._link.drain(EARLY // 2)
            if self._due > PROGRESS_ABOVE:
                # What is on its way may take long, and the cell does not run meanwhile.
                await self._link.drain(EARLY // 2)
        finally:
            telling.cancel()
        # On a thread, beside the line and what the runner does with it.
        return await asyncio.to_thread(self._digests, have)

    def _digests(self, have: Sequence[Large]) -> list[bytes]:
        self._hashing.wait()
        known = self._link.digests
        found = []
        for large, view in zip(have, self._views, strict=True):
            ids = [large.ids[i : i + pieces.ID] for i in range(0, len(large.ids), pieces.ID)]
            for number, name in enumerate(ids):
                if name not in known:
                    piece = view[number * pieces.PIECE : (number + 1) * pieces.PIECE]
                    known[name] = sha256(piece).digest()
            found.append(attest.whole(known[name] for name in ids))
        return found

    async def _name(self, view: View) -> Large:
        """Return a buffer by its pieces."""
        ids = []
        for begin in range(0, len(view), STRIDE):
            ids.append(self._link.names.ids(memoryview(view[begin : begin + STRIDE])))
            await asyncio.sleep(0)
        return Large(len(view), b"".join(ids))

    async def _chunk(self, large: Large, buffer: int, begin: int, end: int) -> Chunk:
        # A copy: what is sent, and sent again after a cut, is what it was named for.
        data = bytes(self._views[buffer][begin:end])
        first = begin // pieces.PIECE * pieces.ID
        ids = self._link.names.ids(memoryview(data))
        if ids != large.ids[first : first + len(ids)]:
            raise _Changed(buffer)
        self._hashing.do(attest.learn, self._link.digests, ids, data)
        chunk = Chunk(buffer, large.size, begin, data)
        if self._shrinker.pays(buffer, self._arrived(), time.monotonic() - self._began):
            return await asyncio.to_thread(self._shrinker.shrink, chunk)
        return chunk

    def _arrived(self) -> int:
        """Return about how many bytes the runner has confirmed."""
        return max(0, self._sent - self._link.waiting * CHUNK)

    async def _keep_telling(self) -> None:
        """Say how far it is again and again, also while the line takes nothing."""
        while self._due > PROGRESS_ABOVE:
            self._tell()
            await asyncio.sleep(PACE)

    def _tell(self) -> None:
        """Say how far it is, how fast, and how long it may take."""
        now = time.monotonic()
        arrived, seconds = self._arrived(), now - self._began
        text = f"sending data: {size(arrived)} of {size(self._due)}"
        if arrived:
            rate = arrived / seconds
            left = duration((self._due - arrived) / rate)
            text += f", {size(round(rate))}/s, {left} left"
        if there := self._total - self._due:
            text += f"; {size(there)} were there already"
        self._emit(Waiting(text, min(1.0, arrived / self._due)))


class Arrivals:
    """
    Says how much of what a cell gives back is there. How much is to come only its reply tells.

    Args:
        emit: Hears it.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._began = self._told = 0.0

    def note(self, arrived: int) -> None:
        """Note how many bytes are there in all."""
        now = time.monotonic()
        self._began = self._began or now
        if arrived <= PROGRESS_ABOVE or now - max(self._told, self._began) < PACE:
            return
        self._told = now
        rate = round(arrived / (now - self._began))
        self._emit(Waiting(f"fetching what the cell made: {size(arrived)} so far, {size(rate)}/s"))

    def done(self) -> None:
        """Note that all is there."""
        if self._told:
            self._emit(Waiting(""))


def incoming(files: int = 0) -> Assembly:
    """
    Return what puts the buffers of a cell's values together.

    Args:
        files: Most bytes of the files that come with them.
    """
    import psutil

    free = psutil.virtual_memory().available
    return Assembly(limit=min(MOST_VALUES, free) + files, spill=bool(files))
