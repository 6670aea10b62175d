"""
What a runner signs of a cell: what it was asked, what it has said, and what it signed before.

Nothing of it can be read from a digest: each has a salt of its own, made from a secret of the
cell's. Who is told the salt of one can check that one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from .beside import Beside
from .chunks import View
from .envelope import pack
from .loads import Chunk
from .messages import COMMS, AnyMessage, Execute, InputRequest, Octets, Reply, Stream
from .pieces import ID, PIECE, unpack

LONG = 1 << 20
"""Bytes of a value from which on it is hashed beside the line."""

MARK = "nosana-attested"
"""Begins the line of a runner's log that says what all it has signed ends in."""

_LINE = re.compile(
    MARK + r" ([0-9a-f]{64} [1-9A-HJ-NP-Za-km-z]{32,44} \d{1,9} [0-9a-f]{64} [0-9a-f]{128})(?!\w)"
)


def from_log(texts: Iterable[str]) -> str:
    """Return what follows the mark in a log: the last that does, as nothing is signed after it."""
    found = [match for text in texts if MARK in text for match in _LINE.findall(text)]
    return found[-1] if found else ""


def canonical(document: Any) -> bytes:
    """Return data without floating point as the one text that is signed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def salt_of(secret: bytes, label: str) -> bytes:
    """Return the salt of one digest of a cell."""
    return sha256(secret + label.encode()).digest()


def salted(salt: bytes, *parts: bytes) -> str:
    """Return the digest of parts."""
    lengths = b"".join(len(each).to_bytes(8, "big") for each in parts)
    return sha256(salt + lengths + b"".join(parts)).hexdigest()


def digests(buffer: View) -> Iterator[bytes]:
    """Yield the digests of the pieces of a buffer."""
    for begin in range(0, len(buffer), PIECE):
        yield sha256(buffer[begin : begin + PIECE]).digest()


def learn(known: dict[bytes, bytes], names: bytes, data: Octets) -> None:
    """
    Note the digests of pieces in a row.

    Args:
        known: Takes them.
        names: The ids of the pieces.
        data: What is in them.
    """
    view = memoryview(data)
    for number, digest in enumerate(digests(view)):
        known[names[number * ID : (number + 1) * ID]] = digest


def whole(pieces: Iterable[bytes]) -> bytes:
    """Return the digest of a buffer, from those of its pieces."""
    return sha256(b"".join(pieces)).digest()


def asked(message: Execute, buffers: Sequence[bytes]) -> dict[str, str]:
    """
    Return the digests of what a runner is asked.

    Args:
        message: The cell. Its `order` begins with the secret.
        buffers: Digests of its buffers.
    """
    secret = message.order[:32]
    rest = msgspec.structs.replace(message, code="", header=b"", order=b"", released=[])
    return {
        "code": salted(salt_of(secret, "code"), message.code.encode()),
        "inputs": salted(salt_of(secret, "inputs"), message.header, *buffers),
        "rest": salted(salt_of(secret, "rest"), pack(rest)),
    }


class Transcript:
    """
    What a cell has said, in order; text counts as one however it was cut. Widgets are left out.

    Args:
        secret: Of the cell.
    """

    def __init__(self, secret: bytes) -> None:
        self._said = sha256(salt_of(secret, "outputs"))
        self._values = sha256()
        self._beside = Beside()
        self._text = sha256()
        self._name = ""

    def add(self, message: AnyMessage) -> None:
        """Take what comes next."""
        if isinstance(message, Chunk):
            if self._beside or message.size >= LONG:
                self._beside.do(self._take, message)
            else:
                self._take(message)
        elif isinstance(message, Stream):
            if message.name != self._name:
                self._end_text()
                self._name = message.name
            self._text.update(message.text.encode())
        elif not isinstance(message, (*COMMS, InputRequest)):
            self._end_text()
            if isinstance(message, Reply):
                message = msgspec.structs.replace(message, said=b"", signature=b"")
            self._said.update(b"other " + sha256(pack(message)).digest())

    def digest(self) -> str:
        """Return what stands for all of it, its values included."""
        self._beside.wait()
        return sha256(self._said.digest() + self._values.digest()).hexdigest()

    def _take(self, chunk: Chunk) -> None:
        if not chunk.offset:
            self._values.update(chunk.size.to_bytes(8, "big"))
        self._values.update(unpack(chunk.data, chunk.packed))

    def _end_text(self) -> None:
        if self._name:
            self._said.update(self._name.encode() + self._text.digest())
            self._name, self._text = "", sha256()
