"""
The forms in which the RPC gives transactions that have landed, and blocks of them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import base58
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from .forms import BadRequest
from .message import AnyMessage, LoadedMessage, writable
from .outcome import Outcome

DETAILS = ("full", "accounts", "signatures", "none")


def landed_json(outcome: Outcome, config: dict[str, Any]) -> dict[str, Any]:
    """
    Return a transaction as `getTransaction` and `getBlock` give it, with what became of it.

    Raises:
        BadRequest: There is no such form, or the client does not know its version.
    """
    if outcome.version == 0 and "maxSupportedTransactionVersion" not in config:
        raise BadRequest(
            "Transaction version (0) is not supported by the requesting client. Please try "
            "the request again with the following configuration parameter: "
            '"maxSupportedTransactionVersion": 0',
            code=-32015,
        )
    encoding = config.get("encoding", "json")
    found = {
        "meta": meta_json(outcome, encoding),
        "transaction": transaction_json(outcome, encoding),
    }
    if "maxSupportedTransactionVersion" in config:
        found["version"] = outcome.version
    return found


def block_json(outcomes: Sequence[Outcome], config: dict[str, Any]) -> dict[str, Any]:
    """
    Return what `getBlock` tells of the transactions of a block.

    Raises:
        BadRequest: There is no such form.
    """
    details = config.get("transactionDetails", "full")
    if details not in DETAILS:
        raise BadRequest(f"Invalid params: unknown variant `{details}`.")
    told: dict[str, Any] = {}
    if details == "signatures":
        told["signatures"] = [outcome.signature for outcome in outcomes]
    elif details != "none":
        rows = [landed_json(outcome, config) for outcome in outcomes]
        if details == "accounts":
            for outcome, row in zip(outcomes, rows, strict=True):
                shown = transaction_json(outcome, "jsonParsed")
                keys = shown["message"]["accountKeys"]
                row["transaction"] = {"signatures": shown["signatures"], "accountKeys": keys}
        told["transactions"] = rows
    if config.get("rewards", True):
        told["rewards"] = []
    return told


def transaction_json(outcome: Outcome, encoding: str) -> Any:
    """
    Return a transaction as `getTransaction` gives it.

    Raises:
        BadRequest: There is no such form.
    """
    if encoding == "base64":
        return [base64.b64encode(outcome.wire).decode(), "base64"]
    if encoding == "base58":
        return [base58.b58encode(outcome.wire).decode(), "base58"]
    if encoding == "binary":
        return base58.b58encode(outcome.wire).decode()
    if encoding not in ("json", "jsonParsed"):
        raise BadRequest(f"Invalid params: unknown variant `{encoding}`.")
    transaction = VersionedTransaction.from_bytes(outcome.wire)
    message = transaction.message
    assert isinstance(message, Message | MessageV0)  # No other has landed.
    header, keys = message.header, mentioned(outcome)
    instructions = [
        {
            "programIdIndex": each.program_id_index,
            "accounts": list(each.accounts),
            "data": base58.b58encode(bytes(each.data)).decode(),
            "stackHeight": None,
        }
        for each in message.instructions
    ]
    shown: dict[str, Any] = {"recentBlockhash": str(message.recent_blockhash)}
    if encoding == "jsonParsed":
        shown["accountKeys"] = _keys_json(outcome, message)
        shown["instructions"] = [_spelled(each, keys) for each in instructions]
    else:
        shown["accountKeys"] = [str(key) for key in message.account_keys]
        shown["header"] = {
            "numRequiredSignatures": header.num_required_signatures,
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
        }
        shown["instructions"] = instructions
    if isinstance(message, MessageV0):
        shown["addressTableLookups"] = [
            {
                "accountKey": str(each.account_key),
                "writableIndexes": list(each.writable_indexes),
                "readonlyIndexes": list(each.readonly_indexes),
            }
            for each in message.address_table_lookups
        ]
    return {"signatures": [str(each) for each in transaction.signatures], "message": shown}


def meta_json(outcome: Outcome, encoding: str) -> dict[str, Any]:
    """Return `meta` of `getTransaction`."""
    meta = outcome.meta()
    if encoding == "jsonParsed":
        keys = mentioned(outcome)
        meta["innerInstructions"] = [
            {**group, "instructions": [_spelled(each, keys) for each in group["instructions"]]}
            for group in outcome.inner
        ]
        del meta["loadedAddresses"]
    return meta


def mentioned(outcome: Outcome) -> list[Pubkey]:
    """Return all accounts that a transaction names, also those from tables."""
    named = VersionedTransaction.from_bytes(outcome.wire).message.account_keys
    return [*named, *_looked_up(outcome, "writable"), *_looked_up(outcome, "readonly")]


def _looked_up(outcome: Outcome, kind: str) -> tuple[Pubkey, ...]:
    return tuple(Pubkey.from_string(key) for key in outcome.loaded[kind])


def _keys_json(outcome: Outcome, message: Message | MessageV0) -> list[dict[str, Any]]:
    """Return the accounts of a transaction with their privileges."""
    whole: AnyMessage = message
    if isinstance(message, MessageV0):
        whole = LoadedMessage(
            message,
            writable=_looked_up(outcome, "writable"),
            readonly=_looked_up(outcome, "readonly"),
        )
    return [
        {
            "pubkey": str(key),
            "signer": place < message.header.num_required_signatures,
            "source": "transaction" if place < len(message.account_keys) else "lookupTable",
            "writable": may,
        }
        for place, (key, may) in enumerate(zip(whole.account_keys, writable(whole), strict=True))
    ]


def _spelled(instruction: dict[str, Any], keys: list[Pubkey]) -> dict[str, Any]:
    """Return an instruction with addresses in place of indices, as `jsonParsed` has those of
    programs it cannot parse."""
    return {
        "programId": str(keys[instruction["programIdIndex"]]),
        "accounts": [str(keys[place]) for place in instruction["accounts"]],
        "data": instruction["data"],
        "stackHeight": instruction["stackHeight"],
    }
