"""
A ledger that runs each transaction twice, by our rules and by other programs, and compares.

Ours decides what goes on. Before each transaction the other side gets the accounts as ours has
them, so that one difference does not make hundreds. Nobody signs: the programs know their
administrators by address, and nobody here has those keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from differences import Row, compare, label, outcome
from solders.hash import Hash
from solders.instruction import Instruction
from solders.message import Message
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from nosana_jupyter.local import genesis
from nosana_jupyter.local.attempt import Attempt, attempt
from nosana_jupyter.local.deployed import load_programs
from nosana_jupyter.local.ledger import Ledger, Outcome
from nosana_jupyter.local.message import AnyMessage
from nosana_jupyter.local.runtime import Bank, Program
from nosana_jupyter.local.staking import StakingConfig, staking_program
from nosana_jupyter.network import MAINNET

ADMIN = Pubkey.from_string("AdmMVMMU3po5BP3bVWsF9GgN6NNEfpfxpTDGTzjgb72S")
"""May use the instructions of the jobs program that end in `_admin`."""

AUTHORITY = Pubkey.from_string("NosanarMxfrZbyCx5CotBVrzxiPcrnhj6ickpX9vRkB")
TOKEN_ACCOUNT = Pubkey.from_string("A9V8JkR5HihvFpHq1ZbwrpPAGBhsGfeWw5TVcUdGf2dg")
"""First authority of the staking settings, and first destination of what is slashed."""

Programs = dict[Pubkey, Program]


@dataclass(frozen=True, kw_only=True)
class Build:
    """What differs between the builds of the programs that may be deployed."""

    fee_divisor: int
    duplicate_rule: bool

    def __str__(self) -> str:
        fee = 100 // self.fee_divisor if self.fee_divisor else 0
        rule = "with" if self.duplicate_rule else "without"
        return f"a network fee of {fee} %, {rule} the rule of 2026 on duplicate accounts"


@dataclass
class Report:
    """What a comparison has found."""

    watched: frozenset[Pubkey]
    """Programs that are compared."""

    scenario: str = ""
    """What runs now."""

    rows: list[Row] = field(default_factory=list)
    transactions: int = 0
    seen: dict[str, set[str]] = field(default_factory=dict)
    """Outcomes of ours, by instruction."""

    units: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Most compute units of ours and of theirs, by instruction."""

    @property
    def share(self) -> float:
        """Differences by transaction."""
        return len(self.rows) / max(self.transactions, 1)

    def take(self, message: AnyMessage, ours: Attempt, theirs: Attempt) -> None:
        """Compare one transaction."""
        self.transactions += 1
        name = label(ours.execution.calls)
        self.seen.setdefault(name, set()).add(outcome(ours))
        if ours.err is None and theirs.err is None:
            most = self.units.get(name, (0, 0))
            used = ours.execution.used, theirs.execution.used
            self.units[name] = max(most[0], used[0]), max(most[1], used[1])
        for what, left, right in compare(ours, theirs):
            row = Row(scenario=self.scenario, instruction=name, field=what, ours=left, theirs=right)
            self.rows.append(row)


class Puppet:
    """An address that signs, as far as anyone here asks."""

    def __init__(self, key: Pubkey) -> None:
        self.key = key

    def pubkey(self) -> Pubkey:
        """Return the address, as a key pair does."""
        return self.key


class Twin(Ledger):
    """
    A ledger with another side.

    Args:
        report: Where the differences go.
        others: Programs in ELF that the other side runs, by address.
        alter: Changes rules of the other side, to see that it is seen.
    """

    def __init__(
        self,
        *args: Any,
        report: Report,
        others: Mapping[Pubkey, bytes],
        alter: Callable[[Programs], None] = lambda _: None,
        **terms: Any,
    ) -> None:
        self.report = report
        self._count = 0
        self._other: Bank | None = None
        super().__init__(*args, **terms)
        rule = terms["duplicate_rule"]
        config = StakingConfig(
            stake=Pubkey.from_string(MAINNET.programs.stake),
            rewards=Pubkey.from_string(MAINNET.programs.rewards),
            mint=self.mint_key,
            authority=AUTHORITY,
            token_account=TOKEN_ACCOUNT,
        )
        self._programs = genesis.registry(
            self.programs, admin=ADMIN, fee_divisor=terms["fee_divisor"], duplicate_rule=rule
        ) | {config.stake: staking_program(config, duplicate_rule=rule)}
        self._theirs = dict(self._programs)
        alter(self._theirs)
        self._other = Bank()
        load_programs(others, bank=self._other, programs=self._theirs, stubs={})

    @property
    def authority(self) -> Puppet:
        """The administrator, whom the deployed programs know."""
        return Puppet(ADMIN)

    @authority.setter
    def authority(self, key: object) -> None:
        """Refuse a key of our own."""

    def submit(self, instructions: Sequence[Instruction], *signers: Any) -> Outcome:
        """Land instructions that nobody has signed."""
        self._count += 1
        digest = hashlib.sha512(self._count.to_bytes(8, "little")).digest()
        message = Message.new_with_blockhash(instructions, signers[0].pubkey(), Hash(digest[:32]))
        others = message.header.num_required_signatures - 1
        signatures = [Signature(digest), *([Signature.default()] * others)]
        tx = VersionedTransaction.populate(message, signatures)
        return self._land(tx, message, skip_preflight=False)

    def _attempt(self, message: AnyMessage) -> Attempt:
        keys = message.account_keys
        if self._other is None or self.report.watched.isdisjoint(keys):
            return super()._attempt(message)
        for key in keys:
            account, other = self._bank.get(key), self._other.get(key)
            # Programs and sysvars are each side's own.
            if account != other and not (account or other).executable:
                self._other.put(key, account)
        ours = super()._attempt(message)
        theirs = attempt(
            message,
            bank=self._other,
            programs=self._theirs,
            slot=self.slot(),
            unix=int(self.now()),
        )
        self.report.take(message, ours, theirs)
        return ours
