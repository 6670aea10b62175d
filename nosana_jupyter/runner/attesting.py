"""
What this runner signs: of each cell what it was asked and has said, each statement after the last.

The key is made for this job, and its host can read it: what is signed shows that the host of the
job has said this, and not that it is so.
"""

from __future__ import annotations

import platform
import sys
import time
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from ..errors import LocalProtocolError
from ..wire.attest import MARK, Transcript, asked, canonical
from ..wire.messages import AnyMessage, Execute, Reply
from ..wire.seal import Key

FRESH = 1.0
"""Seconds for which what is installed is not looked at again."""


class Attestor:
    """
    Signs for one job.

    Args:
        key: This runner's, from which the one that signs is made.
        job: Address of the job.
    """

    def __init__(self, key: Key, job: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(key.derive(b"attest"))
        self._public = self._key.public_key().public_bytes_raw().hex()
        self._job = job
        self._count = 0
        self._last = sha256(job.encode()).hexdigest()
        self._path: list[str] = []
        self._places: list[Path] = []
        self._looked = 0.0
        self._packages: tuple[object, str] = None, ""

    def begin(self, cell: Execute, buffers: list[bytes]) -> Deposition:
        """Note what is asked."""
        return Deposition(self, cell, asked(cell, buffers))

    def sign(self, said: dict[str, object]) -> tuple[bytes, bytes]:
        """Return a statement and its signature, for the next place in the row."""
        self._count += 1
        text = canonical({
            **said, "version": 1, "job": self._job, "number": self._count, "before": self._last,
            "key": self._public, "python": platform.python_version(),
            "packages": self._installed(), "ended": int(time.time() * 1000),
        })  # fmt: skip
        self._last = sha256(text).hexdigest()
        return text, self._key.sign(text)

    def line(self) -> str:
        """Return what all of it ends in, for the log; nothing if nothing was signed."""
        if not self._count:
            return ""
        end = f"{self._job} {self._count} {self._last}"
        return f"{MARK} {self._public} {end} {self._key.sign(end.encode()).hex()}\n"

    def _installed(self) -> str:
        """Return the digest of the names and versions of what is installed, as folders have it."""
        if time.monotonic() < self._looked + FRESH and self._path == sys.path:
            return self._packages[1]
        self._looked = time.monotonic()
        if self._path != sys.path:
            self._path = list(sys.path)
            self._places = [each for each in map(Path, sys.path) if each.is_dir()]
        state = [each.stat().st_mtime_ns for each in self._places if each.exists()]
        if self._packages[0] != (self._places, state):
            found = {file.name for each in self._places for file in each.glob("*.*-info")}
            digest = sha256("\n".join(sorted(found)).encode()).hexdigest()
            self._packages = (self._places, state), digest
        return self._packages[1]


class Deposition:
    """What is to be signed of one cell."""

    def __init__(self, attestor: Attestor, cell: Execute, digests: dict[str, str]) -> None:
        self._attestor = attestor
        self._said = {**digests, "order": cell.order[32:].hex(), "cell": cell.cell}
        self._transcript = Transcript(cell.order[:32])

    def add(self, message: AnyMessage) -> None:
        """Take what the cell says."""
        self._transcript.add(message)

    def signed(self, reply: Reply) -> Reply:
        """Return the reply with what is signed of it, and of all before it."""
        try:
            self._transcript.add(reply)
        except LocalProtocolError:
            return reply  # It cannot be sent either.
        said, signature = self._attestor.sign({
            **self._said, "outputs": self._transcript.digest(), "status": reply.status,
            "milliseconds": int(reply.seconds * 1000),
        })  # fmt: skip
        return replace(reply, said=said, signature=signature)
