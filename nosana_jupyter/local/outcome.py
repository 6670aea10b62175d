"""
What became of a transaction, in the words of the Solana RPC.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import base58
from solders.account import Account
from solders.hash import Hash
from solders.pubkey import Pubkey

from . import tokens
from .message import MEMO, AnyMessage
from .runtime import Execution


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of one transaction. Lists and dicts are in the form the RPC gives them."""

    signature: str
    slot: int

    time: int
    """Unix time, in seconds."""

    err: Any
    """None, or the error."""

    fee: int
    """What the payer paid for signatures and priority, in lamports."""

    units: int
    """Compute units consumed."""

    logs: list[str]
    inner: list[dict[str, Any]]
    """Instructions made by programs, by index of the outer one."""

    pre_balances: list[int]
    post_balances: list[int]
    """Balances of the transaction's accounts, in its order, in lamports."""

    pre_tokens: list[dict[str, Any]]
    post_tokens: list[dict[str, Any]]

    wire: bytes
    """The whole transaction."""

    version: str | int = "legacy"
    returned: dict[str, Any] | None = None
    memo: str | None = None

    def meta(self) -> dict[str, Any]:
        """Return `meta` of `getTransaction`."""
        meta: dict[str, Any] = {
            "err": self.err,
            "status": {"Ok": None} if self.err is None else {"Err": self.err},
            "fee": self.fee,
            "preBalances": self.pre_balances,
            "postBalances": self.post_balances,
            "preTokenBalances": self.pre_tokens,
            "postTokenBalances": self.post_tokens,
            "innerInstructions": self.inner,
            "logMessages": self.logs,
            "rewards": [],
            "loadedAddresses": {"writable": [], "readonly": []},
            "computeUnitsConsumed": self.units,
        }
        if self.returned is not None:
            meta["returnData"] = self.returned
        return meta


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulation:
    """What a transaction would have done."""

    slot: int
    err: Any
    logs: list[str]
    units: int
    """Compute units consumed."""

    fee: int
    """In lamports."""

    inner: list[dict[str, Any]]
    accounts: list[Account | None]
    """The accounts asked for, as they would be afterwards."""

    returned: dict[str, Any] | None = None
    replacement: tuple[Hash, int] | None = None
    """Blockhash used in place of the transaction's own, with its last valid height."""


def inner_json(execution: Execution) -> list[dict[str, Any]]:
    """Return `innerInstructions`."""
    place = {key: index for index, key in enumerate(execution.keys)}
    return [
        {
            "index": index,
            "instructions": [
                {
                    "programIdIndex": place[call.program],
                    "accounts": [place[meta.key] for meta in call.metas],
                    "data": base58.b58encode(call.data).decode(),
                    "stackHeight": height,
                }
                for call, height in made
            ],
        }
        for index, made in sorted(execution.inner.items())
    ]


def returned_json(execution: Execution) -> dict[str, Any] | None:
    """Return `returnData`."""
    if execution.returned is None:
        return None
    program, data = execution.returned
    return {"programId": str(program), "data": [base64.b64encode(data).decode(), "base64"]}


def balances(accounts: Sequence[Account | None]) -> list[int]:
    """Return `preBalances` or `postBalances`."""
    return [account.lamports if account else 0 for account in accounts]


def token_balances(
    accounts: Sequence[Account | None], *, decimals: dict[Pubkey, int]
) -> list[dict[str, Any]]:
    """Return `preTokenBalances` or `postTokenBalances`."""
    rows = []
    for index, account in enumerate(accounts):
        token = tokens.read(account)
        if token is not None:
            rows.append(
                {
                    "accountIndex": index,
                    "mint": str(token.mint),
                    "owner": str(token.owner),
                    "programId": str(tokens.TOKEN),
                    "uiTokenAmount": tokens.amount_json(token.amount, decimals.get(token.mint, 0)),
                }
            )
    return rows


def memo(message: AnyMessage) -> str | None:
    """Return what `getSignaturesForAddress` shows of a memo."""
    keys = message.account_keys
    texts = [
        bytes(instruction.data)
        for instruction in message.instructions
        if keys[instruction.program_id_index] in MEMO
    ]
    return "; ".join(f"[{len(t)}] {t.decode(errors='replace')}" for t in texts) or None
