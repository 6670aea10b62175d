"""
Sealed objects: AES-256-GCM over a stream of frames, for content that lies where everybody can read.

A head in plain, then frames of 1 MiB. The head names the object, so that its owner finds the key,
and holds a salt of whoever sealed it, so that one key never seals two contents alike. The number of
a frame, and whether it is the last, are its nonce: frames that are dropped, doubled, exchanged or
cut off do not open. The head goes into each frame's seal.

Goes to hosts as text: see `loading`.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

MAGIC = b"nosana sealed 1\n"
IDENT, SALT, CHECK = 16, 32, 16
HEAD = len(MAGIC) + IDENT + SALT + CHECK
FRAME = 1 << 20
"""Bytes of a frame, before it is sealed."""

TAG = 16
"""Bytes that sealing adds to a frame."""


class Unopened(ValueError):
    """What does not open: another's, altered, or no sealed object."""


def seal(pieces: Iterable[Any], key: bytes, ident: bytes) -> Iterator[bytes]:
    """
    Yield a sealed object.

    Args:
        pieces: The content, in bytes or memory.
        key: Of this object, 32 bytes.
        ident: Its name, 16 bytes.
    """
    salt = os.urandom(SALT)
    cipher, check = _ciphers(key, salt)
    head = MAGIC + ident + salt + check
    yield head
    number, rest = 0, bytearray()
    for piece in pieces:
        view = memoryview(piece).cast("B")
        for at in range(0, len(view), FRAME):
            rest += view[at : at + FRAME]
            if len(rest) > FRAME:
                yield cipher.encrypt(_nonce(number, last=False), bytes(rest[:FRAME]), head)
                number += 1
                del rest[:FRAME]
    yield cipher.encrypt(_nonce(number, last=True), bytes(rest), head)


def named(head: bytes) -> bytes:
    """
    Return the name of a sealed object; empty if it is none.

    Args:
        head: Its first bytes.
    """
    if len(head) < HEAD or not head.startswith(MAGIC):
        return b""
    return head[len(MAGIC) : len(MAGIC) + IDENT]


def opens(head: bytes, key: bytes) -> bool:
    """Say whether a key is that of an object."""
    _, check = _ciphers(key, head[len(MAGIC) + IDENT : HEAD - CHECK])
    return hmac.compare_digest(check, head[HEAD - CHECK : HEAD])


class Opening:
    """
    Reads a sealed object: nothing of a frame is given before it was found to be whole.

    Args:
        file: The object.
        key: Its key.

    Raises:
        Unopened: It is none, or has another key.
    """

    def __init__(self, file: BinaryIO, key: bytes) -> None:
        self._file = file
        self._head = file.read(HEAD)
        if not named(self._head):
            raise Unopened("it is no sealed object")
        if not opens(self._head, key):
            raise Unopened("it was sealed with another key")
        self._cipher, _ = _ciphers(key, self._head[len(MAGIC) + IDENT : HEAD - CHECK])
        self._number = 0
        self._next: bytes = file.read(FRAME + TAG)
        if not self._next:
            # What is empty has a frame as well.
            raise Unopened("all of its frames are gone")
        self._rest = b""

    def read(self, count: int) -> bytes:
        """
        Return so many bytes, or those that are left.

        Raises:
            Unopened: They were altered, or something is missing.
        """
        found = bytearray()
        while len(found) < count and (self._rest or self._next):
            if not self._rest:
                self._rest = self._frame()
            due = count - len(found)
            found += self._rest[:due]
            self._rest = self._rest[due:]
        return bytes(found)

    def _frame(self) -> bytes:
        from cryptography.exceptions import InvalidTag

        sealed, self._next = self._next, self._file.read(FRAME + TAG)
        nonce = _nonce(self._number, last=not self._next)
        try:
            data: bytes = self._cipher.decrypt(nonce, sealed, self._head)
        except (InvalidTag, ValueError):
            raise Unopened(
                f"frame {self._number} was altered, or what follows it is gone"
            ) from None
        self._number += 1
        return data


def _ciphers(key: bytes, salt: bytes) -> tuple[Any, bytes]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    made = HKDF(algorithm=SHA256(), length=32 + CHECK, salt=salt, info=b"nosana-jupyter|sealed")
    material = made.derive(key)
    return AESGCM(material[:32]), material[32:]


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "little") + bytes([last])
