"""
One cell as its notebook orders it and hears it, to be held against what its runner signs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from ..errors import LocalProtocolError
from ..wire import attest
from ..wire.messages import AnyMessage, At, Execute, Reply

ALL, PART, OTHER = "all", "part", "other"


@dataclass(kw_only=True, slots=True)
class Witness:
    """What is ordered, and what is heard of it."""

    terms: Mapping[str, Any]
    """Of the job, and of what the cell is to get: what the order says beside its digests."""

    told: Callable[[Witness], None]
    """Called once the order is on its way, and again when the cell has ended."""

    spans: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)
    """Of each name that travels: where it begins and ends in the header, and in the buffers."""

    buffers: Sequence[bytes] = ()
    """Digests of what has been sent."""

    secret: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    manifest: dict[str, Any] = field(default_factory=dict)
    """The order."""

    code: str = ""
    """What the cell is."""

    said: bytes = b""
    signature: bytes = b""
    heard: str = ""
    """`all`: the runner signs what was heard here; `part`: more was said; `other`: it does not."""

    _transcript: attest.Transcript = field(init=False, repr=False)
    _whole: bool = True

    def __post_init__(self) -> None:
        self._transcript = attest.Transcript(self.secret)

    def order(self, message: Execute) -> Execute:
        """Return a cell with the order that its runner signs."""
        ordered = replace(message, order=self.secret)
        self.code = message.code
        inputs = {
            name: attest.salted(
                attest.salt_of(self.secret, f"input {name}"),
                message.header[begin:end], *self.buffers[first:last],
            )
            for name, (begin, end, first, last) in self.spans.items()
        }  # fmt: skip
        digests = attest.asked(ordered, self.buffers)
        self.manifest = {**self.terms, **digests, "cell": message.cell, "names": inputs}
        digest = sha256(attest.canonical(self.manifest)).digest()
        return replace(ordered, order=self.secret + digest)

    def anew(self) -> Witness:
        """Return one that hears the same cell from its beginning."""
        other = Witness(terms=self.terms, told=self.told, secret=self.secret)
        other.manifest, other.code = self.manifest, self.code
        return other

    def ordered(self) -> None:
        """Note that the order is on its way."""
        self.told(self)

    def take(self, message: AnyMessage) -> None:
        """Take what is heard."""
        if isinstance(message, At):
            # Something is left out, or text was put together.
            self._whole = False
            return
        try:
            self._transcript.add(message)
        except LocalProtocolError:
            self._whole = False  # It cannot be written down as it came.
        if isinstance(message, Reply):
            self.said, self.signature = message.said, message.signature
            self.heard = self._judged()
            self.told(self)

    def _judged(self) -> str:
        if read(self.said).get("outputs") == self._transcript.digest():
            return ALL
        return OTHER if self._whole else PART


def read(statement: bytes) -> dict[str, Any]:
    """Return what a runner has signed; nothing where that is nothing that can be read."""
    try:
        found = json.loads(statement)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
