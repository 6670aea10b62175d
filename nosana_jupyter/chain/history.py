"""
What a transaction did, read from its record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_INSTRUCTION = re.compile(r"^Program log: Instruction: (\w+)$")

STEPS = ("list", "assign", "extend", "delist", "end", "finish", "complete", "quit", "recover")
"""Instructions that a job's receipt names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One transaction in the life of an account."""

    signature: str
    name: str
    """The instruction in lower case, as in `list`; empty if it is none of a job's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What a transaction did to one owner's money."""

    payer: str
    """Who paid its fee."""

    fee: int
    """In lamports."""

    nos: int
    """Change of the owner's NOS, in micro-NOS; negative when it was spent."""


def step_of(signature: str, transaction: dict[str, Any]) -> Step:
    """Return what a transaction did to a job, from its log."""
    for line in (transaction.get("meta") or {}).get("logMessages") or []:
        if (match := _INSTRUCTION.match(line)) and match[1].lower() in STEPS:
            return Step(signature=signature, name=match[1].lower())
    return Step(signature=signature, name="")


def effect_of(transaction: dict[str, Any], *, owner: str, mint: str) -> Effect:
    """Return what a transaction did to an owner's money."""
    meta = transaction.get("meta") or {}
    keys = transaction["transaction"]["message"]["accountKeys"]
    payer = keys[0]["pubkey"] if isinstance(keys[0], dict) else keys[0]
    before = _held(meta.get("preTokenBalances") or [], owner, mint)
    after = _held(meta.get("postTokenBalances") or [], owner, mint)
    return Effect(payer=payer, fee=int(meta.get("fee") or 0), nos=after - before)


def _held(balances: list[dict[str, Any]], owner: str, mint: str) -> int:
    return sum(
        int(entry["uiTokenAmount"]["amount"])
        for entry in balances
        if entry.get("owner") == owner and entry.get("mint") == mint
    )
