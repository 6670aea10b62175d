"""
Metaplex metadata of a token: as much as a market with an access key asks for.
"""

from __future__ import annotations

from dataclasses import dataclass

from solders.pubkey import Pubkey

_METADATA = 4
_FIXED = 1 + 32 + 32
_CREATOR = 32 + 1 + 1


class _Short(Exception):
    """The bytes end too early."""


@dataclass
class _Reader:
    data: bytes
    at: int = 0

    def take(self, size: int) -> bytes:
        piece = self.data[self.at : self.at + size]
        if len(piece) < size:
            raise _Short
        self.at += size
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")


def verified_collection(data: bytes) -> Pubkey | None:
    """Return the collection a token is a verified member of, or None."""
    if not data or data[0] != _METADATA:
        return None
    try:
        return _collection(_Reader(data))
    except _Short:
        return None


def _collection(reader: _Reader) -> Pubkey | None:
    reader.take(_FIXED)
    for _ in ("name", "symbol", "uri"):
        reader.take(reader.number(4))
    reader.take(2)  # seller fee
    if reader.number(1):
        reader.take(reader.number(4) * _CREATOR)
    reader.take(2)  # primary sale, mutable
    for _ in ("edition nonce", "token standard"):
        if reader.number(1):
            reader.take(1)
    if not reader.number(1):
        return None
    verified = reader.number(1)
    key = Pubkey.from_bytes(reader.take(32))
    return key if verified else None
