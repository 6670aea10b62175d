"""
What a node says of a transaction: of one that it only tried, and of one that was sent.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Self

from solders.pubkey import Pubkey

from .transport import number


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """An account as it would be after a transaction."""

    lamports: int
    owner: Pubkey
    data: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """What came of a trial."""

    err: Any
    """Why it failed, in the form the RPC gives it. None: it would succeed."""

    logs: tuple[str, ...]
    units: int
    """Compute units used."""

    accounts: tuple[Seen | None, ...]
    """Those that were asked for, in order; `None` is one that would not exist."""

    @classmethod
    def read(cls, answer: Any) -> Self:
        """Read the answer of a node."""
        value = answer["value"]
        return cls(
            err=value["err"],
            logs=tuple(str(each) for each in value.get("logs") or ()),
            units=number(value.get("unitsConsumed") or 0),
            accounts=tuple(_seen(each) for each in value.get("accounts") or ()),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Fate:
    """What became of a transaction that was sent."""

    failed: bool
    record: dict[str, Any] | None
    """As the node lists it, if it does by now."""


def _seen(account: Any) -> Seen | None:
    if account is None:
        return None
    lamports = number(account["lamports"])
    # A node shows what is gone as an account of nothing.
    if not lamports:
        return None
    data = base64.b64decode(account["data"][0], validate=True)
    return Seen(lamports=lamports, owner=Pubkey.from_string(account["owner"]), data=data)
