"""
Run one transaction in the bank, with its fee, so that it can be undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey

from .admission import charge, minimum_balance
from .message import AnyMessage, budget, calls, writable
from .runtime import Bank, Execution, Program


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One execution. What it changed is in the bank until it is undone."""

    execution: Execution
    err: Any
    """None, or the error in the form the RPC gives it; then only the fee was taken."""

    fee: int
    """In lamports."""

    before: dict[Pubkey, Account | None]
    """The accounts the transaction may write, as they were."""

    pre: list[Account | None]
    post: list[Account | None]
    """All its accounts, in its order, before and after."""

    def changed(self) -> dict[Pubkey, Account | None]:
        """Return the accounts that are different now."""
        after = dict(zip(self.execution.keys, self.post, strict=True))
        return {key: after[key] for key, was in self.before.items() if after[key] != was}


def attempt(
    message: AnyMessage, *, bank: Bank, programs: Mapping[Pubkey, Program], slot: int, unix: int
) -> Attempt:
    """
    Take the fee and run the instructions.

    Raises:
        BadTransaction: It cannot land. The bank is as before.
    """
    keys = message.account_keys
    all_calls = calls(message)
    asked = budget(all_calls)
    fee = asked.fee(signatures=message.header.num_required_signatures)
    pre = [bank.get(key) for key in keys]
    paid = charge(pre[0], fee)
    may_write = writable(message)
    before = {key: was for key, was, may in zip(keys, pre, may_write, strict=True) if may}
    bank.set_time(slot=slot, unix=unix)
    bank.put(keys[0], paid)
    execution = Execution(
        bank=bank,
        programs=programs,
        keys=keys,
        calls=all_calls,
        units=asked.units,
        heap=asked.heap,
        now=unix,
    )
    err = execution.run() or _rent(before, keys=keys, bank=bank)
    if err is not None:
        restore(before, bank=bank)
        bank.put(keys[0], paid)
    post = [bank.get(key) for key in keys]
    return Attempt(execution=execution, err=err, fee=fee, before=before, pre=pre, post=post)


def restore(before: Mapping[Pubkey, Account | None], *, bank: Bank) -> None:
    """Put accounts back as they were."""
    for key, account in before.items():
        bank.put(key, account)


def _rent(before: Mapping[Pubkey, Account | None], *, keys: list[Pubkey], bank: Bank) -> Any:
    """Return the error of an account that is left with too little for its rent."""
    for index, key in enumerate(keys):
        now = bank.get(key) if key in before else None
        if now is None or not _poor(now):
            continue
        was = before[key]
        # One that was poor already may become poorer, but neither richer nor larger.
        same = was is not None and _poor(was) and len(was.data) == len(now.data)
        if was is None or not same or now.lamports > was.lamports:
            return {"InsufficientFundsForRent": {"account_index": index}}
    return None


def _poor(account: Account) -> bool:
    return account.lamports < minimum_balance(len(account.data))
