"""
Time on the ledger: slots, and the blockhash of each.

Blockhashes follow from the ledger's seed and the slot. A restart therefore loses none, and a
transaction signed before it may still land after it.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from solders.hash import Hash

from .store import LedgerBroken, Store

SLOT_SECONDS = 0.4
BLOCKHASH_SLOTS = 150


@dataclass(kw_only=True)
class Slots:
    """The time of a ledger. It never goes back, whatever the clock does."""

    store: Store
    clock: Callable[[], float]
    """Unix time, in seconds."""

    seed: bytes = field(init=False, repr=False)
    _began: float = field(init=False)
    _latest: float = field(init=False)
    _warped: float = field(init=False)
    _hashes: dict[int, Hash] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.store.fact("seed") is None:
            facts = {"seed": os.urandom(32), "began": _pack(self.clock())}
            self.store.write(accounts={}, facts=facts)
        seed, began = self.store.fact("seed"), self.store.fact("began")
        if seed is None or began is None:
            raise LedgerBroken("the ledger's file lacks its beginning")
        self.seed = seed
        self._began = _unpack(began)
        self._latest = _unpack(self.store.fact("latest") or began)
        self._warped = _unpack(self.store.fact("warped") or _pack(0))

    def now(self) -> float:
        """Unix time of the ledger, in seconds."""
        self._latest = max(self._latest, self.clock() + self._warped)
        return self._latest

    def warp(self, seconds: float) -> None:
        """Move time forward. Blockhashes age with it."""
        self._warped += max(seconds, 0)
        self.now()
        self.store.write(accounts={}, facts={"warped": _pack(self._warped)} | self.facts())

    def facts(self) -> dict[str, bytes]:
        """Return what has to be kept with each transaction, so that time goes on after it."""
        return {"latest": _pack(self._latest)}

    def current(self) -> int:
        """The current slot, which is the block height as well."""
        return 1 + int((self.now() - self._began) / SLOT_SECONDS)

    def time(self, slot: int) -> int | None:
        """Unix time of a slot, or None for one that has not come yet."""
        if not 0 <= slot <= self.current():
            return None
        return int(self._began + (slot - 1) * SLOT_SECONDS)

    def blockhash(self, slot: int) -> Hash:
        """Return the blockhash of a slot."""
        known = self._hashes.get(slot)
        if known is None:
            known = Hash(hashlib.sha256(self.seed + struct.pack("<q", slot)).digest())
            if len(self._hashes) > 4 * BLOCKHASH_SLOTS:
                self._hashes.clear()
            self._hashes[slot] = known
        return known

    def valid(self, blockhash: Hash) -> bool:
        """Say whether a transaction with this blockhash may land now."""
        slot = self.current()
        return any(
            self.blockhash(each) == blockhash
            for each in range(slot, max(slot - BLOCKHASH_SLOTS, 0) - 1, -1)
        )


def _pack(seconds: float) -> bytes:
    return struct.pack("<d", seconds)


def _unpack(data: bytes) -> float:
    return float(struct.unpack("<d", data)[0])
