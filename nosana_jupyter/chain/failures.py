"""
Errors of programs, by name.

Numbers overlap between Nosana's programs: only the log line names the error. The hints here are by
that name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ProgramError

_LINE = re.compile(r"Error Code: (\w+)\. Error Number: (\d+)\. Error Message: (.*)")

_SOL = "Fund the wallet with SOL: it pays rent and fees."

HINTS = {
    "JobInWrongState": "The job has moved on; look at %nosana jobs.",
    "NotInMarketQueue": "A host has just taken the job; look at %nosana jobs.",
    "NodeNotEnoughStake": "Stake more NOS for this node.",
    "AccountNotInitialized": "The account is gone: the job has ended.",
    "InsufficientFunds": "Fund the wallet with NOS, or lower the timeout.",
    "InsufficientLamports": _SOL,
    "InsufficientFundsForFee": _SOL,
    "InsufficientFundsForRent": _SOL,
    "AccountNotFound": _SOL,
}

_SHORT = {
    "InsufficientFunds": "insufficient funds",
    "InsufficientLamports": "insufficient lamports",
}
"""Names for what the token and the system program log with their number 1."""


def program_error(err: Any, logs: Sequence[str]) -> ProgramError:
    """
    Return the error that a failed transaction stands for.

    Args:
        err: The `err` of the RPC, as in `{"InstructionError": [2, {"Custom": 6001}]}`.
        logs: The log lines of the transaction.
    """
    index, kind = _parts(err)
    number = None
    if isinstance(kind, Mapping) and isinstance(kind.get("Custom"), int):
        number = kind["Custom"]
    for line in logs:
        if match := _LINE.search(line):
            name, code, text = match.groups()
            return ProgramError(
                f"the program refused: {text.rstrip('.')} ({name} {code})",
                name=name, number=int(code), index=index, hint=HINTS.get(name, ""),
            )  # fmt: skip
    said = " ".join(logs).lower()
    for name, text in _SHORT.items():
        if number == 1 and text in said:
            return ProgramError(
                f"the transaction failed: {text}",
                name=name, number=1, index=index, hint=HINTS[name],
            )  # fmt: skip
    name = kind if isinstance(kind, str) else next(iter(kind), "") if kind else ""
    return ProgramError(
        f"the transaction failed: {str(err)[:300]}",
        name=name, number=number, index=index, hint=HINTS.get(name, ""),
    )  # fmt: skip


def _parts(err: Any) -> tuple[int, str | Mapping[str, Any] | None]:
    """Return the instruction that failed, and how, as far as it has one of the known forms."""
    index = 0
    if isinstance(err, Mapping) and isinstance(pair := err.get("InstructionError"), list):
        if len(pair) != 2 or not isinstance(pair[0], int):
            return 0, None
        index, err = pair
    return index, err if isinstance(err, str | Mapping) else None
