"""
Blocks and time, as the RPC tells them: every slot here has its block, and all are final.
"""

from __future__ import annotations

from typing import Any

from solders.pubkey import Pubkey

from .forms import BadRequest
from .landed import block_json
from .ledger import Ledger

SLOTS_PER_EPOCH = 432_000
MOST_BLOCKS = 500_000


class Blocks:
    """
    The RPC methods that ask for blocks and for the time.

    Args:
        ledger: What they read.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def do_getSlot(self, _config: Any = None) -> int:
        return self.ledger.slot()

    def do_getBlockHeight(self, _config: Any = None) -> int:
        return self.ledger.slot()

    def do_getBlockTime(self, slot: int) -> int | None:
        return self.ledger.block_time(slot)

    def do_getEpochInfo(self, _config: Any = None) -> Any:
        slot = self.ledger.slot()
        return {
            "absoluteSlot": slot,
            "blockHeight": slot,
            "epoch": slot // SLOTS_PER_EPOCH,
            "slotIndex": slot % SLOTS_PER_EPOCH,
            "slotsInEpoch": SLOTS_PER_EPOCH,
            "transactionCount": self.ledger.transaction_count(),
        }

    def do_getEpochSchedule(self) -> Any:
        return {
            "slotsPerEpoch": SLOTS_PER_EPOCH,
            "leaderScheduleSlotOffset": SLOTS_PER_EPOCH,
            "warmup": False,
            "firstNormalEpoch": 0,
            "firstNormalSlot": 0,
        }

    def do_getGenesisHash(self) -> str:
        return str(self.ledger.genesis_hash())

    def do_getFirstAvailableBlock(self) -> int:
        return 0

    def do_minimumLedgerSlot(self) -> int:
        return 0

    def do_getTransactionCount(self, _config: Any = None) -> int:
        return self.ledger.transaction_count()

    def do_getBlock(self, slot: int, config: Any = None) -> Any:
        config = {"encoding": config} if isinstance(config, str) else config or {}
        if not 0 <= slot <= self.ledger.slot():
            raise BadRequest(f"Block not available for slot {slot}", code=-32004)
        previous = max(slot - 1, 0)
        return {
            "blockHeight": slot,
            "blockTime": self.ledger.block_time(slot),
            "blockhash": str(self.ledger.blockhash(slot)),
            "parentSlot": previous,
            "previousBlockhash": str(self.ledger.blockhash(previous)),
            **block_json(self.ledger.block(slot), config),
        }

    def do_getBlocks(self, first: int, last: Any = None, _config: Any = None) -> list[int]:
        latest = self.ledger.slot()
        last = min(last, latest) if isinstance(last, int) else latest
        if last - first > MOST_BLOCKS:
            raise BadRequest(f"Slot range too large; max {MOST_BLOCKS}")
        return list(range(first, last + 1))

    def do_getBlocksWithLimit(self, first: int, limit: int, _config: Any = None) -> list[int]:
        if limit > MOST_BLOCKS:
            raise BadRequest(f"Limit too large; max {MOST_BLOCKS}")
        return list(range(first, min(first + limit, self.ledger.slot() + 1)))

    def do_getIdentity(self) -> Any:
        return {"identity": str(self._leader())}

    def do_getSlotLeader(self, _config: Any = None) -> str:
        return str(self._leader())

    def _leader(self) -> Pubkey:
        return self.ledger.authority.pubkey()
