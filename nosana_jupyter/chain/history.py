"""
What transactions did to a job, read from their records.

A record is believed for its instructions: those of the jobs program that name the job where the
program looks for it. Log lines would be shorter to read, but anybody can make a program log them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import base58

from ..errors import RemoteProtocolError, RpcError
from ..network import Programs
from .instructions import JOBS, parse


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What a transaction did to one owner's money."""

    payer: str
    """Who paid its fee."""

    fee: int
    """In lamports."""

    nos: int
    """Change of the owner's NOS, in micro-NOS; negative when it was spent."""

    sol: int = 0
    """Change of the owner's lamports, the fee included; negative when they were spent."""

    jobs: int = 1
    """How many jobs the transaction did something to: it may clean several at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One instruction in the life of a job."""

    signature: str
    name: str
    """Of the instruction, as in `list`."""

    effect: Effect
    """Of its whole transaction."""

    args: dict[str, Any] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    """Addresses, by what the instruction calls them."""


def steps_of(
    signature: str, transaction: dict[str, Any], *, job: str, owner: str, programs: Programs
) -> list[Step]:
    """
    Return what a transaction did to a job, in order.

    Args:
        signature: Of the transaction.
        transaction: Its record, with instructions as indices and base58.
        job: Address of the job.
        owner: Whose money to look at.
        programs: Of the network.
    """
    try:
        effect = effect_of(transaction, owner=owner, mint=programs.mint)
        done = list(_instructions(transaction, programs.jobs))
        effect = replace(effect, jobs=len({accounts.get("job") for _, _, accounts in done}))
        return [
            Step(signature=signature, name=name, effect=effect, args=args, accounts=accounts)
            for name, args, accounts in done
            if accounts.get("job") == job
        ]
    except (LookupError, ValueError, TypeError, AttributeError):
        raise RpcError(f"the record of transaction {signature} cannot be read") from None


def effect_of(transaction: dict[str, Any], *, owner: str, mint: str) -> Effect:
    """Return what a transaction did to an owner's money."""
    meta = transaction.get("meta") or {}
    before = _held(meta.get("preTokenBalances") or [], owner, mint)
    after = _held(meta.get("postTokenBalances") or [], owner, mint)
    keys = _keys(transaction)
    return Effect(
        payer=keys[0],
        fee=int(meta.get("fee") or 0),
        nos=after - before,
        sol=_lamports(meta, "postBalances", keys, owner)
        - _lamports(meta, "preBalances", keys, owner),
    )


def _instructions(
    transaction: dict[str, Any], program: str
) -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """Yield the instructions of a program, outer and inner, in the order they ran."""
    keys = _keys(transaction)
    inner: dict[int, list[dict[str, Any]]] = {}
    for group in (transaction.get("meta") or {}).get("innerInstructions") or []:
        inner.setdefault(group["index"], []).extend(group["instructions"])
    for index, outer in enumerate(transaction["transaction"]["message"]["instructions"]):
        for each in (outer, *inner.get(index, [])):
            if keys[each["programIdIndex"]] != program:
                continue
            try:
                spec, args = parse(JOBS, base58.b58decode(each["data"]))
            except RemoteProtocolError:
                continue  # An instruction of a later version of the program.
            named = [keys[place] for place in each["accounts"]]
            names = [account.name for account in spec.accounts]
            yield spec.name, args, dict(zip(names, named, strict=False))


def _keys(transaction: dict[str, Any]) -> list[str]:
    """Return the addresses that instructions point at: the message's, then those of tables."""
    loaded = (transaction.get("meta") or {}).get("loadedAddresses") or {}
    message = transaction["transaction"]["message"]
    keys = [*message["accountKeys"], *loaded.get("writable", []), *loaded.get("readonly", [])]
    return [each["pubkey"] if isinstance(each, dict) else str(each) for each in keys]


def _lamports(meta: dict[str, Any], when: str, keys: list[str], owner: str) -> int:
    """Return the lamports that an owner held; 0 where the record does not say."""
    balances = meta.get(when) or []
    return sum(int(held) for key, held in zip(keys, balances, strict=False) if key == owner)


def _held(balances: list[dict[str, Any]], owner: str, mint: str) -> int:
    return sum(
        int(entry["uiTokenAmount"]["amount"])
        for entry in balances
        if entry.get("owner") == owner and entry.get("mint") == mint
    )
