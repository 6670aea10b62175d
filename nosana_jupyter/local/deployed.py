"""
Deployed programs: ELF files that LiteSVM runs in place of our rules.

Rule 1: a file is copied into the network's folder when it is named, and used from there until it
is taken away again. What ran yesterday runs today, wherever the file has gone.

Rule 2: the first day of a network is made by our rules, whatever is loaded: its accounts have the
layout of the deployed programs.

Rule 3: our rules may call a program in ELF, but not the other way round: what a program in ELF
calls is run by LiteSVM, which does not come back to Python. A placeholder says so in the logs.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from solders.account import Account
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey

from ..errors import UsageError
from ..network import Programs
from .message import RESERVED
from .placeholder import PLACEHOLDER
from .runtime import Bank, Program

SUFFIX = ".so"
LARGEST = 10 << 20
"""Most bytes of a program: those of an account."""

_BPF = {247, 263}
"""Machines of an ELF that Solana runs."""


def name_programs(folder: Path, asked: Iterable[str], *, programs: Programs, fee: int) -> None:
    """
    Keep what `--program` asks for.

    Args:
        folder: Where the network keeps its programs.
        asked: `ADDRESS=FILE`, or `ADDRESS=` for our rules again.
        programs: Addresses of Nosana's programs.
        fee: Network fee of our rules, in percent.

    Raises:
        UsageError: An address or a file is none, or a program lacks another that it calls. Then
            everything is as before.
    """
    before = read_programs(folder)
    loaded = dict(before)
    for each in asked:
        address, equals, file = each.partition("=")
        key = _address(address)
        if not equals:
            raise UsageError(
                f"--program {each} names no file",
                hint="Say --program ADDRESS=FILE, or --program ADDRESS= for our rules again.",
            )
        if file:
            loaded[key] = _read(Path(file).expanduser(), key)
        else:
            loaded.pop(key, None)
    _check_partners(loaded, programs, fee=fee)
    folder.mkdir(mode=0o700, exist_ok=True)
    for key, elf in loaded.items():
        if before.get(key) != elf:
            _path(folder, key).write_bytes(elf)
    for key in before.keys() - loaded.keys():
        _path(folder, key).unlink()


def read_programs(folder: Path) -> dict[Pubkey, bytes]:
    """Return the programs a network keeps, by address."""
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    return {Pubkey.from_string(path.stem): path.read_bytes() for path in paths}


def describe_programs(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each program a network keeps, by address."""
    kept = read_programs(folder).items()
    return {str(key): hashlib.sha256(elf).hexdigest() for key, elf in kept}


def load_programs(
    elfs: Mapping[Pubkey, bytes],
    *,
    bank: Bank,
    programs: dict[Pubkey, Program],
    stubs: dict[Pubkey, Account],
) -> None:
    """
    Load programs into the bank, and take away what they replace.

    Args:
        elfs: Programs, by address.
        bank: Where they will run.
        programs: Programs in Python. Those left are still called by transactions, and by each
            other.
        stubs: What is shown of programs that LiteSVM does not hold.
    """
    for key, elf in elfs.items():
        bank.load(key, elf)
        programs.pop(key, None)
        stubs.pop(key, None)
    for key in programs if elfs else ():
        bank.load(key, PLACEHOLDER)


def _path(folder: Path, key: Pubkey) -> Path:
    return folder / f"{key}{SUFFIX}"


def _address(text: str) -> Pubkey:
    try:
        key = Pubkey.from_string(text)
    except ValueError:
        raise UsageError(f"{text!r} is no address of a program") from None
    if key in RESERVED:
        raise UsageError(f"{key} is part of Solana, and is never loaded from a file")
    return key


def _read(path: Path, key: Pubkey) -> bytes:
    try:
        elf = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    check_elf(elf, name=str(path), key=key)
    return elf


def check_elf(elf: bytes, *, name: str, key: Pubkey) -> None:
    """
    Refuse what is not a program that LiteSVM can load.

    Args:
        elf: The bytes.
        name: What an error calls them.
        key: Where the program will be.

    Raises:
        UsageError: It is not, and why.
    """
    hint = f"Get it with `solana program dump -u mainnet-beta {key} FILE`."
    if elf[:7] != b"\x7fELF\x02\x01\x01" or len(elf) < 64:
        raise UsageError(f"{name} is no ELF file of 64 bits", hint=hint)
    if len(elf) > LARGEST:
        raise UsageError(f"{name} has {len(elf)} bytes; a program has at most {LARGEST}")
    machine = struct.unpack_from("<H", elf, 18)[0]
    if machine not in _BPF:
        raise UsageError(f"{name} is made for another machine (number {machine})", hint=hint)
    try:
        LiteSVM().add_program(key, elf)
    except Exception as error:
        # solders raises a class of its own, which it does not export.
        if type(error).__name__ != "LiteSVMError":
            raise
        raise UsageError(f"{name} cannot be loaded: {error}", hint=hint) from None


def _check_partners(loaded: Mapping[Pubkey, bytes], programs: Programs, *, fee: int) -> None:
    """Refuse a program that is going to call one which is not loaded."""
    jobs, rewards = (Pubkey.from_string(text) for text in (programs.jobs, programs.rewards))
    if fee and jobs in loaded and rewards not in loaded:
        raise UsageError(
            f"with a network fee of {fee} % the jobs program in ELF calls the rewards program,"
            " which cannot be our rules then",
            hint=f"Load it as well: --program {rewards}=FILE. Or start with --fee 0.",
        )
