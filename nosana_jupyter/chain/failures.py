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

HINTS = {
    "JobInWrongState": "The job has moved on; look at %nosana jobs.",
    "NotInMarketQueue": "A host has just taken the job; look at %nosana jobs.",
    "NodeNotEnoughStake": "Stake more NOS for this node.",
    "AccountNotInitialized": "The account is gone: the job has ended.",
    "InsufficientFunds": "Fund the wallet, or lower the timeout.",
}


def program_error(err: Any, logs: Sequence[str]) -> ProgramError:
    """
    Return the error that a failed transaction stands for.

    Args:
        err: The `err` of the RPC, as in `{"InstructionError": [2, {"Custom": 6001}]}`.
        logs: The log lines of the transaction.
    """
    index, number = 0, None
    kind: Any = err
    if isinstance(err, Mapping) and "InstructionError" in err:
        index, kind = err["InstructionError"]
        if isinstance(kind, Mapping) and "Custom" in kind:
            number = int(kind["Custom"])
    for line in logs:
        if match := _LINE.search(line):
            name, code, text = match.groups()
            return ProgramError(
                f"the program refused: {text.rstrip('.')} ({name} {code})",
                name=name, number=int(code), index=index, hint=HINTS.get(name, ""),
            )  # fmt: skip
    if number == 1 and any("insufficient funds" in line.lower() for line in logs):
        return ProgramError(
            "the token program refused: insufficient funds",
            name="InsufficientFunds", number=1, index=index, hint=HINTS["InsufficientFunds"],
        )  # fmt: skip
    name = kind if isinstance(kind, str) else next(iter(kind), "") if kind else ""
    return ProgramError(
        f"the transaction failed: {err}", name=str(name), number=number, index=index
    )
