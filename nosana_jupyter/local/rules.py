"""
The words in which the rules of an instruction are written down.

A list of rules is read from top to bottom and account by account; see `anchor.py` for what comes
before and after them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM

from ..chain.accounts import Account
from ..chain.addresses import RENT, TOKEN
from ..chain.instructions import Spec
from . import faults
from .faults import Fault

Test = Callable[[Any], bool]
"""A condition on the context, whose type is the program's own."""

Sides = Callable[[Any], tuple[Pubkey, Pubkey]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One constraint of one account."""

    slot: str
    fault: Fault
    holds: Test
    sides: Sides | None = None
    """The keys it compares, for the log."""

    named: bool = True
    """Whether the log names the account."""


def has_one(slot: str, name: str, fault: Fault) -> Rule:
    """Require that a key stored in an account is the account of that name."""

    def sides(a: Any) -> tuple[Pubkey, Pubkey]:
        return getattr(getattr(a, slot), name), a[name]

    return _equal(slot, sides, fault)


def address(slot: str, expected: Callable[[Any], Pubkey], fault: Fault) -> Rule:
    """Require that an account is a certain one."""

    def sides(a: Any) -> tuple[Pubkey, Pubkey]:
        return a[slot], expected(a)

    return _equal(slot, sides, fault)


def _equal(slot: str, sides: Sides, fault: Fault) -> Rule:
    def holds(a: Any) -> bool:
        left, right = sides(a)
        return left == right

    return Rule(slot=slot, fault=fault, holds=holds, sides=sides)


def true(slot: str, holds: Test, fault: Fault, *, named: bool = True) -> Rule:
    """Require a condition."""
    return Rule(slot=slot, fault=fault, holds=holds, named=named)


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """An account of one of Nosana's programs."""

    layout: type[Account]
    owner: Pubkey


@dataclass(frozen=True, kw_only=True, slots=True)
class Exact:
    """A program or a sysvar."""

    key: Pubkey
    fault: Fault
    compared: bool = True
    """Whether the log shows the keys."""


TOKEN_ACCOUNT = "token account"  # noqa: S105 - a kind of account
MINT = "mint"

Kind = State | Exact | str
"""What an account has to be before any rule looks at it."""

TOKEN_PROGRAM = Exact(key=TOKEN, fault=faults.WRONG_PROGRAM)
SYSTEM_PROGRAM = Exact(key=SYSTEM, fault=faults.WRONG_PROGRAM)
RENT_SYSVAR = Exact(key=RENT, fault=faults.WRONG_SYSVAR, compared=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class New:
    """An account the instruction creates before its rules are read."""

    payer: str = "payer"
    seeds: Callable[[Any], list[bytes]] | None = None
    """Seeds of its address. None: a fresh key that signs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One instruction: its wire format, its rules, its body."""

    spec: Spec
    body: Callable[[Any], None]
    rules: Sequence[Rule]
    new: Mapping[str, New]
    unchecked: frozenset[str]
    """Accounts that are not read, whatever their name says elsewhere."""

    distinct: Sequence[str]
    """Accounts that take part in the duplicate rule."""

    close: Mapping[str, str]
    """Accounts closed in the end, and who gets their lamports."""

    units: int
    """Compute units the real program takes, measured; without those of what it calls."""


@dataclass
class Book:
    """Instructions as they are written down, before a program is made of them."""

    table: Mapping[str, Spec]
    entries: dict[str, Entry] = field(default_factory=dict)

    def instruction(
        self,
        name: str,
        *,
        rules: Sequence[Rule] = (),
        new: Mapping[str, New] | None = None,
        unchecked: Sequence[str] = (),
        distinct: Sequence[str] = (),
        close: Mapping[str, str] | None = None,
        units: int = 5_000,
    ) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
        """Write down an instruction; its body is the decorated function."""

        def add(body: Callable[[Any], None]) -> Callable[[Any], None]:
            self.entries[name] = Entry(
                spec=self.table[name],
                body=body,
                rules=rules,
                new=new or {},
                unchecked=frozenset(unchecked),
                distinct=distinct,
                close=close or {},
                units=units,
            )
            return body

        return add
