"""
Bytes of the accounts of Nosana's programs, and what they mean.

Layouts are Borsh, little-endian, behind an 8-byte discriminator. Accounts are allocated larger than
what they hold, and a queue that has shrunk leaves old keys behind: decoding ignores what follows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import ClassVar, Self

from solders.pubkey import Pubkey

from ..errors import RemoteProtocolError
from ..units import Lamports

ZERO = Pubkey.default()
"""The System program's address: 32 zero bytes, which here mean "none"."""


class JobState(IntEnum):
    """States of a job. The chain stores 0, 2 and 3."""

    QUEUED = 0
    RUNNING = 1
    """Never stored: a queued job that a run account points at."""

    DONE = 2
    STOPPED = 3


class QueueType(IntEnum):
    """What a market's queue holds."""

    JOBS = 0
    NODES = 1
    EMPTY = 255


def rent(size: int) -> Lamports:
    """Return the lamports that make an account of `size` bytes exempt from rent."""
    return Lamports((128 + size) * 6960)


def discriminator(struct: str) -> bytes:
    """Return the first bytes of an account, from the name of its struct."""
    return hashlib.sha256(f"account:{struct}".encode()).digest()[:8]


_SIZES = {"u8": 1, "bool": 1, "u64": 8, "i64": 8, "u128": 16, "key": 32, "hash": 32}


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Base of every account: encodes and decodes by its layout."""

    DISCRIMINATOR: ClassVar[bytes]
    SIZE: ClassVar[int]
    """Allocated size, in bytes."""

    LAYOUT: ClassVar[tuple[str, ...]]
    """Types of the fields, in order."""

    def encode(self) -> bytes:
        """Return the bytes of the account, without padding."""
        parts = [self.DISCRIMINATOR]
        for field, kind in zip(fields(self), self.LAYOUT, strict=True):
            value = getattr(self, field.name)
            if kind == "keys":
                parts.append(len(value).to_bytes(4, "little"))
                parts.extend(bytes(key) for key in value)
            else:
                parts.append(_encode(kind, value))
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """
        Read an account.

        Raises:
            RemoteProtocolError: The bytes are too short, or of another kind of account.
        """
        if data[:8] != cls.DISCRIMINATOR:
            raise RemoteProtocolError(f"this is no {cls.__name__.lower()} account")
        values: dict[str, object] = {}
        offset = 8
        for field, kind in zip(fields(cls), cls.LAYOUT, strict=True):
            size = _SIZES.get(kind, 4)
            piece = data[offset : offset + size]
            if len(piece) < size:
                raise RemoteProtocolError(
                    f"a {cls.__name__.lower()} account of {len(data)} bytes is too short"
                )
            offset += size
            if kind == "keys":
                count = int.from_bytes(piece, "little")
                if offset + 32 * count > len(data):
                    raise RemoteProtocolError(f"a queue of {count} is longer than its account")
                values[field.name] = tuple(
                    Pubkey(data[offset + 32 * i : offset + 32 * (i + 1)]) for i in range(count)
                )
                offset += 32 * count
            else:
                values[field.name] = _decode(kind, piece)
        return cls(**values)


def _encode(kind: str, value: object) -> bytes:
    if kind == "key" or kind == "hash":
        data = bytes(value)  # type: ignore[call-overload]  # a key or bytes
        if len(data) != 32:
            raise ValueError(f"{len(data)} bytes where 32 are due")
        return bytes(data)
    return int(value).to_bytes(  # type: ignore[call-overload, no-any-return]  # an integer
        _SIZES[kind], "little", signed=kind[0] == "i"
    )


def _decode(kind: str, data: bytes) -> object:
    if kind == "key":
        return Pubkey(data)
    if kind == "hash":
        return bytes(data)
    number = int.from_bytes(data, "little", signed=kind[0] == "i")
    return bool(number) if kind == "bool" else number


@dataclass(frozen=True, kw_only=True, slots=True)
class Market(Account):
    """A market: a price, a queue of jobs or of nodes, and a vault for deposits."""

    DISCRIMINATOR = discriminator("MarketAccount")
    SIZE = 10_224
    LAYOUT = (
        "key", "i64", "u64", "i64", "u8", "key", "u8", "key", "u128", "u8", "keys",
    )  # fmt: skip

    authority: Pubkey
    job_expiration: int
    """Seconds after its end when anybody may clean a job."""

    job_price: int
    """Micro-NOS per second."""

    job_timeout: int
    """Seconds; informational only."""

    job_type: int
    vault: Pubkey
    vault_bump: int
    node_access_key: Pubkey
    """Collection that a node must hold a token of; zero is open to all."""

    node_xnos_minimum: int
    queue_type: int
    """See `QueueType`."""

    queue: tuple[Pubkey, ...]
    """Jobs, or nodes, in order of arrival."""

    FRONT: ClassVar[int] = 183
    """Bytes up to the end of the first key in the queue."""

    @classmethod
    def front(cls, data: bytes) -> tuple[Self, int]:
        """
        Read a market of which only the first `FRONT` bytes are there.

        Returns:
            The market with the first of its queue alone, and how many wait in it.

        Raises:
            RemoteProtocolError: The bytes are too short, or of another kind of account.
        """
        at = cls.FRONT - 36
        waiting = int.from_bytes(data[at : at + 4], "little")
        alone = data[:at] + min(waiting, 1).to_bytes(4, "little") + data[at + 4 :]
        return cls.decode(alone), waiting


@dataclass(frozen=True, kw_only=True, slots=True)
class Job(Account):
    """One posted job."""

    DISCRIMINATOR = discriminator("JobAccount")
    SIZE = 240
    LAYOUT = (
        "hash", "hash", "key", "key", "key", "u64", "key", "u8", "i64", "i64", "i64",
    )  # fmt: skip

    ipfs_job: bytes
    """SHA-256 digest of the definition's content id."""

    ipfs_result: bytes
    """Digest of the result's; zeros while there is none."""

    market: Pubkey
    node: Pubkey
    """Zero until the end, also while the job runs."""

    payer: Pubkey
    """Who paid rent and NOS."""

    price: int
    """Micro-NOS per second, as it was when the job was listed."""

    project: Pubkey
    """Who listed the job."""

    state: int
    """See `JobState`."""

    time_end: int
    """Unix seconds; 0 until the end."""

    time_start: int
    """Unix seconds; 0 until the end."""

    timeout: int
    """Seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run(Account):
    """Exists while a node works on a job."""

    DISCRIMINATOR = discriminator("RunAccount")
    SIZE = 120
    LAYOUT = ("key", "key", "key", "u8", "i64")

    job: Pubkey
    node: Pubkey
    payer: Pubkey
    """Who gets its rent back."""

    state: int
    """Always 0; unused."""

    time: int
    """Unix seconds of its creation: from here on the job is paid for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stake(Account):
    """Locked NOS of one owner."""

    DISCRIMINATOR = discriminator("StakeAccount")
    SIZE = 120
    LAYOUT = ("u64", "key", "u64", "i64", "key", "u8", "u128")

    amount: int
    """Micro-NOS."""

    authority: Pubkey
    duration: int
    """Seconds that unstaking takes."""

    time_unstake: int
    """Unix seconds; 0 while active."""

    vault: Pubkey
    vault_bump: int
    xnos: int
    """Weight: the amount times one to four."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings(Account):
    """Settings of the staking program."""

    DISCRIMINATOR = discriminator("SettingsAccount")
    SIZE = 72
    LAYOUT = ("key", "key")

    authority: Pubkey
    """Who may slash."""

    token_account: Pubkey
    """Where slashed NOS goes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reflection(Account):
    """How fees are spread over those who stake."""

    DISCRIMINATOR = discriminator("ReflectionAccount")
    SIZE = 96
    LAYOUT = ("u128", "u128", "u128", "key", "u8")

    rate: int
    total_reflection: int
    total_xnos: int
    vault: Pubkey
    vault_bump: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reward(Account):
    """One staker's share of the fees."""

    DISCRIMINATOR = discriminator("RewardAccount")
    SIZE = 80
    LAYOUT = ("key", "u8", "u128", "u128")

    authority: Pubkey
    bump: int
    reflection: int
    xnos: int
