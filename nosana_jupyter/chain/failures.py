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

# Each of these sets is numbered from 6000 on: those of the shared checks, and of the programs that
# our transactions reach.
_FIRST = 6000
_SETS = {
    "a shared check": (
        "Unauthorized InvalidOwner LamportsNonNull MissingSignature InvalidAccount "
        "InvalidTokenAccount InvalidMint InvalidVault InvalidPayer VaultEmpty VaultNotEmpty "
        "InvalidATA"
    ).split(),
    "the jobs program": (
        "InvalidMarketAccount MarketInWrongState NotInMarketQueue InvalidJobAccount "
        "JobInWrongState JobNotExpired JobResultNull JobInvalidProject JobTimeoutNotGreater "
        "JobInvalidRunAccount JobResultsAlreadySet NodeQueueDoesNotMatch NodeStakeUnauthorized "
        "NodeNotEnoughStake NodeAlreadyQueued NodeNftWrongMetadata NodeNftWrongOwner "
        "NodeNftInvalidAmount NodeKeyInvalidCollection"
    ).split(),
    "the staking program": (
        "AmountNotEnough AlreadyInitialized AlreadyClaimed AlreadyStaked AlreadyUnstaked "
        "NotUnstaked Locked DurationTooShort DurationTooLong DoesNotExist Decreased HasReward "
        "InvalidStakeAccount"
    ).split(),
}
_ANCHOR = {
    101: "InstructionFallbackNotFound", 102: "InstructionDidNotDeserialize",
    2000: "ConstraintMut", 2001: "ConstraintHasOne", 2003: "ConstraintRaw",
    2006: "ConstraintSeeds", 2011: "ConstraintClose", 2012: "ConstraintAddress",
    2014: "ConstraintTokenMint", 2015: "ConstraintTokenOwner",
    2040: "ConstraintDuplicateMutableAccount", 3001: "AccountDiscriminatorNotFound",
    3002: "AccountDiscriminatorMismatch", 3003: "AccountDidNotDeserialize",
    3004: "AccountDidNotSerialize", 3005: "AccountNotEnoughKeys",
    3007: "AccountOwnedByWrongProgram", 3008: "InvalidProgramId", 3010: "AccountNotSigner",
    3012: "AccountNotInitialized",
}  # fmt: skip
"""Errors of the framework that the programs are written in: these numbers name one error each."""


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
    if number in _ANCHOR:
        name = _ANCHOR[number]
        return ProgramError(
            f"the program refused: {name} {number}",
            name=name, number=number, index=index, hint=HINTS.get(name, ""),
        )  # fmt: skip
    if number is not None and (may_be := _candidates(number)):
        return ProgramError(
            f"the program refused with number {number}, and without a log that names it: "
            f"{may_be}", name="Custom", number=number, index=index,
        )  # fmt: skip
    name = kind if isinstance(kind, str) else next(iter(kind), "") if kind else ""
    return ProgramError(
        f"the transaction failed: {str(err)[:300]}",
        name=name, number=number, index=index, hint=HINTS.get(name, ""),
    )  # fmt: skip


def _candidates(number: int) -> str:
    """Return what a number may stand for, where no log says it."""
    place = number - _FIRST
    found = [
        f"{names[place]} of {whose}" for whose, names in _SETS.items() if 0 <= place < len(names)
    ]
    return " or ".join(found)


def _parts(err: Any) -> tuple[int, str | Mapping[str, Any] | None]:
    """Return the instruction that failed, and how, as far as it has one of the known forms."""
    index = 0
    if isinstance(err, Mapping) and isinstance(pair := err.get("InstructionError"), list):
        if len(pair) != 2 or not isinstance(pair[0], int):
            return 0, None
        index, err = pair
    return index, err if isinstance(err, str | Mapping) else None
