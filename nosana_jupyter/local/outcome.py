"""
What became of a transaction, in the words of the Solana RPC.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import base58
from solders.account import Account
from solders.hash import Hash
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from . import tokens
from .attempt import Attempt
from .message import MEMO, AnyMessage, LoadedMessage
from .runtime import Bank, Execution


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
    loaded: dict[str, list[str]] = field(default_factory=lambda: {"writable": [], "readonly": []})
    """Accounts that came from lookup tables."""

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
            "loadedAddresses": self.loaded,
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


def record(
    tx: VersionedTransaction, message: AnyMessage, done: Attempt, *, slot: int, bank: Bank
) -> Outcome:
    """Write down what became of a transaction that has been run."""
    execution = done.execution
    tokens_before, tokens_after = [_tokens(accounts) for accounts in (done.pre, done.post)]
    held = {token.mint for _, token in [*tokens_before, *tokens_after]}
    mints = {key: tokens.read_mint(bank.get(key)) for key in held}
    decimals = {key: mint.decimals if mint else 0 for key, mint in mints.items()}
    return Outcome(
        signature=str(tx.signatures[0]),
        slot=slot,
        time=execution.now,
        err=done.err,
        fee=done.fee,
        units=execution.used,
        logs=execution.logs,
        inner=inner_json(execution),
        pre_balances=_balances(done.pre),
        post_balances=_balances(done.post),
        pre_tokens=_token_balances(tokens_before, decimals=decimals),
        post_tokens=_token_balances(tokens_after, decimals=decimals),
        wire=bytes(tx),
        version="legacy" if isinstance(message, Message) else 0,
        returned=returned_json(execution),
        memo=_memo(message),
        loaded={
            "writable": [str(key) for key in message.writable],
            "readonly": [str(key) for key in message.readonly],
        }
        if isinstance(message, LoadedMessage)
        else {"writable": [], "readonly": []},
    )


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


def _balances(accounts: Sequence[Account | None]) -> list[int]:
    return [account.lamports if account else 0 for account in accounts]


def _tokens(accounts: Sequence[Account | None]) -> list[tuple[int, tokens.TokenAccount]]:
    """Return the token accounts among accounts, with their places."""
    read = ((index, tokens.read(account)) for index, account in enumerate(accounts))
    return [(index, token) for index, token in read if token is not None]


def _token_balances(
    held: list[tuple[int, tokens.TokenAccount]], *, decimals: dict[Pubkey, int]
) -> list[dict[str, Any]]:
    return [
        {
            "accountIndex": index,
            "mint": str(token.mint),
            "owner": str(token.owner),
            "programId": str(tokens.TOKEN),
            "uiTokenAmount": tokens.amount_json(token.amount, decimals[token.mint]),
        }
        for index, token in held
    ]


def _memo(message: AnyMessage) -> str | None:
    """Return what `getSignaturesForAddress` shows of a memo."""
    keys = message.account_keys
    texts = [
        bytes(instruction.data)
        for instruction in message.instructions
        if keys[instruction.program_id_index] in MEMO
    ]
    return "; ".join(f"[{len(t)}] {t.decode(errors='replace')}" for t in texts) or None
