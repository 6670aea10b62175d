"""
What is left behind when a runner ends and nobody has fetched what its cells have said.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterable

from ..units import size
from ..wire import parcel, seal
from ..wire.envelope import pack
from ..wire.messages import OUTPUTS, At, Chunk, Reply, Stream
from ..wire.parcel import Kept
from .records import Record, without_values

log = logging.getLogger("nosana_jupyter.runner")

STORED = 64 << 20
"""Most bytes that are left behind, before they are compressed."""

LOGGED = 2_500_000
"""Most bytes that go into the log, sealed: a result holds 4 MB of text, with these in base64."""


class Estate:
    """
    Leaves what nobody has fetched.

    Args:
        client: The client's public key.
        token: The secret of the job's private definition.
        job: Address of the job.
    """

    def __init__(self, client: bytes, token: bytes, job: str) -> None:
        self._client, self._token, self._job = client, token, job

    def leave(self, records: Iterable[Record], store: str, fd: int, *, within: float) -> None:
        """
        Put it where it is found.

        Args:
            records: Those that nobody has fetched, oldest first.
            store: Address to put it to, or nothing.
            fd: The host's log.
            within: Seconds for the address.
        """
        left = list(records)
        if not left:
            return
        sealed = self._sealed(left, STORED)
        # The log first: it takes no time.
        limit, short = STORED, sealed
        while len(short) > LOGGED and limit > LOGGED // 8:
            limit //= 4
            short = self._sealed(left, limit)
        if len(short) <= LOGGED:
            write(fd, "".join(parcel.to_lines(short)).encode())
        if store:
            _put(store, sealed, within)

    def _sealed(self, records: list[Record], limit: int) -> bytes:
        cells: list[Kept] = []
        for record in reversed(records):
            kept = keep(record, limit)
            limit -= sum(map(len, kept.messages))
            cells.append(kept)
        wrapped = parcel.wrap(cells[::-1])
        return seal.enclose(wrapped, self._client, token=self._token, job=self._job)


def keep(record: Record, limit: int) -> Kept:
    """
    Return what a cell has said: of too much head and tail, and its values if there is room.

    Each output keeps its number, for a client that has heard some of them.
    """
    head: list[bytes] = []
    tail: deque[tuple[int, bytes]] = deque()
    values: list[bytes] = []
    taken = gone = said = last = 0
    for message in record.replay(0, merged=False):
        if isinstance(message, Chunk):
            if taken + len(message.data) <= limit:
                values.append(pack(message))
                taken += len(message.data) + 100
            else:
                limit = 0
            continue
        if isinstance(message, Reply):
            if limit == 0:
                values, message = [], without_values(message, "it was too large to be kept")
            tail.extend((said, data) for data in [*values, pack(message)])
            break
        said = message.number if isinstance(message, At) else said + isinstance(message, OUTPUTS)
        data = pack(message)
        taken += len(data)
        if taken <= limit // 2:
            head.append(data)
            continue
        tail.append((said, data))
        while tail and taken > limit:
            last, data = tail.popleft()
            gone += len(data)
            taken -= len(data)
    if gone:
        head.append(pack(Stream("stderr", f"\n… {size(gone)} of output left out …\n")))
        head.append(pack(At(last)))
    return Kept(record.cell, [*head, *(data for _, data in tail)])


def write(fd: int, data: bytes) -> None:
    """Write to the host's log, as far as it takes anything."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError as error:
        log.warning("the log takes nothing: %s", error)


def _put(address: str, data: bytes, within: float) -> None:
    """Leave bytes at an address of the user's."""
    import urllib.error
    import urllib.request

    if not address.startswith(("http://", "https://")):
        return
    kind = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(address, data, kind, method="PUT")  # noqa: S310 - checked above
    try:
        urllib.request.urlopen(request, timeout=within).close()  # noqa: S310
    except (OSError, ValueError) as error:
        # Never the address: it may carry a right to write there.
        log.warning("what is left cannot be stored: %s", type(error).__name__)
