"""
A Solana ledger on this machine: real signatures, real SPL tokens, SQLite behind it.

Rule 1: a transaction lands as a whole or not at all. Accounts it may write are kept as they were
and put back when an instruction fails; a failed transaction that lands pays its fee.

Rule 2: what LiteSVM forgets is kept here. Blockhashes follow from a seed and the slot, so that a
restart loses none; signatures are unique in the file, so that none runs twice.

Rule 3: one commit per transaction. After `kill -9` the file holds all of it or nothing of it.

One thread at a time may use a ledger.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from solders.account import Account
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from ..chain.instructions import create_ata
from ..network import Programs
from . import genesis, lookups, tokens
from .admission import Refused, check_form, check_signatures, refused
from .attempt import Attempt, attempt, restore
from .deployed import load_programs
from .message import AnyMessage, BadTransaction, budget, calls
from .outcome import Outcome, Simulation, inner_json, record, returned_json
from .reading import Reading
from .runtime import Bank
from .slots import Slots
from .store import LedgerBroken, Store

__all__ = ["Ledger", "LedgerBroken", "Outcome", "Refused", "Simulation"]

Listener = Callable[[int, Mapping[Pubkey, Account | None], Signature, Any, list[str]], None]
"""Called after each commit: slot, changed accounts, signature, error, logs."""


class Ledger(Reading):
    """
    A Solana ledger with the Nosana programs.

    Args:
        path: File of the ledger. None keeps it in memory.
        programs: Where the Nosana programs and the NOS mint are.
        fee_divisor: 10 takes a tenth of a deposit as network fee, 0 takes none.
        duplicate_rule: Whether programs refuse the same account in two writable slots, as those
            of 2026 do.
        clock: Unix time, in seconds.
        deployed: Programs in ELF that run in place of our rules, by address.

    Raises:
        LedgerBroken: The file cannot be opened, or another process holds it.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        programs: Programs,
        fee_divisor: int = 0,
        duplicate_rule: bool = True,
        clock: Callable[[], float] = time.time,
        deployed: Mapping[Pubkey, bytes] = MappingProxyType({}),
    ) -> None:
        self.programs = programs
        self.mint_key = Pubkey.from_string(programs.mint)
        self._listeners: list[Listener] = []
        self._bank = Bank()
        self._stubs = genesis.stubs(programs)
        self._store = Store(path=path)
        self._slots = Slots(store=self._store, clock=clock)
        self.authority = Keypair.from_seed(hashlib.sha256(self._slots.seed + b"authority").digest())
        """The ledger's own key: mint authority of NOS, market admin, faucet."""

        self._programs = genesis.registry(
            programs,
            admin=self.authority.pubkey(),
            fee_divisor=fee_divisor,
            duplicate_rule=duplicate_rule,
        )
        for key, account in self._store.accounts():
            self._bank.put(key, account)
        if self._store.fact("genesis") is None:
            self.plant(genesis.accounts(programs, authority=self.authority.pubkey()))
            self._store.write(accounts={}, facts={"genesis": b"\x01"})
        if not self._store.count():
            first = genesis.transaction(programs, authority=self.authority.pubkey())
            self.submit(first, self.authority)
        load_programs(deployed, bank=self._bank, programs=self._programs, stubs=self._stubs)

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def plant(self, accounts: Mapping[Pubkey, Account]) -> None:
        """Put accounts into the ledger that no transaction made: those of its first day."""
        for key, account in accounts.items():
            self._bank.put(key, account)
        self._store.write(accounts=dict(accounts))

    def warp(self, seconds: float) -> None:
        """Move the time of the ledger forward. Blockhashes age with it."""
        self._slots.warp(seconds)

    # Transactions

    def send(self, tx: VersionedTransaction, *, skip_preflight: bool = False) -> Outcome:
        """
        Run a transaction and commit it.

        Args:
            tx: The transaction, signed.
            skip_preflight: Land it even if it fails. It then pays its fee.

        Returns:
            What became of it. For a transaction that has landed before and skips preflight, what
            became of it then.

        Raises:
            Refused: It did not land.
            LedgerBroken: It could not be written.
        """
        message = self._loaded(check_form(tx))
        check_signatures(tx)
        known = self._store.outcome(tx.signatures[0])
        if known is not None:
            if skip_preflight:
                return known
            raise refused("AlreadyProcessed")
        if not self.is_blockhash_valid(message.recent_blockhash):
            raise refused("BlockhashNotFound")
        return self._land(tx, message, skip_preflight=skip_preflight)

    def submit(self, instructions: Sequence[Instruction], *signers: Keypair) -> Outcome:
        """
        Sign and land instructions of the ledger's own services and tests; the first signer pays.

        Raises:
            Refused: It did not land.
        """
        # A blockhash of its own: the same instructions twice in a slot are two transactions.
        blockhash = Hash(os.urandom(32))
        message = Message.new_with_blockhash(instructions, signers[0].pubkey(), blockhash)
        return self._land(
            VersionedTransaction(message, list(signers)), message, skip_preflight=False
        )

    def simulate(
        self,
        tx: VersionedTransaction,
        *,
        sig_verify: bool = False,
        replace_blockhash: bool = False,
        accounts: Iterable[Pubkey] = (),
    ) -> Simulation:
        """
        Run a transaction and undo it.

        Raises:
            Refused: It is malformed, or its signatures are asked for and bad.
        """
        message = self._loaded(check_form(tx))
        if sig_verify:
            check_signatures(tx)
        slot, wanted = self.slot(), list(accounts)
        try:
            if not replace_blockhash and not self.is_blockhash_valid(message.recent_blockhash):
                raise BadTransaction("BlockhashNotFound")
            done = self._attempt(message)
        except BadTransaction as bad:
            return Simulation(
                slot=slot,
                err=bad.err,
                logs=[],
                units=0,
                fee=0,
                inner=[],
                accounts=[self.get_account(key) for key in wanted],
            )
        seen = [self.get_account(key) for key in wanted]
        restore(done.before, bank=self._bank)
        return Simulation(
            slot=slot,
            err=done.err,
            logs=done.execution.logs,
            units=done.execution.used,
            fee=done.fee,
            inner=inner_json(done.execution),
            accounts=seen,
            returned=returned_json(done.execution),
            replacement=self.latest_blockhash() if replace_blockhash else None,
        )

    def fee(self, message: AnyMessage) -> int:
        """
        Return the fee of a message, in lamports.

        Raises:
            Refused: Its compute budget is malformed.
        """
        try:
            asked = budget(calls(self._loaded(message)))
        except BadTransaction as bad:
            raise refused(bad.err) from bad
        return asked.fee(signatures=message.header.num_required_signatures)

    def _loaded(self, message: AnyMessage) -> AnyMessage:
        return lookups.load(message, read=self.get_account, slot=self.slot())

    def _attempt(self, message: AnyMessage) -> Attempt:
        if lookups.PROGRAM in message.account_keys:
            lookups.show_slots(self._bank, slot=self.slot(), blockhash=self._slots.blockhash)
        return attempt(
            message,
            bank=self._bank,
            programs=self._programs,
            slot=self.slot(),
            unix=int(self.now()),
        )

    def _land(
        self, tx: VersionedTransaction, message: AnyMessage, *, skip_preflight: bool
    ) -> Outcome:
        """Run a transaction whose right to land has been checked, and commit it."""
        try:
            done = self._attempt(message)
        except BadTransaction as bad:
            raise refused(bad.err) from bad
        execution = done.execution
        if done.err is not None and not skip_preflight:
            restore(done.before, bank=self._bank)
            raise refused(done.err, logs=execution.logs, units=execution.used)
        outcome = record(tx, message, done, slot=self.slot(), bank=self._bank)
        changed = done.changed()
        self._store.write(
            accounts=changed,
            facts=self._slots.facts(),
            outcome=outcome,
            parts=message.account_keys,
        )
        for listener in list(self._listeners):
            listener(outcome.slot, changed, tx.signatures[0], outcome.err, outcome.logs)
        return outcome

    def on_change(self, listener: Listener) -> Callable[[], None]:
        """
        Call `listener` after each commit.

        Returns:
            What stops it.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # Faucet

    def airdrop(self, key: Pubkey, lamports: int) -> Outcome:
        """
        Give SOL to an account.

        Raises:
            Refused: The amount leaves it below the rent exemption, or is more than there is.
        """
        move = TransferParams(from_pubkey=self.authority.pubkey(), to_pubkey=key, lamports=lamports)
        return self.submit([transfer(move)], self.authority)

    def mint(self, owner: Pubkey, amount: int, mint: Pubkey | None = None) -> Outcome:
        """Give micro-NOS, or what `mint` names, to a wallet, into its associated account."""
        payer, mint = self.authority.pubkey(), mint or self.mint_key
        account = tokens.associated(owner, mint)
        instructions = [
            create_ata(payer=payer, owner=owner, mint=mint),
            tokens.mint_to(mint=mint, account=account, authority=payer, amount=amount),
        ]
        return self.submit(instructions, self.authority)
