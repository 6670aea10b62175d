"""
Buffers in messages: what there is, what is missing of it, and the bytes themselves; and values that
come with them before their cell has ended.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .outputs import Message, Octets

CHUNK = 1 << 18
"""Most bytes of a buffer that one message carries: what stays in a processor's cache on its way."""


class Large(msgspec.Struct, frozen=True, array_like=True):
    """A buffer by its pieces: see `pieces`."""

    size: int
    ids: bytes
    """Those of its pieces, one after the other."""


class Have(Message, frozen=True):
    """The client asks which pieces of the next cell's buffers have yet to be sent."""

    buffers: list[Large]
    key: bytes
    """Under which their ids were made."""


class Missing(Message, frozen=True):
    """The runner says which pieces have yet to be sent."""

    pieces: bytes
    """A bit for each, in order, the lowest of a byte first."""


class Chunk(Message, frozen=True):
    """
    A part of a buffer, as both sides send it. Chunks come in order, buffer after buffer.

    After `Have` each is some pieces in a row, of those that were missing.
    """

    buffer: int
    size: int
    """Whole size of the buffer, in bytes."""

    offset: int
    data: Octets
    packed: Literal["", "zlib", "zstd"] = ""
    """How the data is compressed."""


class Value(msgspec.Struct, frozen=True, array_like=True):
    """A value as plain data: see `values`."""

    tree: msgspec.Raw
    """Encoded, so that it is known how long it is."""

    buffers: int = 0
    """How many are its own, after those of the values before it."""


class Early(Message, frozen=True):
    """Values of a cell that goes on. Their buffers have been sent before, as chunks."""

    values: dict[str, Value]
    unsent: dict[str, str]
    """Names whose values stay with the host, and why."""


class Handle(msgspec.Struct, frozen=True):
    """A name whose value stays with the host, and why."""

    type: str
    text: str
    """Its repr, cut short."""

    reason: str
