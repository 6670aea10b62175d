"""
What stands in LiteSVM for a program whose rules are in Python: an ELF that only says so.

A program in ELF needs to find the programs it may call. It reaches them inside LiteSVM, from where
no way leads back to Python.
"""

from __future__ import annotations

import struct


def _placeholder(text: bytes) -> bytes:
    """Return an ELF that logs a text and fails with IncorrectProgramId."""
    code = b"".join(
        struct.pack("<BBhI", operation, register, 0, value)
        for operation, register, value in (
            (0xB7, 1, 0),  # r1 = 0, where the text lies
            (0xB7, 2, len(text)),
            (0x85, 0, 0x207559BD),  # sol_log_
            (0x18, 0, 0),  # r0 = 7 << 32
            (0x00, 0, 7),
            (0x95, 0, 0),  # exit
        )
    )
    return elf_of(code, text)


def elf_of(code: bytes, data: bytes) -> bytes:
    """Return an ELF of SBPF version 3: its data lies at address 0, it starts at its first byte."""
    data = data.ljust(-(-len(data) // 8) * 8, b"\0")
    first = 64 + 2 * 56
    text = 1 << 32
    return b"".join(
        (
            b"\x7fELF\x02\x01\x01".ljust(16, b"\0"),
            struct.pack("<HHIQQQIHHHHHH", 3, 247, 1, text, 64, 0, 3, 64, 56, 2, 0, 0, 0),
            struct.pack("<IIQQQQQQ", 1, 4, first, 0, 0, len(data), len(data), 0),
            struct.pack("<IIQQ", 1, 1, first + len(data), text),
            struct.pack("<QQQQ", text, len(code), len(code), 0),
            data,
            code,
        )
    )


PLACEHOLDER = _placeholder(
    b"our rules cannot be called by a program in ELF: load this one as well, with --program"
)
"""What stands in LiteSVM for a program whose rules are in Python."""
