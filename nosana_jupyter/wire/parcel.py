"""
What a runner leaves behind when it ends and nobody has fetched it: cells, in the messages that an
attaching client would have heard.

It goes sealed to an address of the user's, and in marked lines into the log of its host, which
keeps that with the result of the job.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec

from ..errors import RemoteProtocolError

LARGEST = 256 << 20
"""Most bytes that are unpacked."""

MOST = 1 << 21
"""Most messages of all cells: else a few kilobytes could stand for gigabytes of small ones."""

MARK = "nosana-stored"

LINE = 3000
"""Bytes in one line of a log."""

_LINE = re.compile(MARK + r" (\d{1,6})/(\d{1,6}) ([A-Za-z0-9+/=]+)")


class Kept(msgspec.Struct, frozen=True):
    """What one cell has said."""

    cell: str
    messages: list[bytes]
    """In order, as `envelope.join` reads them; the last is the reply if it has come to that."""


class _Cell(msgspec.Struct, frozen=True):
    """The same, before it is known how many there are."""

    cell: str
    messages: msgspec.Raw


_Cells = Annotated[list[_Cell], msgspec.Meta(max_length=1000)]
_Messages = Annotated[list[bytes], msgspec.Meta(max_length=MOST)]


def wrap(cells: list[Kept]) -> bytes:
    """Return cells as bytes."""
    return zlib.compress(msgspec.msgpack.encode(cells), 1)


def unwrap(data: bytes) -> list[Kept]:
    """
    Return the cells.

    Raises:
        RemoteProtocolError: The bytes hold none.
    """
    try:
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(data, LARGEST)
        if unpacker.unconsumed_tail:
            raise RemoteProtocolError("what was stored is too large")
        found: list[Kept] = []
        for each in msgspec.msgpack.decode(plain, type=_Cells):
            messages = msgspec.msgpack.decode(each.messages, type=_Messages)
            found.append(Kept(each.cell, messages))
            if sum(len(kept.messages) for kept in found) > MOST:
                raise RemoteProtocolError("what was stored is of too many messages")
        return found
    except (zlib.error, msgspec.DecodeError, RecursionError, ValueError) as error:
        raise RemoteProtocolError(f"what was stored cannot be read: {error}") from error


def to_lines(sealed: bytes) -> Iterator[str]:
    """Return bytes as lines of a log."""
    count = -(-len(sealed) // LINE)
    for number in range(count):
        text = base64.b64encode(sealed[number * LINE : (number + 1) * LINE]).decode()
        yield f"{MARK} {number + 1}/{count} {text}\n"


def from_log(texts: Iterable[str]) -> bytes:
    """Return the bytes that the lines of a log hold, the last if several; nothing if some lack."""
    found: dict[int, str] = {}
    total = 0
    for match in _LINE.finditer("".join(texts)):
        if match[1] == "1":
            found.clear()
        total = int(match[2])
        found[int(match[1])] = match[3]
    if not total or len(found) != total:
        return b""
    try:
        return b"".join(base64.b64decode(found[number]) for number in range(1, total + 1))
    except (KeyError, ValueError):
        return b""
