"""
`GET /swap/v2/build`: the exchange, as Jupiter's is asked.
"""

from __future__ import annotations

import base64
from typing import Any

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from ..chain.addresses import TOKEN
from ..chain.instructions import compute_unit_price, create_ata
from . import pools, tokens
from .guard import Guarded
from .ledger import Ledger

MOST_SLIPPAGE = 10_000


class Build(Guarded):
    """`GET /swap/v2/build`: a quote, and the instructions that carry it out."""

    def initialize(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def get(self) -> None:
        """Answer, or say what is missing."""
        try:
            coin, target, owner = (
                Pubkey.from_string(self.get_query_argument(name))
                for name in ("inputMint", "outputMint", "taker")
            )
            amount = int(self.get_query_argument("amount"))
            slippage = int(self.get_query_argument("slippageBps", "50"))
        except ValueError:
            self.fail(400, "inputMint, outputMint, taker and amount are due")
        if coin not in pools.COINS or target != pools.NOS:
            self.fail(400, "No routes found")
        if not 0 < amount < 2**63 or not 0 <= slippage <= MOST_SLIPPAGE:
            self.fail(400, "amount or slippageBps is out of range")
        if not pools.promised(coin, amount)[0]:
            self.fail(400, "No routes found")
        self.finish(answer(owner, coin, amount, slippage))


def answer(owner: Pubkey, coin: Pubkey, amount: int, slippage: int) -> dict[str, Any]:
    """Return a quote, and the instructions that carry it out."""
    got, impact = pools.promised(coin, amount)
    wrapped = tokens.associated(owner, coin)
    setup = [create_ata(payer=owner, owner=owner, mint=pools.NOS)]
    cleanup = None
    if coin == pools.SOL:
        moved = TransferParams(from_pubkey=owner, to_pubkey=wrapped, lamports=amount)
        counted = Instruction(TOKEN, b"\x11", [AccountMeta(wrapped, False, True)])
        setup = [create_ata(payer=owner, owner=owner, mint=coin), transfer(moved), counted, *setup]
        metas = [
            AccountMeta(wrapped, False, True), AccountMeta(owner, False, True),
            AccountMeta(owner, True, False),
        ]  # fmt: skip
        cleanup = told(Instruction(TOKEN, b"\x09", metas))
    leg = {
        "ammKey": str(pools.KEEPER), "label": pools.LABEL, "inputMint": str(coin),
        "outputMint": str(pools.NOS), "inAmount": str(amount), "outAmount": str(got),
    }  # fmt: skip
    return {
        "inputMint": str(coin),
        "outputMint": str(pools.NOS),
        "inAmount": str(amount),
        "outAmount": str(got),
        "otherAmountThreshold": str(got * (10_000 - slippage) // 10_000),
        "swapMode": "ExactIn",
        "slippageBps": slippage,
        "priceImpactPct": f"{impact:f}"[:24],
        "routePlan": [{"swapInfo": leg, "percent": 100, "bps": 10_000}],
        "computeBudgetInstructions": [told(compute_unit_price(10_000))],
        "setupInstructions": [told(each) for each in setup],
        "swapInstruction": told(pools.route(owner, coin, amount, slippage)),
        "cleanupInstruction": cleanup,
        "otherInstructions": [],
        "tipInstruction": None,
        "addressesByLookupTableAddress": None,
    }


def told(instruction: Instruction) -> dict[str, Any]:
    """Return an instruction as the API tells it."""
    metas = [
        {"pubkey": str(each.pubkey), "isSigner": each.is_signer, "isWritable": each.is_writable}
        for each in instruction.accounts
    ]
    data = base64.b64encode(instruction.data).decode()
    return {"programId": str(instruction.program_id), "accounts": metas, "data": data}
