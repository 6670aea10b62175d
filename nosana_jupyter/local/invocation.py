"""
What a program in Python sees of one instruction, and what it may do.

A program works on copies of its accounts. They are checked against the rules a validator keeps
(privileges, ownership, lamports in = lamports out) and written to the bank when the program
returns, and before it calls another program. A program in `local/` is not trusted with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from solders.account import Account
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM

from .message import Call

U64 = 1 << 64


class Failure(Exception):
    """
    An instruction failed, so the transaction did.

    Args:
        error: The error in the form the RPC gives it: a name, or `{"Custom": number}`.
        logs: Lines the program logs before it fails.
    """

    def __init__(self, error: Any, *logs: str) -> None:
        super().__init__(str(error))
        self.error = error
        self.logs = logs


def panic(message: str) -> Failure:
    """Return the failure of a program that panics, as Rust arithmetic does on overflow."""
    return Failure("ProgramFailedToComplete", f"Program log: panicked at '{message}'")


class Accounts(Protocol):
    """Where accounts live. `None` is an account that does not exist."""

    def get(self, key: Pubkey) -> Account | None: ...
    def put(self, key: Pubkey, account: Account | None) -> None: ...


class Stack(Protocol):
    """The transaction around an instruction."""

    logs: list[str]
    now: int

    @property
    def bank(self) -> Accounts: ...
    def invoke(self, call: Call, *, depth: int) -> None: ...
    def consume(self, units: int) -> None: ...


@dataclass(slots=True)
class View:
    """One account as a Python program sees it. Programs change `lamports`, `data`, `owner`."""

    key: Pubkey
    signer: bool
    writable: bool
    lamports: int = 0
    data: bytes = b""
    owner: Pubkey = SYSTEM

    synced: tuple[int, bytes, Pubkey] = (0, b"", SYSTEM)
    """What the bank holds: lamports, data, owner."""

    def load(self, account: Account | None) -> None:
        """Take over what the bank holds."""
        if account is None:
            self.lamports, self.data, self.owner = 0, b"", SYSTEM
        else:
            self.lamports, self.data, self.owner = account.lamports, account.data, account.owner
        self.synced = (self.lamports, self.data, self.owner)

    def check(self, program: Pubkey) -> None:
        """
        Refuse what a validator refuses a program to change.

        Raises:
            Failure: The account is not writable, or not the program's own.
        """
        lamports, data, owner = self.synced
        if (lamports, data, owner) == (self.lamports, self.data, self.owner):
            return
        owned = owner == program
        if self.owner != owner and not (owned and self.writable and not any(self.data)):
            raise Failure("ModifiedProgramId")
        if self.data != data and not self.writable:
            raise Failure("ReadonlyDataModified")
        if self.data != data and not owned:
            raise Failure("ExternalAccountDataModified")
        if self.lamports != lamports and not self.writable:
            raise Failure("ReadonlyLamportChange")
        if self.lamports < lamports and not owned:
            raise Failure("ExternalAccountLamportSpend")
        if not 0 <= self.lamports < U64:
            raise Failure("ArithmeticOverflow")


class Invocation:
    """
    One instruction of a Python program: what the program sees and may do.

    Args:
        execution: The transaction it is part of.
        call: The instruction.
        depth: Height of the stack, 1 for an instruction of the transaction itself.
    """

    def __init__(self, execution: Stack, call: Call, *, depth: int) -> None:
        self.program = call.program
        self.data = call.data
        self.metas = call.metas
        self.now = execution.now
        self._execution = execution
        self._depth = depth
        self.views: dict[Pubkey, View] = {}
        for meta in call.metas:
            known = self.views.get(meta.key)
            if known is None:
                self.views[meta.key] = View(meta.key, meta.signer, meta.writable)
            else:
                known.signer |= meta.signer
                known.writable |= meta.writable
        self._read()

    def log(self, text: str) -> None:
        """Log a line."""
        self._execution.logs.append(f"Program log: {text}")

    def consume(self, units: int) -> None:
        """Count compute units."""
        self._execution.consume(units)

    def call(self, call: Call, *, seeds: Sequence[Sequence[bytes]] = ()) -> None:
        """
        Call another program.

        Args:
            call: The instruction.
            seeds: Seeds, bump included, of addresses of this program that sign.

        Raises:
            Failure: The call asks for privileges this instruction does not have, or it failed.
        """
        own = {Pubkey.create_program_address(list(each), self.program) for each in seeds}
        for meta in call.metas:
            view = self.views.get(meta.key)
            if view is None:
                line = f"Instruction references an unknown account {meta.key}"
                raise Failure("MissingAccount", line)
            if meta.writable and not view.writable:
                line = f"{meta.key}'s writable privilege escalated"
                raise Failure("PrivilegeEscalation", line)
            if meta.signer and not view.signer and meta.key not in own:
                line = f"{meta.key}'s signer privilege escalated"
                raise Failure("PrivilegeEscalation", line)
        if call.program not in self.views:
            raise Failure("MissingAccount", f"Unknown program {call.program}")
        self.write_back()
        self._execution.invoke(call, depth=self._depth + 1)
        self._read()

    def write_back(self) -> None:
        """
        Check what the program changed and put it into the bank.

        Raises:
            Failure: The program changed what it may not.
        """
        for view in self.views.values():
            view.check(self.program)
        if sum(view.lamports - view.synced[0] for view in self.views.values()):
            raise Failure("UnbalancedInstruction")
        for view in self.views.values():
            if view.synced != (view.lamports, view.data, view.owner):
                account = Account(lamports=view.lamports, data=view.data, owner=view.owner)
                self._execution.bank.put(view.key, account if view.lamports else None)
                view.synced = (view.lamports, view.data, view.owner)

    def _read(self) -> None:
        for view in self.views.values():
            view.load(self._execution.bank.get(view.key))
