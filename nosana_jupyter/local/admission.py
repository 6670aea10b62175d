"""
What keeps a transaction from landing at all: its form, its signatures, its payer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from solders.account import Account
from solders.message import Message, MessageV0
from solders.system_program import ID as SYSTEM
from solders.transaction import VersionedTransaction

from ..errors import NosanaError
from .message import BadTransaction

PACKET_BYTES = 1232
MOST_ACCOUNTS = 256
"""Most accounts of one transaction."""

LAMPORTS_PER_BYTE = 6960
ACCOUNT_OVERHEAD = 128

SIMULATION_FAILED = -32002
BAD_SIGNATURE = -32003
INVALID_PARAMS = -32602

_TEXTS = {
    "AccountNotFound": "Attempt to debit an account but found no record of a prior credit.",
    "AlreadyProcessed": "This transaction has already been processed",
    "BlockhashNotFound": "Blockhash not found",
    "InsufficientFundsForFee": "Insufficient funds for fee",
    "InvalidAccountForFee": "This account may not be used to pay transaction fees",
    "ProgramAccountNotFound": "Attempt to load a program that does not exist",
    "InvalidProgramForExecution": "This program may not be used for executing instructions",
}


class Refused(NosanaError):
    """A transaction did not land. Nothing changed."""

    def __init__(
        self, message: str, *, code: int, err: Any = None, logs: Sequence[str] = (), units: int = 0
    ) -> None:
        super().__init__(message)
        self.code = code
        """JSON-RPC error code."""

        self.err = err
        """The error, in the form the RPC gives it."""

        self.logs = list(logs)
        self.units = units
        """Compute units consumed."""


def minimum_balance(size: int) -> int:
    """Return the lamports that exempt an account of `size` bytes from rent."""
    return (ACCOUNT_OVERHEAD + size) * LAMPORTS_PER_BYTE


def check_form(tx: VersionedTransaction) -> Message | MessageV0:
    """
    Refuse what is not a transaction, or not one that can run here.

    Returns:
        Its message.

    Raises:
        Refused: It is too large or malformed.
    """
    size = len(bytes(tx))
    message = tx.message
    if size > PACKET_BYTES:
        raise invalid(f"transaction too large: {size} bytes (max: {PACKET_BYTES} bytes)")
    if not isinstance(message, Message | MessageV0):
        raise invalid("transactions of this version are not supported on the local network")
    if len(set(message.account_keys)) != len(message.account_keys):
        raise invalid("invalid transaction: account loaded twice")
    if not _sane(message, signatures=len(tx.signatures)):
        raise invalid("invalid transaction: its account offsets cannot be")
    return message


def _sane(message: Message | MessageV0, *, signatures: int) -> bool:
    """Say whether indices and counts of a message are possible."""
    header, count = message.header, len(message.account_keys)
    lookups = message.address_table_lookups if isinstance(message, MessageV0) else []
    looked_up = [len(each.writable_indexes) + len(each.readonly_indexes) for each in lookups]
    whole = count + sum(looked_up)
    return (
        0 < header.num_required_signatures == signatures
        and header.num_readonly_signed_accounts < header.num_required_signatures
        and header.num_required_signatures + header.num_readonly_unsigned_accounts <= count
        and all(
            0 < instruction.program_id_index < count
            and all(index < whole for index in instruction.accounts)
            for instruction in message.instructions
        )
        and all(looked_up)
        and whole <= MOST_ACCOUNTS
    )


def invalid(text: str) -> Refused:
    """Return the refusal of what is not a transaction that could land."""
    return Refused(text, code=INVALID_PARAMS)


def check_signatures(tx: VersionedTransaction) -> None:
    """
    Refuse a transaction that is not signed by all who have to.

    Raises:
        Refused: A signature is missing or wrong.
    """
    if not all(tx.verify_with_results()):
        raise Refused(
            "Transaction signature verification failure",
            code=BAD_SIGNATURE,
            err="SignatureFailure",
        )


def charge(payer: Account | None, fee: int) -> Account:
    """
    Return the payer's account after the fee.

    Raises:
        BadTransaction: It cannot pay.
    """
    if payer is None:
        raise BadTransaction("AccountNotFound")
    if payer.owner != SYSTEM or payer.data:
        raise BadTransaction("InvalidAccountForFee")
    rest = payer.lamports - fee
    if rest < 0:
        raise BadTransaction("InsufficientFundsForFee")
    if 0 < rest < minimum_balance(0):
        raise BadTransaction({"InsufficientFundsForRent": {"account_index": 0}})
    return Account(lamports=rest, data=b"", owner=SYSTEM)


def refused(err: Any, *, logs: Sequence[str] = (), units: int = 0) -> Refused:
    """Return the refusal a preflight gives for an error."""
    match err:
        case {"InstructionError": [index, {"Custom": int(number)}]}:
            text = f"Error processing Instruction {index}: custom program error: {number:#x}"
        case {"InstructionError": [index, error]}:
            text = f"Error processing Instruction {index}: {error}"
        case {"InsufficientFundsForRent": {"account_index": index}}:
            text = f"Transaction results in an account ({index}) with insufficient funds for rent"
        case _:
            text = _TEXTS.get(err, str(err)) if isinstance(err, str) else str(err)
    return Refused(
        f"Transaction simulation failed: {text}",
        code=SIMULATION_FAILED,
        err=err,
        logs=logs,
        units=units,
    )
