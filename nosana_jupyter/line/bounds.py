"""
How much memory a host's message may take, told before it is read.

A byte can stand for an empty list, which takes eighty. So what is in a long message is counted
first, and what is more than any runner of ours sends is never made.
"""

from __future__ import annotations

import re

from ..errors import RemoteProtocolError
from ..wire import envelope
from ..wire.messages import AnyMessage

Data = bytes | bytearray | memoryview

SHORT = 1 << 20
"""Bytes of a message that may hold whatever it holds."""

MOST = 2_000_000
"""Most lists, texts, numbers and so on of one message."""

MOST_VALUES = 40_000_000
"""The same of one that brings values: a runner sends no value of more than a quarter of these."""

_BRINGS = re.compile(rb"[\x81-\x8f\xde].{0,2}\xa4type\xa5(?:Reply|Early)", re.DOTALL)

# Of a token: a byte for itself; a float; else how long it is, or how its length is written.
_ALONE = re.compile(rb"[\x00-\xa0\xc0-\xc3\xe0-\xff]+")
_FLOATS = re.compile(rb"(?:\xcb.{8})++", re.DOTALL)
_FIXED = {
    0xCA: 5, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9,
    0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18, 0xDC: 3, 0xDD: 5, 0xDE: 3, 0xDF: 5,
    **{0xA0 + length: 1 + length for length in range(1, 32)},
}  # fmt: skip
_LENGTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXTENSIONS = (0xC7, 0xC8, 0xC9)


def join(data: bytes | bytearray) -> AnyMessage:
    """
    Read a message that came in parts, or was kept.

    Raises:
        RemoteProtocolError: It is none, or holds more than a runner sends.
    """
    if len(data) > SHORT:
        check(data, most=MOST_VALUES if _BRINGS.match(data) else MOST)
    return envelope.join(data)


def check(data: Data, *, most: int) -> None:
    """
    Count what is in MessagePack.

    Raises:
        RemoteProtocolError: It is more.
    """
    if len(data) > most and items(data, most=most) > most:
        raise RemoteProtocolError(f"a message holds more than {most:,} items")


def items(data: Data, *, most: int) -> int:
    """Return how many lists, texts, numbers and so on there are, or a number above the most."""
    at = count = 0
    while at < len(data) and count <= most:
        kind = data[at]
        if kind in _FIXED:
            at += _FIXED[kind]
            count += 1
        elif kind in _LENGTHS:
            size = _LENGTHS[kind]
            length = int.from_bytes(data[at + 1 : at + 1 + size], "big")
            at += 1 + size + length + (kind in _EXTENSIONS)
            count += 1
        elif found := (_FLOATS if kind == 0xCB else _ALONE).match(data, at):
            count += (found.end() - at) // (9 if kind == 0xCB else 1)
            at = found.end()
        else:  # A float that is cut: reading it fails.
            return count
    return count
