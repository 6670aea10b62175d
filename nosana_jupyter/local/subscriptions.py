"""
Subscriptions to the ledger, over one WebSocket.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey
from solders.signature import Signature

from .forms import BadRequest, account_json, filters
from .landed import mentioned
from .ledger import Ledger
from .rpc import VERSION, Methods
from .slots import SLOT_SECONDS

Notice = Callable[[str], None]
"""Sends a text down the socket."""

_ids = itertools.count(1)

MOST = 1000
"""Most subscriptions of one socket."""

MOST_SLOTS = 8
"""Most slots that are told at once, when telling them was held up."""

KINDS = {
    "accountSubscribe": "accountNotification",
    "programSubscribe": "programNotification",
    "signatureSubscribe": "signatureNotification",
    "logsSubscribe": "logsNotification",
    "slotSubscribe": "slotNotification",
    "rootSubscribe": "rootNotification",
}
ENDS = {name.replace("Subscribe", "Unsubscribe") for name in KINDS}
TICKING = ("slotSubscribe", "rootSubscribe")

GONE = Account(lamports=0, data=b"", owner=Pubkey.default())
"""What is told of an account that has been closed."""

SAMPLE = Account(lamports=0, data=bytes(1), owner=Pubkey.default())


class Subscriptions:
    """
    What one client wants to hear of.

    Args:
        ledger: What is listened to.
        tell: Sends a text to the client. It may not raise: it is called in the middle of somebody
            else's transaction.
    """

    def __init__(self, ledger: Ledger, tell: Notice) -> None:
        self._ledger = ledger
        self._methods = Methods(ledger)
        self._tell = tell
        self._wanted: dict[int, tuple[str, list[Any]]] = {}
        self._stop = ledger.on_change(self._changed)
        self._tick: asyncio.TimerHandle | None = None
        self._told = 0

    def close(self) -> None:
        """Hear nothing more."""
        self._stop()
        self._wanted.clear()
        if self._tick is not None:
            self._tick.cancel()

    def receive(self, text: str | bytes) -> None:
        """Handle one request: a subscription, its end, or any other method."""
        try:
            request = json.loads(text)
        except (ValueError, RecursionError):
            self._reply(None, error={"code": -32700, "message": "Parse error"})
            return
        method = request.get("method") if isinstance(request, dict) else None
        if isinstance(method, str) and (method in KINDS or method in ENDS):
            try:
                self._subscribe(request) if method in KINDS else self._unsubscribe(request)
            except BadRequest as error:
                self._refuse(request, str(error))
            except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
                self._refuse(request, f"Invalid params: {error}")
        else:
            self._tell(json.dumps(self._methods.reply(request)))

    def _subscribe(self, request: dict[str, Any]) -> None:
        method, params = request["method"], request.get("params") or []
        if len(self._wanted) >= MOST:
            raise BadRequest(f"Too many subscriptions; max {MOST}")
        self._check(method, params)
        ident = next(_ids)
        self._wanted[ident] = (method, params)
        self._reply(request.get("id"), result=ident)
        if method == "signatureSubscribe":
            known = self._ledger.outcome(Signature.from_string(params[0]))
            if known is not None:
                self._signature(ident, known.slot, known.err)
        elif method in TICKING and self._tick is None:
            self._told = self._ledger.slot()
            self._wait()

    def _unsubscribe(self, request: dict[str, Any]) -> None:
        ident = (request.get("params") or [None])[0]
        held = self._wanted.get(ident) if isinstance(ident, int) else None
        if held is None or held[0].replace("Subscribe", "Unsubscribe") != request["method"]:
            raise BadRequest("Invalid subscription id.")
        del self._wanted[ident]
        self._reply(request.get("id"), result=True)

    def _check(self, method: str, params: list[Any]) -> None:
        """Raise what using the parameters raises, before anything is promised."""
        if method in ("accountSubscribe", "programSubscribe"):
            Pubkey.from_string(params[0])
            filters(_config(params))
            self._form(SAMPLE, _config(params))
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
                        value = self._form(accounts[address] or GONE, _config(params))
                        self._notify(ident, method, _context(slot, value))
                case "programSubscribe":
                    self._program(ident, slot, accounts, params)
                case "signatureSubscribe":
                    if params[0] == str(signature):
                        self._signature(ident, slot, err)
                case "logsSubscribe":
                    wanted = _mentions(params)
                    if wanted is None or self._names(signature, wanted):
                        value = {"signature": str(signature), "err": err, "logs": logs}
                        self._notify(ident, method, _context(slot, value))

    def _names(self, signature: Signature, address: Pubkey) -> bool:
        """Say whether a transaction names an address: a program, an account it only read."""
        outcome = self._ledger.outcome(signature)
        return outcome is not None and address in mentioned(outcome)

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
                value = {"pubkey": str(address), "account": self._form(account, config)}
                self._notify(ident, "programSubscribe", _context(slot, value))

    def _signature(self, ident: int, slot: int, err: Any) -> None:
        if _config(self._wanted[ident][1]).get("enableReceivedNotification"):
            self._notify(ident, "signatureSubscribe", _context(slot, "receivedSignature"))
        self._notify(ident, "signatureSubscribe", _context(slot, {"err": err}))
        self._wanted.pop(ident, None)

    def _wait(self) -> None:
        self._tick = asyncio.get_running_loop().call_later(SLOT_SECONDS, self._slots)

    def _slots(self) -> None:
        """Tell the slots that have passed: they do without any transaction."""
        self._tick = None
        ticking = [(ident, kind) for ident, (kind, _) in self._wanted.items() if kind in TICKING]
        now = self._ledger.slot()
        for slot in range(max(self._told + 1, now - MOST_SLOTS), now + 1):
            root = max(slot - 32, 0)
            for ident, kind in ticking:
                whole = {"slot": slot, "parent": slot - 1, "root": root}
                self._notify(ident, kind, whole if kind == "slotSubscribe" else root)
        self._told = now
        if ticking:
            self._wait()

    def _form(self, account: Account, config: dict[str, Any]) -> dict[str, Any] | None:
        return account_json(account, config, read=self._ledger.get_account, notice=True)

    def _notify(self, ident: int, method: str, result: Any) -> None:
        params = {"result": result, "subscription": ident}
        self._tell(json.dumps({"jsonrpc": "2.0", "method": KINDS[method], "params": params}))

    def _refuse(self, request: dict[str, Any], message: str) -> None:
        self._reply(request.get("id"), error={"code": -32602, "message": message})

    def _reply(self, ident: Any, **body: Any) -> None:
        self._tell(json.dumps({"jsonrpc": "2.0", "id": ident, **body}))


def _config(params: list[Any]) -> dict[str, Any]:
    config = params[1] if len(params) > 1 and isinstance(params[1], dict) else {}
    return {name: value for name, value in config.items() if value is not None}


def _mentions(params: list[Any]) -> Pubkey | None:
    """Return the address whose logs are wanted, or nothing for all."""
    which = params[0]
    if which in ("all", "allWithVotes"):
        return None
    addresses = which["mentions"]
    if not isinstance(addresses, list) or len(addresses) != 1:
        raise BadRequest("Invalid Request: Only 1 address supported")
    return Pubkey.from_string(addresses[0])


def _context(slot: int, value: Any) -> dict[str, Any]:
    return {"context": {"slot": slot, "apiVersion": VERSION}, "value": value}
