"""
A piece of work that several hosts have done: who agrees, and who is alone with what it found.

A known answer has a vote like a host's: where two hosts agree on another one, it was wrong.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..market.findings import Finding, Vote
from ..wire.values import NotPlain, encode
from .agreement import AUTO, Agreement, Compared, Judge, Tolerance, compare

EQUAL = Compared(Agreement.BIT_EQUAL)

MOST = 3
"""Hosts that are asked at most for one piece of work."""

SHOWN = 80
"""Characters of a result that evidence quotes."""


@dataclass(frozen=True, slots=True, eq=False)
class Came:
    """What one host says came of a piece of work."""

    node: str
    """Its address. Empty: nobody's, the answer was known."""

    job: str
    """Address of the job it ran in."""

    value: Any = None
    error: BaseException | None = None
    """What the work raised there; then there is no value."""

    @property
    def vote(self) -> Vote:
        """The same as evidence."""
        if self.error is not None:
            text = f"{type(self.error).__name__}: {self.error}"
            digest = hashlib.sha256(text.encode()).hexdigest()
        else:
            text, digest = _text(self.value), digest_of(self.value)
        short = text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
        return Vote(node=self.node, job=self.job, digest=digest, text=short)


Group = tuple[list[Came], Compared]
"""Votes that agree with the first of them, and how well."""


@dataclass(kw_only=True, slots=True, eq=False)
class Ballot:
    """
    The votes on one piece of work.

    Args:
        what: What is computed, in words.
        kind: Why it is looked at: `audit` or `canary`.
        tolerance: By how much numbers may differ.
        judge: Decides instead.
    """

    what: str
    kind: str
    tolerance: Tolerance = AUTO
    judge: Judge | None = None
    votes: list[Came] = field(default_factory=list)
    closed: str = ""
    """Why nobody else can be asked, if so."""

    def cast(self, came: Came) -> None:
        """Add a vote; each host has one."""
        if came.node not in self.nodes or not came.node:
            self.votes.append(came)

    @property
    def nodes(self) -> set[str]:
        """Addresses of the hosts that have voted."""
        return {each.node for each in self.votes if each.node}

    def groups(self) -> list[Group]:
        """Put together what agrees, the largest group first."""
        groups: list[Group] = []
        for vote in self.votes:
            for index, (members, so_far) in enumerate(groups):
                found = self.held_against(members[0], vote)
                if found.agreement is not Agreement.DIFFERENT:
                    members.append(vote)
                    groups[index] = members, max(so_far, found, key=lambda each: each.agreement)
                    break
            else:
                groups.append(([vote], EQUAL))
        return sorted(groups, key=lambda group: -len(group[0]))

    def held_against(self, first: Came, second: Came) -> Compared:
        """Compare what two hosts have found."""
        if first.error is not None or second.error is not None:
            names = [
                type(each.error).__name__ if each.error else "a value" for each in (first, second)
            ]
            if names[0] == names[1]:
                same = str(first.error) == str(second.error)
                return EQUAL if same else Compared(Agreement.WITHIN)
            return Compared(Agreement.DIFFERENT, (f"{names[0]} and {names[1]}",))
        try:
            return compare(
                {"result": first.value}, {"result": second.value},
                tolerance=self.tolerance, judge=self.judge,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - the user's own function may raise anything
            why = f"the function given raised {type(error).__name__}"
            return Compared(Agreement.UNKNOWN, (why,))

    @property
    def winners(self) -> Group | None:
        """Who is right: the one larger group of two or more, or the known answer at the end."""
        groups = self.groups()
        first, *rest = groups
        if len(first[0]) > 1 and not (rest and len(rest[0][0]) == len(first[0])):
            return first
        if self.over:
            known = [group for group in groups if not all(each.node for each in group[0])]
            return known[0] if known else None
        return None

    @property
    def over(self) -> bool:
        """Whether nobody else is asked."""
        return bool(self.closed) or len(self.nodes) >= MOST

    def findings(self, network: str) -> list[Finding]:
        """Return what is to be held against whom, once somebody is right."""
        if (won := self.winners) is None:
            return []
        members, _ = won
        return [
            Finding(
                network=network, node=each.node, job=each.job, what=self.what, kind=self.kind,
                found=each.vote, others=tuple(other.vote for other in members),
                places=self.held_against(members[0], each).places, at=time.time(),
            )
            for each in self.votes
            if each not in members and each.node
        ]  # fmt: skip

    @property
    def differs(self) -> str:
        """How the votes differ that nobody could bring together, in words."""
        groups = self.groups()
        found = self.held_against(groups[0][0][0], groups[1][0][0]) if len(groups) > 1 else EQUAL
        return f"{len(groups)} different results: {'; '.join(found.places)}"


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a value's plain form; nothing where it has none."""
    buffers: list[memoryview] = []
    try:
        tree = encode(value, buffers)
    except NotPlain:
        return ""
    digest = hashlib.sha256(msgspec.msgpack.encode(tree))
    for each in buffers:
        digest.update(each)
    return digest.hexdigest()


def _text(value: Any) -> str:
    try:
        return " ".join(repr(value).split())
    except Exception as error:  # noqa: BLE001 - the user's own `__repr__` may raise anything
        return f"<{type(value).__name__}: repr raised {type(error).__name__}>"
