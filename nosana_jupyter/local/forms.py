"""
The forms in which the RPC takes and gives accounts, filters and transactions.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import base58
from solders.account import Account
from solders.transaction import VersionedTransaction

from ..errors import NosanaError
from . import tokens
from .outcome import Outcome


class BadRequest(NosanaError):
    """A request that cannot be answered, with its JSON-RPC code."""

    def __init__(self, message: str, *, code: int = -32602) -> None:
        super().__init__(message)
        self.code = code


def account_json(account: Account | None, config: Any) -> dict[str, Any] | None:
    """Return an account in the form the RPC gives it."""
    if account is None:
        return None
    config = config or {}
    encoding = config.get("encoding", "base58")
    data: Any
    token = tokens.read(account) if encoding == "jsonParsed" else None
    if token is not None:
        data = _parsed_token(account, token)
    else:
        raw = bytes(account.data)
        if cut := config.get("dataSlice"):
            raw = raw[cut["offset"] : cut["offset"] + cut["length"]]
        if encoding in ("base58", "binary"):
            if len(raw) > 128:
                raise BadRequest(
                    "Encoded binary (base 58) data should be less than 128 bytes, please use "
                    "Base64 encoding.",
                    code=-32600,
                )
            text = base58.b58encode(raw).decode()
            data = text if encoding == "binary" else [text, "base58"]
        else:
            data = [base64.b64encode(raw).decode(), "base64"]
    return {
        "data": data,
        "executable": account.executable,
        "lamports": account.lamports,
        "owner": str(account.owner),
        "rentEpoch": 18_446_744_073_709_551_615,
        "space": len(account.data),
    }


def filters(config: dict[str, Any]) -> list[int | tuple[int, bytes]]:
    """Read the filters of `getProgramAccounts` and `programSubscribe`."""
    found: list[int | tuple[int, bytes]] = []
    for entry in config.get("filters") or []:
        if "dataSize" in entry:
            found.append(int(entry["dataSize"]))
        elif "memcmp" in entry:
            rule = entry["memcmp"]
            if isinstance(rule["bytes"], list):
                data = bytes(rule["bytes"])
            elif rule.get("encoding") == "base64":
                data = base64.b64decode(rule["bytes"], validate=True)
            else:
                data = base58.b58decode(rule["bytes"])
            found.append((int(rule["offset"]), data))
        else:
            raise BadRequest(f"Invalid params: unknown filter {json.dumps(entry)[:80]}")
    return found


def _parsed_token(account: Account, token: tokens.TokenAccount) -> dict[str, Any]:
    return {
        "program": "spl-token",
        "space": len(account.data),
        "parsed": {
            "type": "account",
            "info": {
                "isNative": False,
                "mint": str(token.mint),
                "owner": str(token.owner),
                "state": "initialized",
                "tokenAmount": tokens.amount_json(token.amount, 6),
            },
        },
    }


def read_transaction(text: str, config: dict[str, Any]) -> VersionedTransaction:
    """Read a transaction as `sendTransaction` takes it."""
    if config.get("encoding") == "base64":
        raw = base64.b64decode(text, validate=True)
    else:
        raw = base58.b58decode(text)
    return VersionedTransaction.from_bytes(raw)


def transaction_json(outcome: Outcome, encoding: str) -> Any:
    """Return a transaction as `getTransaction` gives it."""
    if encoding == "base64":
        return [base64.b64encode(outcome.wire).decode(), "base64"]
    if encoding == "base58":
        return [base58.b58encode(outcome.wire).decode(), "base58"]
    if encoding not in ("json", "jsonParsed"):
        raise BadRequest(f"Invalid params: unknown encoding {encoding}")
    transaction = VersionedTransaction.from_bytes(outcome.wire)
    message = transaction.message
    header = message.header
    return {
        "signatures": [str(signature) for signature in transaction.signatures],
        "message": {
            "accountKeys": [str(each) for each in message.account_keys],
            "header": {
                "numRequiredSignatures": header.num_required_signatures,
                "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
                "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
            },
            "recentBlockhash": str(message.recent_blockhash),
            "instructions": [
                {
                    "programIdIndex": each.program_id_index,
                    "accounts": list(each.accounts),
                    "data": base58.b58encode(bytes(each.data)).decode(),
                    "stackHeight": None,
                }
                for each in message.instructions
            ],
            **({"addressTableLookups": []} if outcome.version == 0 else {}),
        },
    }


def status_json(outcome: Outcome) -> dict[str, Any]:
    """Return what `getSignatureStatuses` says of a transaction."""
    return {
        "slot": outcome.slot,
        "confirmations": None,
        "err": outcome.err,
        "status": {"Ok": None} if outcome.err is None else {"Err": outcome.err},
        "confirmationStatus": "finalized",
    }
