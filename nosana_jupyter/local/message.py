"""
What a transaction says before it runs: privileges, compute budget, fee.

LiteSVM answers these for its own transactions; ours mixes programs that LiteSVM runs with
programs that Python runs, so the questions are asked here once for the whole transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from solders.compute_budget import ID as COMPUTE_BUDGET
from solders.hash import Hash
from solders.instruction import CompiledInstruction
from solders.message import Message, MessageHeader, MessageV0
from solders.pubkey import Pubkey


@dataclass(frozen=True, slots=True)
class LoadedMessage:
    """A message, and the accounts that it names by their places in lookup tables."""

    message: MessageV0
    writable: tuple[Pubkey, ...]
    readonly: tuple[Pubkey, ...]

    @property
    def account_keys(self) -> list[Pubkey]:
        """All accounts, in the order that instructions count them."""
        return [*self.message.account_keys, *self.writable, *self.readonly]

    @property
    def header(self) -> MessageHeader:
        return self.message.header

    @property
    def instructions(self) -> Sequence[CompiledInstruction]:
        return self.message.instructions

    @property
    def recent_blockhash(self) -> Hash:
        return self.message.recent_blockhash


AnyMessage = Message | MessageV0 | LoadedMessage

MEMO = (
    Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"),
    Pubkey.from_string("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"),
)

LAMPORTS_PER_SIGNATURE = 5000
UNITS_PER_INSTRUCTION = 200_000
UNITS_MAXIMUM = 1_400_000
HEAP_MAXIMUM = 256 * 1024

# Native programs and sysvars: never writable, whatever a message claims.
RESERVED = frozenset(
    Pubkey.from_string(text)
    for text in (
        "11111111111111111111111111111111",
        "AddressLookupTab1e1111111111111111111111111",
        "BPFLoader1111111111111111111111111111111111",
        "BPFLoader2111111111111111111111111111111111",
        "BPFLoaderUpgradeab1e11111111111111111111111",
        "ComputeBudget111111111111111111111111111111",
        "Config1111111111111111111111111111111111111",
        "Ed25519SigVerify111111111111111111111111111",
        "Feature111111111111111111111111111111111111",
        "KeccakSecp256k11111111111111111111111111111",
        "LoaderV411111111111111111111111111111111111",
        "NativeLoader1111111111111111111111111111111",
        "Stake11111111111111111111111111111111111111",
        "StakeConfig11111111111111111111111111111111",
        "Sysvar1111111111111111111111111111111111111",
        "Sysvar1nstructions1111111111111111111111111",
        "SysvarC1ock11111111111111111111111111111111",
        "SysvarEpochRewards1111111111111111111111111",
        "SysvarEpochSchedu1e111111111111111111111111",
        "SysvarFees111111111111111111111111111111111",
        "SysvarLastRestartS1ot1111111111111111111111",
        "SysvarRecentB1ockHashes11111111111111111111",
        "SysvarRent111111111111111111111111111111111",
        "SysvarRewards111111111111111111111111111111",
        "SysvarS1otHashes111111111111111111111111111",
        "SysvarS1otHistory11111111111111111111111111",
        "SysvarStakeHistory1111111111111111111111111",
        "Vote111111111111111111111111111111111111111",
    )
)


class BadTransaction(Exception):
    """The transaction cannot land: no fee is taken and nothing is recorded."""

    def __init__(self, err: Any) -> None:
        super().__init__(str(err))
        self.err = err


@dataclass(frozen=True, kw_only=True, slots=True)
class Meta:
    """One account of one instruction, with the privileges it has there."""

    key: Pubkey
    signer: bool
    writable: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One instruction, with its accounts resolved."""

    program: Pubkey
    metas: tuple[Meta, ...]
    data: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What a transaction asked of the compute budget program."""

    units: int
    """Most compute units the transaction may consume."""

    price: int
    """Price of one compute unit, in micro-lamports."""

    heap: int | None = None
    """Bytes of memory asked for each program, where they are not the usual ones."""

    def fee(self, *, signatures: int) -> int:
        """Fee of the transaction, in lamports."""
        return signatures * LAMPORTS_PER_SIGNATURE + -(-self.units * self.price // 1_000_000)


def writable(message: AnyMessage) -> tuple[bool, ...]:
    """Say of each account of the message whether it may be written."""
    header = message.header
    signers = header.num_required_signatures
    keys = message.account_keys
    called = {instruction.program_id_index for instruction in message.instructions}
    named = lent = len(keys)
    if isinstance(message, LoadedMessage):
        named = len(message.message.account_keys)
        lent = named + len(message.writable)

    def one(index: int, key: Pubkey) -> bool:
        if index < signers:
            asked = index < signers - header.num_readonly_signed_accounts
        elif index < named:
            asked = index < named - header.num_readonly_unsigned_accounts
        else:
            asked = index < lent
        return asked and key not in RESERVED and index not in called

    return tuple(one(index, key) for index, key in enumerate(keys))


def calls(message: AnyMessage) -> list[Call]:
    """Resolve the instructions of a message."""
    keys = message.account_keys
    signers = message.header.num_required_signatures
    may_write = writable(message)
    return [
        Call(
            program=keys[instruction.program_id_index],
            metas=tuple(
                Meta(key=keys[index], signer=index < signers, writable=may_write[index])
                for index in instruction.accounts
            ),
            data=bytes(instruction.data),
        )
        for instruction in message.instructions
    ]


def budget(all_calls: list[Call]) -> Budget:
    """
    Read the compute budget of a transaction.

    Raises:
        BadTransaction: A compute budget instruction is malformed or given twice.
    """
    seen: dict[int, int] = {}
    others = 0
    for index, call in enumerate(all_calls):
        if call.program != COMPUTE_BUDGET:
            others += 1
            continue
        tag = call.data[0] if call.data else -1
        width = {1: 4, 2: 4, 3: 8, 4: 4}.get(tag)
        if width is None or len(call.data) < 1 + width:
            raise BadTransaction({"InstructionError": [index, "InvalidInstructionData"]})
        if tag in seen:
            raise BadTransaction({"DuplicateInstruction": index})
        seen[tag] = int.from_bytes(call.data[1 : 1 + width], "little")
        if tag == 1 and (seen[tag] % 1024 or not 32 * 1024 <= seen[tag] <= HEAP_MAXIMUM):
            raise BadTransaction({"InstructionError": [index, "InvalidInstructionData"]})
    units = min(seen.get(2, UNITS_PER_INSTRUCTION * others), UNITS_MAXIMUM)
    return Budget(units=units, price=seen.get(3, 0), heap=seen.get(1))
