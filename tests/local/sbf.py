"""Small programs in ELF, made of single instructions: what the tests of `--program` load."""

from __future__ import annotations

import struct

from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey

from nosana_jupyter.chain.addresses import TOKEN
from nosana_jupyter.local.message import MEMO
from nosana_jupyter.local.placeholder import elf_of

HEAP = 3 << 32
DATA = 96
"""Where the data of the first account begin in a program's input."""

MOV, MOV_REGISTER, ADD, EXIT, CALL, ALWAYS = 0xB7, 0xBF, 0x07, 0x95, 0x85, 0x05
LOAD, STORE, STORE_VALUE = 0x79, 0x7B, 0x7A


def op(code: int, target: int = 0, source: int = 0, *, at: int = 0, value: int = 0) -> bytes:
    """Return one instruction. Registers are numbers; 10 points at the end of the stack."""
    return struct.pack("<BBhI", code, source << 4 | target, at, value & 0xFFFF_FFFF)


def address(register: int, value: int) -> bytes:
    """Put 64 bits into a register."""
    return op(0x18, register, value=value) + op(0, value=value >> 32)


def call(name: str) -> bytes:
    """Call a function of the runtime: its number is the hash of its name."""
    return op(CALL, value=murmur3(name.encode()))


def murmur3(data: bytes) -> int:
    """Return the 32-bit hash that names a function of the runtime."""
    total = 0

    def mixed(word: int) -> int:
        word = word * 0xCC9E2D51 & 0xFFFF_FFFF
        word = (word << 15 | word >> 17) & 0xFFFF_FFFF
        return word * 0x1B873593 & 0xFFFF_FFFF

    whole = len(data) // 4 * 4
    for start in range(0, whole, 4):
        total ^= mixed(int.from_bytes(data[start : start + 4], "little"))
        total = (total << 13 | total >> 19) & 0xFFFF_FFFF
        total = (total * 5 + 0xE6546B64) & 0xFFFF_FFFF
    if data[whole:]:
        total ^= mixed(int.from_bytes(data[whole:], "little"))
    total ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        total = (total ^ total >> shift) * factor & 0xFFFF_FFFF
    return total ^ total >> 16


def carried(key: Pubkey) -> bytes:
    """Return the ELF of a program that LiteSVM brings along."""
    svm = LiteSVM()
    account = svm.get_account(key)
    assert account is not None
    if account.data[:4] == b"\x7fELF":
        return account.data
    code = svm.get_account(Pubkey.from_bytes(account.data[4:36]))
    assert code is not None
    return code.data[45:]


SPL_TOKEN = carried(TOKEN)
SPL_MEMO = carried(MEMO[0])

# Adds one to the number its first account begins with; logs it as an event, and returns it.
COUNTER = elf_of(
    b"".join(
        [
            op(MOV_REGISTER, 6, 1),
            op(LOAD, 2, 6, at=DATA),
            op(ADD, 2, value=1),
            op(STORE, 6, 2, at=DATA),
            op(ADD, 6, value=DATA),
            op(STORE, 10, 6, at=-16),
            op(STORE_VALUE, 10, at=-8, value=8),
            op(MOV_REGISTER, 1, 10),
            op(ADD, 1, value=-16),
            op(MOV, 2, value=1),
            call("sol_log_data"),
            op(MOV_REGISTER, 1, 6),
            op(MOV, 2, value=8),
            call("sol_set_return_data"),
            op(MOV, 0),
            op(EXIT),
        ]
    ),
    b"",
)

# Calls the program that is its first account, without accounts and without data.
CALLER = elf_of(
    b"".join(
        [
            op(MOV_REGISTER, 6, 1),
            op(ADD, 6, value=16),
            op(STORE, 10, 6, at=-40),
            *(op(STORE_VALUE, 10, at=at) for at in (-32, -24, -16, -8)),
            op(MOV_REGISTER, 1, 10),
            op(ADD, 1, value=-40),
            *(op(MOV, register) for register in (2, 3, 4, 5)),
            call("sol_invoke_signed_c"),
            op(EXIT),
        ]
    ),
    b"",
)

# Writes behind the 32 KiB of memory that a program has unless a transaction asks for more.
GREEDY = elf_of(
    address(1, HEAP + 40_000) + op(STORE_VALUE, 1, value=1) + op(MOV, 0) + op(EXIT), b""
)

# Moves a lamport from its first account, which holds eight bytes, to its second.
SECOND = 8 + 88 + 8 + 10_240 + 8


def _add(value: int, *, at: int) -> bytes:
    return op(LOAD, 2, 1, at=at) + op(ADD, 2, value=value) + op(STORE, 1, 2, at=at)


DRAIN = elf_of(_add(-1, at=80) + _add(1, at=SECOND + 72) + op(MOV, 0) + op(EXIT), b"")

# Makes a lamport out of nothing.
MINTER = elf_of(_add(1, at=80) + op(MOV, 0) + op(EXIT), b"")

# Does nothing.
SILENT = elf_of(op(MOV, 0) + op(EXIT), b"")

# Never ends.
ENDLESS = elf_of(op(ALWAYS, at=-1) + op(EXIT), b"")


def complete(*, at: int) -> bytes:
    """
    Return a jobs program that knows `complete` only, and not what it refuses.

    Args:
        at: Where in the job it writes the result.
    """
    text = b"Instruction: Complete"
    second = DATA + 240 + 10_240 + 8
    argument = second + 88 + 10_240 + 8 + 8 + 8
    copied = [
        op(LOAD, 2, 6, at=argument + offset) + op(STORE, 6, 2, at=DATA + at + offset)
        for offset in range(0, 32, 8)
    ]
    said = [op(MOV, 1), op(MOV, 2, value=len(text)), call("sol_log_")]
    return elf_of(b"".join([op(MOV_REGISTER, 6, 1), *said, *copied, op(MOV, 0), op(EXIT)]), text)
