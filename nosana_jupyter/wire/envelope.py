"""
Messages as bytes: in frames, in parts where they are long, and back.
"""

from __future__ import annotations

import msgspec

from ..errors import LocalProtocolError, RemoteProtocolError
from ..units import size
from .messages import CHUNK, AnyMessage, Chunk, Part

FRAME = CHUNK + (1 << 16)
"""Most bytes of a sealed frame."""

LARGEST = 1 << 29
"""Most bytes of one message, put together from its parts."""


class Frame(msgspec.Struct, array_like=True, frozen=True):
    """What one sealed frame holds."""

    sequence: int
    """Number of the message, from 1; 0 for messages that are not kept."""

    received: int
    """Highest number the sender has received: an acknowledgement."""

    message: AnyMessage


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Frame)
_whole = msgspec.msgpack.Decoder(AnyMessage)


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame."""
    return _encoder.encode(frame)


def pack(message: AnyMessage) -> bytes:
    """
    Return the bytes of a message, for `join` to read.

    Raises:
        LocalProtocolError: It cannot be encoded, or is too long even in parts.
    """
    name = type(message).__name__
    try:
        data = _encoder.encode(message)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise LocalProtocolError(f"a {name} cannot be encoded: {error}") from error
    if len(data) > LARGEST:
        raise LocalProtocolError(f"a {name} of {size(len(data))} is too long")
    return data


def parts(message: AnyMessage) -> list[AnyMessage]:
    """
    Return what goes on the line for a message: itself, or its parts where it is long.

    Raises:
        LocalProtocolError: It cannot be encoded, or is too long even in parts.
    """
    if isinstance(message, Chunk):
        if len(message.data) > CHUNK:
            raise LocalProtocolError(f"a chunk of {len(message.data)} bytes is too long")
        return [message]
    data = pack(message)
    if len(data) <= CHUNK:
        return [message]
    view = memoryview(data)
    starts = range(0, len(data), CHUNK)
    return [Part(view[start : start + CHUNK], start == starts[-1]) for start in starts]


def join(data: bytes | bytearray) -> AnyMessage:
    """
    Read a message that came in parts, or was kept.

    Raises:
        RemoteProtocolError: The bytes are not a message.
    """
    try:
        message: AnyMessage = _whole.decode(data)
        return message
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise RemoteProtocolError(f"unreadable message: {error}") from error


def decode(data: bytes) -> Frame:
    """
    Read a frame.

    Raises:
        RemoteProtocolError: The bytes are not a frame of this conversation.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise RemoteProtocolError(f"unreadable message: {error}") from error
