"""
Lists of an RPC that come in pages.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from ..errors import RpcError

PAGE = 1000
"""Most transactions that a node tells at once."""

MOST = 100
"""Most pages that are read: a node that has more goes round in circles."""


async def signatures(
    read: Callable[..., Coroutine[Any, Any, list[tuple[str, bool]]]],
    address: str,
    options: dict[str, Any],
) -> list[str]:
    """
    Return the transactions that named an account and succeeded, oldest first.

    Args:
        read: Asks the RPC.
        address: Of the account.
        options: Of the question.

    Raises:
        RpcError: There is no end to them.
    """
    found: list[tuple[str, bool]] = []
    for _ in range(MOST):
        cut = {"before": found[-1][0]} if found else {}
        page = await read(
            "getSignaturesForAddress", address, {**options, **cut},
            take=lambda rows: [(str(row["signature"]), row["err"] is None) for row in rows],
        )  # fmt: skip
        found += page
        if len(page) < PAGE:
            return [signature for signature, good in found[::-1] if good]
    raise RpcError(f"the transactions of {address} are more than {MOST * PAGE}")
