"""
Solana JSON-RPC over the ledger: the methods, one function each.

Requests come as clients send them, with explicit nulls and all; answers have the shapes of a real
node. `services.py` owns the socket.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from solders.account import Account
from solders.hash import Hash, ParseHashError
from solders.message import Message, MessageV0, from_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature

from . import tokens
from .admission import Refused, minimum_balance
from .blocks import Blocks
from .forms import BadRequest, account_json, filters, read_transaction, status_json
from .landed import landed_json

VERSION = "2.2.0"
MOST_ACCOUNTS = 100
MOST_SIGNATURES = 256
MOST_HOLDERS = 20
LARGEST_ACCOUNT = 10 << 20


class Methods(Blocks):
    """
    The RPC methods of one ledger.

    Args:
        ledger: What they read and write.
    """

    def reply(self, asked: Any) -> Any:
        """Answer a request, or a list of them."""
        if isinstance(asked, list) and asked:
            return [self.answer(each) for each in asked]
        return self.answer(asked)

    def answer(self, request: Any) -> dict[str, Any]:
        """Answer one request; failures are answers too."""
        ident = request.get("id") if isinstance(request, dict) else None
        head = {"jsonrpc": "2.0", "id": ident}
        try:
            return {**head, "result": self._call(request)}
        except BadRequest as error:
            return {**head, "error": {"code": error.code, "message": str(error)}}
        except Refused as error:
            return {**head, "error": _refusal(error)}
        except (
            ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError,
            RecursionError,
        ) as error:  # fmt: skip
            # What solders and our readers raise on values of the wrong form.
            return {**head, "error": {"code": -32602, "message": f"Invalid params: {error}"}}

    def _call(self, request: Any) -> Any:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            raise BadRequest("Invalid request", code=-32600)
        function: Callable[..., Any] | None = getattr(self, "do_" + request["method"], None)
        if function is None:
            raise BadRequest("Method not found", code=-32601)
        params = request.get("params") or []
        if not isinstance(params, list):
            raise BadRequest("Invalid params: a list is due")
        return function(*[_without_nulls(param) for param in params])

    # Accounts

    def do_getAccountInfo(self, address: str, config: Any = None) -> Any:
        found = self.ledger.get_account(_key(address))
        return self._context(self._form(found, config))

    def do_getMultipleAccounts(self, addresses: list[str], config: Any = None) -> Any:
        if len(addresses) > MOST_ACCOUNTS:
            raise BadRequest(f"Too many inputs provided; max {MOST_ACCOUNTS}")
        found = [self.ledger.get_account(_key(address)) for address in addresses]
        # Not `binary`, which is what the other methods take it for.
        config = {"encoding": "base64"} | (config or {})
        return self._context([self._form(account, config) for account in found])

    def do_getProgramAccounts(self, program: str, config: Any = None) -> Any:
        config = config or {}
        found = self.ledger.get_program_accounts(_key(program), filters(config))
        rows = [
            {"pubkey": str(address), "account": self._form(account, config)}
            for address, account in found
        ]
        return self._context(rows) if config.get("withContext") else rows

    def do_getBalance(self, address: str, _config: Any = None) -> Any:
        account = self.ledger.get_account(_key(address))
        return self._context(account.lamports if account else 0)

    def do_getTokenAccountBalance(self, address: str, _config: Any = None) -> Any:
        balance = self.ledger.token_balance(_key(address))
        if balance is None:
            raise BadRequest("Invalid param: could not find account")
        return self._context(tokens.amount_json(*balance))

    def do_getTokenAccountsByOwner(
        self, owner: str, which: dict[str, str], config: Any = None
    ) -> Any:
        if ("mint" in which) == ("programId" in which):
            raise BadRequest("Invalid params: a mint or a programId is due, and not both")
        mint = _key(which["mint"]) if "mint" in which else None
        if mint is not None and self.ledger.token_supply(mint) is None:
            raise BadRequest("Invalid param: could not find mint")
        if mint is None and _key(which["programId"]) != tokens.TOKEN:
            raise BadRequest("Invalid param: unrecognized Token program id")
        rows = [
            {"pubkey": str(address), "account": self._form(account, config)}
            for address, account in self.ledger.token_accounts(_key(owner), mint=mint)
        ]
        return self._context(rows)

    def do_getTokenLargestAccounts(self, mint: str, _config: Any = None) -> Any:
        supply = self.ledger.token_supply(_key(mint))
        if supply is None:
            raise BadRequest("Invalid param: could not find mint")
        held = [
            (balance[0], str(address))
            for address, _ in self.ledger.holders(_key(mint))
            if (balance := self.ledger.token_balance(address)) is not None
        ]
        rows = [
            {"address": address, **tokens.amount_json(amount, supply[1])}
            for amount, address in sorted(held, reverse=True)[:MOST_HOLDERS]
        ]
        return self._context(rows)

    def do_getTokenSupply(self, mint: str, _config: Any = None) -> Any:
        supply = self.ledger.token_supply(_key(mint))
        if supply is None:
            raise BadRequest("Invalid param: could not find mint")
        return self._context(tokens.amount_json(*supply))

    def do_getMinimumBalanceForRentExemption(self, size: int, _config: Any = None) -> int:
        if not 0 <= size <= LARGEST_ACCOUNT:
            raise BadRequest("Invalid params: no account has that size")
        return minimum_balance(size)

    # The node itself

    def do_getLatestBlockhash(self, _config: Any = None) -> Any:
        blockhash, height = self.ledger.latest_blockhash()
        return self._context({"blockhash": str(blockhash), "lastValidBlockHeight": height})

    def do_isBlockhashValid(self, blockhash: str, _config: Any = None) -> Any:
        return self._context(self.ledger.is_blockhash_valid(_hash(blockhash)))

    def do_getHealth(self) -> str:
        return "ok"

    def do_getVersion(self) -> Any:
        return {"solana-core": VERSION, "feature-set": 0}

    def do_getRecentPrioritizationFees(self, _addresses: Any = None) -> Any:
        return [{"slot": self.ledger.slot(), "prioritizationFee": 0}]

    def do_getFeeForMessage(self, message: str, _config: Any = None) -> Any:
        parsed = from_bytes_versioned(base64.b64decode(message, validate=True))
        if not isinstance(parsed, Message | MessageV0):
            raise BadRequest("Invalid params: a message of this version is not supported")
        # What no transaction may carry any more has no price.
        known = self.ledger.is_blockhash_valid(parsed.recent_blockhash)
        return self._context(self.ledger.fee(parsed) if known else None)

    # Transactions

    def do_sendTransaction(self, text: str, config: Any = None) -> str:
        config = config or {}
        transaction = read_transaction(text, config)
        skip = bool(config.get("skipPreflight"))
        return self.ledger.send(transaction, skip_preflight=skip).signature

    def do_simulateTransaction(self, text: str, config: Any = None) -> Any:
        config = config or {}
        wanted = {"encoding": "base64"} | (config.get("accounts") or {})
        if wanted["encoding"] in ("binary", "base58"):
            raise BadRequest("base58 encoding not supported")
        verify, replace = bool(config.get("sigVerify")), bool(config.get("replaceRecentBlockhash"))
        if verify and replace:
            raise BadRequest("sigVerify may not be used with replaceRecentBlockhash")
        done = self.ledger.simulate(
            read_transaction(text, config),
            sig_verify=verify,
            replace_blockhash=replace,
            accounts=[_key(address) for address in wanted.get("addresses", [])],
        )
        value: dict[str, Any] = {
            "err": done.err,
            "logs": done.logs,
            "unitsConsumed": done.units,
            "fee": done.fee,
            "accounts": [self._form(each, wanted) for each in done.accounts] or None,
            "returnData": done.returned,
            "innerInstructions": done.inner if config.get("innerInstructions") else None,
            "replacementBlockhash": None,
        }
        if done.replacement:
            blockhash, height = done.replacement
            value["replacementBlockhash"] = {
                "blockhash": str(blockhash),
                "lastValidBlockHeight": height,
            }
        return self._context(value)

    def do_getSignatureStatuses(self, signatures: list[str], _config: Any = None) -> Any:
        if len(signatures) > MOST_SIGNATURES:
            raise BadRequest(f"Too many inputs provided; max {MOST_SIGNATURES}")
        found = [self.ledger.outcome(Signature.from_string(text)) for text in signatures]
        return self._context([status_json(outcome) if outcome else None for outcome in found])

    def do_getSignaturesForAddress(self, address: str, config: Any = None) -> Any:
        config = config or {}
        marks = {
            name: Signature.from_string(config[name])
            for name in ("before", "until")
            if name in config
        }
        limit = int(config.get("limit", 1000))
        if not 1 <= limit <= 1000:
            raise BadRequest("Invalid limit; max 1000")
        return [
            {
                "signature": outcome.signature,
                "slot": outcome.slot,
                "err": outcome.err,
                "memo": outcome.memo,
                "blockTime": outcome.time,
                "confirmationStatus": "finalized",
            }
            for outcome in self.ledger.outcomes(_key(address), limit=limit, **marks)
        ]

    def do_getTransaction(self, text: str, config: Any = None) -> Any:
        config = {"encoding": config} if isinstance(config, str) else config or {}
        outcome = self.ledger.outcome(Signature.from_string(text))
        if outcome is None:
            return None
        return {
            "slot": outcome.slot,
            "blockTime": outcome.time,
            **landed_json(outcome, config),
        }

    def do_requestAirdrop(self, address: str, lamports: int, _config: Any = None) -> str:
        return self.ledger.airdrop(_key(address), lamports).signature

    def _form(self, account: Account | None, config: Any) -> dict[str, Any] | None:
        return account_json(account, config, read=self.ledger.get_account)

    def _context(self, value: Any) -> dict[str, Any]:
        slot = self.ledger.slot()
        return {"context": {"slot": slot, "apiVersion": VERSION}, "value": value}


def _refusal(error: Refused) -> dict[str, Any]:
    found: dict[str, Any] = {"code": error.code, "message": str(error)}
    if error.code == -32002:
        found["data"] = {
            "err": error.err,
            "logs": error.logs,
            "unitsConsumed": error.units,
            "accounts": None,
            "returnData": None,
            "innerInstructions": None,
            "replacementBlockhash": None,
        }
    return found


def _key(text: str) -> Pubkey:
    try:
        return Pubkey.from_string(text)
    except (ValueError, TypeError):
        raise BadRequest("Invalid param: Invalid") from None


def _hash(text: str) -> Hash:
    try:
        return Hash.from_string(text)
    except (ParseHashError, TypeError):
        raise BadRequest("Invalid param: Invalid") from None


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return value
