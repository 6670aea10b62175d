"""
DAOs of SPL Governance, as far as one reads of them what is voted on.

Layouts are those of its program's third version, compared with bytes that the official package
writes. A DAO is found by its token, and anybody may found one: it is told by name and address.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from solders.pubkey import Pubkey

from ..errors import RemoteProtocolError
from .addresses import Key, derive, key
from .rpc import Rpc

PROPOSAL = 14
REALMS, RECORDS = (1, 16), (2, 17)
GOVERNANCES = (3, 4, 9, 10, 18, 19, 20, 21)
"""Kinds of accounts. Those of a DAO's first version begin as today's do, as far as is read here."""

DRAFT, SIGNING, VOTING = 0, 1, 2
"""States of a proposal that is not decided. The others are over."""

MULTIPLE = 1
"""Kind of vote with several choices."""

MOST_OPTIONS = 50
LONGEST = 2_000
"""Bytes of a text that is read."""

MOST = 100
"""Proposals of one DAO that are read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """What one may vote for."""

    label: str
    weight: int
    """Votes for it, in the smallest unit of the token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """What is voted on."""

    governance: Pubkey
    mint: Pubkey
    state: int
    options: tuple[Option, ...]
    deny: int | None
    """Votes against; nothing where one cannot vote so."""

    voting_at: int | None
    """Unix time from which is voted."""

    longest: int | None
    """Seconds for which it is, where that is not as usual."""

    name: str
    link: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Realm:
    """A DAO."""

    address: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Vote:
    """A proposal with what its DAO says of it."""

    address: str
    realm: Realm
    proposal: Proposal
    ends: int | None
    """Unix time until which is voted."""


class _Reader:
    """Reads what Borsh has written."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """Return so many bytes."""
        piece = self._data[self._at : self._at + count]
        if len(piece) < count:
            raise RemoteProtocolError("an account of governance is cut short")
        self._at += count
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def maybe(self, size: int) -> int | None:
        """Return a number that may be missing."""
        return self.number(size) if self.take(1) != b"\0" else None

    def key(self) -> Pubkey:
        return Pubkey.from_bytes(self.take(32))

    def text(self) -> str:
        length = self.number(4)
        if length > LONGEST:
            raise RemoteProtocolError("a text of governance is too long")
        return self.take(length).decode(errors="replace")

    def threshold(self) -> None:
        """Skip a share of votes: one kind of it is none."""
        if self.number(1) in (0, 1):
            self.take(1)


def read_proposal(data: bytes) -> Proposal:
    """
    Read a proposal.

    Raises:
        RemoteProtocolError: It is none.
    """
    found = _Reader(data)
    if found.number(1) != PROPOSAL:
        raise RemoteProtocolError("this is no proposal")
    governance, mint, state = found.key(), found.key(), found.number(1)
    found.take(34)  # Who has proposed it, and how many have signed.
    if found.number(1) == MULTIPLE:
        found.take(4)
    count = found.number(4)
    if count > MOST_OPTIONS:
        raise RemoteProtocolError(f"a proposal has {count} options")
    options = []
    for _ in range(count):
        label, weight = found.text(), found.number(8)
        options.append(Option(label=label, weight=weight))
        found.take(7)
    deny = found.maybe(8)
    found.take(1)
    found.maybe(8)
    found.maybe(8)
    found.take(8)
    found.maybe(8)
    voting_at = found.maybe(8)
    for _ in range(4):
        found.maybe(8)
    found.take(1)
    found.maybe(8)
    longest = found.maybe(4)
    if found.take(1) != b"\0":
        found.threshold()
    found.take(64)
    return Proposal(
        governance=governance, mint=mint, state=state, options=tuple(options), deny=deny,
        voting_at=voting_at, longest=longest, name=found.text(), link=found.text(),
    )  # fmt: skip


def read_voting_time(data: bytes) -> int:
    """Return for how many seconds is voted, of the account of a governance."""
    found = _Reader(data)
    if found.number(1) not in GOVERNANCES:
        raise RemoteProtocolError("this is no governance")
    found.take(68)
    found.threshold()
    found.take(12)
    return found.number(4)


def read_realm(address: Pubkey, data: bytes) -> Realm:
    """Read a DAO."""
    found = _Reader(data)
    if found.number(1) not in REALMS:
        raise RemoteProtocolError("this is no DAO")
    # Its token, how it counts votes, and how much may propose.
    found.take(32 + 2 + 6 + 8 + 9)
    if found.take(1) != b"\0":
        found.key()
    found.take(8)
    if found.take(1) != b"\0":
        found.key()
    return Realm(address=str(address), name=found.text())


def read_deposit(data: bytes) -> int:
    """Return what an owner has deposited to vote with, in the smallest unit of the token."""
    if len(data) < 105 or data[0] not in RECORDS:
        raise RemoteProtocolError("this is no record of an owner")
    deposit: int = struct.unpack_from("<Q", data, 97)[0]
    return deposit


async def open_votes(rpc: Rpc) -> tuple[list[Realm], list[Vote]]:
    """Return the DAOs of NOS, and what is voted on in them or is about to be."""
    program, mint = rpc.network.governance, bytes(key(rpc.network.programs.mint))
    found = await asyncio.gather(
        *(rpc.filtered(bytes([kind]) + mint, {}, program=program) for kind in REALMS)
    )
    realms = [read_realm(address, data) for each in found for address, data in each]
    votes = await asyncio.gather(*(_votes(rpc, realm) for realm in realms))
    return realms, [vote for each in votes for vote in each]


async def _votes(rpc: Rpc, realm: Realm) -> list[Vote]:
    owner, program = bytes(key(realm.address)), rpc.network.governance
    kinds = await asyncio.gather(
        *(rpc.filtered(bytes([kind]) + owner, {}, program=program) for kind in GOVERNANCES)
    )
    found: list[Vote] = []
    for address, data in (each for kind in kinds for each in kind):
        usual = read_voting_time(data)
        begins = bytes([PROPOSAL]) + bytes(address)
        for state in (SIGNING, VOTING):
            rows = await rpc.filtered(begins, {65: bytes([state])}, program=program)
            found += [_vote(realm, place, row, usual) for place, row in rows[:MOST]]
    return found


def _vote(realm: Realm, address: Pubkey, data: bytes, usual: int) -> Vote:
    try:
        proposal = read_proposal(data)
    except RemoteProtocolError:
        # One of another version hides none of the others.
        proposal = Proposal(
            governance=Pubkey.default(), mint=Pubkey.default(), state=data[65], options=(),
            deny=None, voting_at=None, longest=None, name="(cannot be read here)", link="",
        )  # fmt: skip
    began, lasts = proposal.voting_at, proposal.longest or usual
    ends = None if began is None else began + lasts
    return Vote(address=str(address), realm=realm, proposal=proposal, ends=ends)


async def deposits(rpc: Rpc, realms: Sequence[Realm], owner: Key) -> list[int]:
    """Return what an owner has deposited in each of some DAOs to vote with."""
    program = rpc.network.governance
    places = [
        derive(program, b"governance", each.address, rpc.network.programs.mint, owner)
        for each in realms
    ]
    found = await rpc.accounts(places) if places else []
    return [read_deposit(data) if data else 0 for data in found]
