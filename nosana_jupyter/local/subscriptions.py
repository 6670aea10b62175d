"""
Subscriptions to the ledger, over one WebSocket.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey
from solders.signature import Signature

from .forms import BadRequest, account_json, filters
from .ledger import Ledger
from .rpc import VERSION, Methods

Notice = Callable[[str], None]
"""Sends a text down the socket."""

_ids = itertools.count(1)

MOST = 1000
"""Most subscriptions of one socket."""

KINDS = {
    "accountSubscribe": "accountNotification",
    "programSubscribe": "programNotification",
    "signatureSubscribe": "signatureNotification",
    "logsSubscribe": "logsNotification",
    "slotSubscribe": "slotNotification",
    "rootSubscribe": "rootNotification",
}


class Subscriptions:
    """
    What one client wants to hear of.

    Args:
        ledger: What is listened to.
        tell: Sends a text to the client.
    """

    def __init__(self, ledger: Ledger, tell: Notice) -> None:
        self._ledger = ledger
        self._methods = Methods(ledger)
        self._tell = tell
        self._wanted: dict[int, tuple[str, list[Any]]] = {}
        self._stop = ledger.on_change(self._changed)

    def close(self) -> None:
        """Hear nothing more."""
        self._stop()

    def receive(self, text: str | bytes) -> None:
        """Handle one request: a subscription, its end, or any other method."""
        try:
            request = json.loads(text)
        except ValueError:
            self._reply(None, error={"code": -32700, "message": "Parse error"})
            return
        method = request.get("method") if isinstance(request, dict) else None
        if method in KINDS:
            self._subscribe(request)
        elif isinstance(method, str) and method.endswith("Unsubscribe"):
            params = request.get("params") or [None]
            known = self._wanted.pop(params[0], None) is not None
            self._reply(request.get("id"), result=known)
        else:
            self._tell(json.dumps(self._methods.answer(request)))

    def _subscribe(self, request: dict[str, Any]) -> None:
        params = request.get("params") or []
        try:
            if len(self._wanted) >= MOST:
                raise BadRequest(f"Too many subscriptions; max {MOST}")
            self._check(request["method"], params)
        except (BadRequest, ValueError, TypeError, IndexError, KeyError) as error:
            self._reply(request.get("id"), error={"code": -32602, "message": str(error)})
            return
        ident = next(_ids)
        self._wanted[ident] = (request["method"], params)
        self._reply(request.get("id"), result=ident)
        if request["method"] == "signatureSubscribe":
            known = self._ledger.outcome(Signature.from_string(params[0]))
            if known is not None:
                self._signature(ident, known.slot, known.err)

    def _check(self, method: str, params: list[Any]) -> None:
        """Raise what reading the parameters raises, before anything is promised."""
        if method in ("accountSubscribe", "programSubscribe"):
            Pubkey.from_string(params[0])
            filters(_config(params))
        elif method == "signatureSubscribe":
            Signature.from_string(params[0])
        elif method == "logsSubscribe":
            _mentions(params)

    def _changed(
        self,
        slot: int,
        accounts: Mapping[Pubkey, Account | None],
        signature: Signature,
        err: Any,
        logs: list[str],
    ) -> None:
        for ident, (method, params) in list(self._wanted.items()):
            match method:
                case "accountSubscribe":
                    address = Pubkey.from_string(params[0])
                    if address in accounts:
                        self._account(ident, slot, accounts[address], _config(params))
                case "programSubscribe":
                    self._program(ident, slot, accounts, params)
                case "signatureSubscribe":
                    if params[0] == str(signature):
                        self._signature(ident, slot, err)
                case "logsSubscribe":
                    mentioned = _mentions(params)
                    if mentioned is None or any(str(key) in mentioned for key in accounts):
                        value = {"signature": str(signature), "err": err, "logs": logs}
                        self._notify(ident, method, _context(slot, value))
                case "slotSubscribe":
                    value = {"slot": slot, "parent": slot - 1, "root": slot - 32}
                    self._notify(ident, method, value)
                case "rootSubscribe":
                    self._notify(ident, method, slot - 32)

    def _account(
        self, ident: int, slot: int, account: Account | None, config: dict[str, Any]
    ) -> None:
        gone = Account(lamports=0, data=b"", owner=Pubkey.default())
        value = account_json(account or gone, config)
        self._notify(ident, "accountSubscribe", _context(slot, value))

    def _program(
        self,
        ident: int,
        slot: int,
        accounts: Mapping[Pubkey, Account | None],
        params: list[Any],
    ) -> None:
        program, config = Pubkey.from_string(params[0]), _config(params)
        rules = filters(config)
        for address, account in accounts.items():
            if account is None or account.owner != program:
                continue
            data = bytes(account.data)
            if all(
                len(data) == rule
                if isinstance(rule, int)
                else data[rule[0] : rule[0] + len(rule[1])] == rule[1]
                for rule in rules
            ):
                value = {"pubkey": str(address), "account": account_json(account, config)}
                self._notify(ident, "programSubscribe", _context(slot, value))

    def _signature(self, ident: int, slot: int, err: Any) -> None:
        self._notify(ident, "signatureSubscribe", _context(slot, {"err": err}))
        self._wanted.pop(ident, None)

    def _notify(self, ident: int, method: str, result: Any) -> None:
        params = {"result": result, "subscription": ident}
        self._tell(json.dumps({"jsonrpc": "2.0", "method": KINDS[method], "params": params}))

    def _reply(self, ident: Any, **body: Any) -> None:
        self._tell(json.dumps({"jsonrpc": "2.0", "id": ident, **body}))


def _config(params: list[Any]) -> dict[str, Any]:
    config = params[1] if len(params) > 1 and isinstance(params[1], dict) else {}
    return {name: value for name, value in config.items() if value is not None}


def _mentions(params: list[Any]) -> set[str] | None:
    """Return the addresses whose logs are wanted, or nothing for all."""
    which = params[0]
    if which in ("all", "allWithVotes"):
        return None
    return set(which["mentions"])


def _context(slot: int, value: Any) -> dict[str, Any]:
    return {"context": {"slot": slot, "apiVersion": VERSION}, "value": value}
