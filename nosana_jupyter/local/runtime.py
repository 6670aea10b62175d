"""
Run the instructions of one transaction: some in LiteSVM, some in Python.

Rule 1: accounts live in LiteSVM and nowhere else. A program in Python gets an `Invocation`.

Rule 2: neighbouring native instructions run in LiteSVM together, so that the rules for a whole
transaction (rent above all) see them together.

Rule 3: nothing here decides whether a transaction lands. `ledger.py` charges the fee, keeps the
accounts as they were before, and puts them back.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from solders.account import Account
from solders.clock import Clock
from solders.compute_budget import ID as COMPUTE_BUDGET
from solders.compute_budget import request_heap_frame, set_compute_unit_limit
from solders.hash import Hash
from solders.instruction import AccountMeta, CompiledInstruction, Instruction
from solders.litesvm import LiteSVM
from solders.message import Message
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import ID as SYSTEM
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata

from . import registers
from .invocation import Failure, Invocation
from .message import Call, Meta

Program = Callable[[Invocation], None]
"""A program in Python. It raises `Failure`, or its changes count."""

BUDGET_UNITS = 150

# Pays what LiteSVM charges for its own small transactions; outside all accounting.
_PURSE = Pubkey.from_bytes(hashlib.sha256(b"nosana_jupyter.local purse").digest())
_INVOKE = re.compile(r"^(Program \w+ invoke) \[(\d+)\]$")
_TEXTS = {
    "InvalidAccountData": "invalid account data for instruction",
    "InvalidArgument": "invalid program argument",
    "InvalidInstructionData": "invalid instruction data",
    "MissingAccount": "An account required by the instruction is missing",
    "MissingRequiredSignature": "missing required signature for instruction",
    "PrivilegeEscalation": "Cross-program invocation with unauthorized signer or writable account",
    "ProgramFailedToComplete": "SBF program panicked",
    "ReadonlyDataModified": "instruction modified data of a read-only account",
    "ReadonlyLamportChange": "instruction changed the balance of a read-only account",
    "UnbalancedInstruction": "sum of account balances before and after instruction do not match",
    "UninitializedAccount": "instruction requires an initialized account",
}


class Bank:
    """Accounts, in LiteSVM. `None` is an account that does not exist."""

    def __init__(self) -> None:
        # Signatures, blockhashes and history are the ledger's: LiteSVM knows one blockhash only,
        # and forgets a signature after its history has wrapped around.
        self.svm = (
            LiteSVM().with_sigverify(False).with_blockhash_check(False).with_transaction_history(0)
        )
        self.put(_PURSE, Account(lamports=10**18, data=b"", owner=SYSTEM))
        registers.clear()

    def get(self, key: Pubkey) -> Account | None:
        """Read an account."""
        return self.svm.get_account(key)

    def put(self, key: Pubkey, account: Account | None) -> None:
        """Write an account, or remove it."""
        self.svm.set_account(key, account or Account(lamports=0, data=b"", owner=SYSTEM))

    def load(self, key: Pubkey, elf: bytes) -> None:
        """Place a program that LiteSVM runs."""
        self.svm.add_program(key, elf)
        registers.clear()

    def set_time(self, *, slot: int, unix: int) -> None:
        """Set what programs read from the clock."""
        self.svm.set_clock(Clock(slot, 0, slot // 432_000, slot // 432_000 + 1, unix))

    def execute(
        self, instructions: Sequence[Instruction]
    ) -> tuple[TransactionMetadata | FailedTransactionMetadata, list[Pubkey]]:
        """
        Run instructions as one transaction paid by the purse. Nobody signs.

        Returns:
            The result, and the accounts its indices speak of.
        """
        if (self.svm.get_balance(_PURSE) or 0) < 10**17:
            self.put(_PURSE, Account(lamports=10**18, data=b"", owner=SYSTEM))
        message = Message.new_with_blockhash(instructions, _PURSE, Hash.default())
        unsigned = [Signature.default()] * message.header.num_required_signatures
        result = self.svm.send_transaction(VersionedTransaction.populate(message, unsigned))
        registers.clear()
        return result, message.account_keys


@dataclass(kw_only=True)
class Execution:
    """
    The instructions of one transaction, run in order until one fails.

    Accounts it changed are in the bank afterwards, also after a failure.
    """

    bank: Bank
    programs: Mapping[Pubkey, Program]
    keys: Sequence[Pubkey]
    """Accounts of the transaction, in its order."""

    calls: Sequence[Call]
    units: int
    """Compute units the transaction may consume."""

    now: int
    """Unix time of the whole transaction, in seconds."""

    heap: int | None = None
    """Bytes of memory asked for each program."""

    logs: list[str] = field(default_factory=list)
    used: int = 0
    """Compute units consumed so far."""

    inner: dict[int, list[tuple[Call, int]]] = field(default_factory=dict)
    """Calls made by programs, with their stack height, by index of the outer instruction."""

    returned: tuple[Pubkey, bytes] | None = None
    """What the last native program returned."""

    _index: int = 0

    def run(self) -> Any:
        """Run everything. Returns None, or the error in the form the RPC gives it."""
        while self._index < len(self.calls):
            call = self.calls[self._index]
            try:
                if call.program == COMPUTE_BUDGET:
                    self._count(BUDGET_UNITS)
                    self.logs += [f"Program {COMPUTE_BUDGET} invoke [1]"]
                    self.logs += [f"Program {COMPUTE_BUDGET} success"]
                elif call.program in self.programs:
                    self.invoke(call, depth=1)
                else:
                    self._native(self._group(), depth=1)
            except Failure as failure:
                return {"InstructionError": [self._index, failure.error]}
            except _Whole as failure:
                return failure.err
            self._index += 1
        return None

    def invoke(self, call: Call, *, depth: int) -> None:
        """
        Run one instruction.

        Raises:
            Failure: It failed.
        """
        if depth > 1:
            self.inner.setdefault(self._index, []).append((call, depth))
        if call.program not in self.programs:
            self._native([call], depth=depth)
            return
        name, before = call.program, self.units - self.used
        self.logs.append(f"Program {name} invoke [{depth}]")
        try:
            invocation = Invocation(self, call, depth=depth)
            self.programs[name](invocation)
            invocation.write_back()
        except Failure as failure:
            self.logs += failure.logs
            self.logs.append(_consumed(name, before, self.units - self.used))
            self.logs.append(f"Program {name} failed: {_text(failure.error)}")
            raise Failure(failure.error) from None
        self.logs.append(_consumed(name, before, self.units - self.used))
        self.logs.append(f"Program {name} success")

    def consume(self, units: int) -> None:
        """
        Count compute units.

        Raises:
            Failure: More than the transaction asked for.
        """
        self._count(units)

    def _count(self, units: int) -> None:
        if self.used + units > self.units:
            self.used = self.units
            raise Failure("ComputationalBudgetExceeded")
        self.used += units

    def _group(self) -> list[Call]:
        """Return the native instructions from here on, up to one that is not."""
        group: list[Call] = []
        for call in self.calls[self._index :]:
            if call.program in self.programs or call.program == COMPUTE_BUDGET:
                break
            group.append(call)
        return group

    def _native(self, group: list[Call], *, depth: int) -> None:
        """Run instructions in LiteSVM; leave `_index` at the one that failed, or the last."""
        terms = [] if self.heap is None else [request_heap_frame(self.heap)]
        first = len(terms) + 1
        terms.append(set_compute_unit_limit(max(self.units - self.used, 0) + first * BUDGET_UNITS))
        result, keys = self.bank.execute([*terms, *(_instruction(call) for call in group)])
        meta = result.meta() if isinstance(result, FailedTransactionMetadata) else result
        # Two lines and one inner list belong to each of the terms put in front.
        self.logs += [_deeper(line, depth - 1) for line in meta.logs()[2 * first :]]
        self.used += max(meta.compute_units_consumed() - first * BUDGET_UNITS, 0)
        for offset, made in enumerate(meta.inner_instructions()[first:]):
            for entry in made:
                height = (entry.stack_height() or 2) + depth - 1
                inner = _resolve(entry.instruction(), keys), height
                self.inner.setdefault(self._index + offset, []).append(inner)
        returned = meta.return_data()
        if returned.data:
            self.returned = (returned.program_id, returned.data)
        if isinstance(result, FailedTransactionMetadata):
            self._fail(json.loads(result.to_json())["err"], keys, first=first)
        self._index += len(group) - 1

    def _fail(self, err: Any, keys: list[Pubkey], *, first: int) -> NoReturn:
        """Translate an error of LiteSVM's transaction into one of ours."""
        match err:
            case {"InstructionError": [int(index), error]}:
                self._index += index - first
                raise Failure(error)
            case {"InsufficientFundsForRent": {"account_index": int(index)}}:
                index = self.keys.index(keys[index])
                raise _Whole({"InsufficientFundsForRent": {"account_index": index}})
            case _:
                raise _Whole(err)


class _Whole(Exception):
    """The transaction failed as a whole, not in one instruction."""

    def __init__(self, err: Any) -> None:
        super().__init__(str(err))
        self.err = err


def _instruction(call: Call) -> Instruction:
    metas = [AccountMeta(meta.key, meta.signer, meta.writable) for meta in call.metas]
    return Instruction(call.program, call.data, metas)


def _resolve(instruction: CompiledInstruction, keys: list[Pubkey]) -> Call:
    """Name the accounts of an inner instruction. Privileges are not told, and not needed."""
    return Call(
        program=keys[instruction.program_id_index],
        metas=tuple(
            Meta(key=keys[index], signer=False, writable=False) for index in instruction.accounts
        ),
        data=bytes(instruction.data),
    )


def _deeper(line: str, by: int) -> str:
    return _INVOKE.sub(lambda match: f"{match[1]} [{int(match[2]) + by}]", line) if by else line


def _consumed(program: Pubkey, before: int, after: int) -> str:
    return f"Program {program} consumed {before - after} of {before} compute units"


def _text(error: Any) -> str:
    if isinstance(error, dict):
        return f"custom program error: {error['Custom']:#x}"
    return _TEXTS.get(error, str(error))
