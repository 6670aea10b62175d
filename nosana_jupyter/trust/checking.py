"""
Is a receipt what it claims to be? Each claim is looked at by itself, without keys and without trust
in who wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import base58
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ..rent.attesting import words
from ..wire import attest
from .deed import CellDeed, Deed, Other, inner, rest

OK, FAILED, OPEN = "ok", "failed", "not checkable"

OTHER = "other"
"""What the names of checks begin with that are of a job which this one was compared with."""


@dataclass(frozen=True, slots=True)
class Check:
    """One claim, and what was found of it."""

    state: str
    name: str
    text: str
    claimed: bool = True
    """Whether the receipt says that it is so."""

    def __str__(self) -> str:
        return f"{self.state:<14} {self.name}: {self.text}"


def signatures(deed: Deed, document: dict[str, Any]) -> list[Check]:
    """Check all that the file itself can tell."""
    checks = [_receipt(deed, document)]
    for number, cell in enumerate(deed.cells, 1):
        checks += _cell(deed, cell, f"cell {number}")
    if not deed.cells:
        text = "it has none: nothing of what ran is claimed"
        checks.append(Check(OPEN, "cells", text, claimed=False))
    checks += [_row(deed), commitment(deed)]
    for number, other in enumerate(deed.others, 1):
        checks += _other(deed, other, f"{OTHER} {number}")
    if deed.verified:
        checks.append(_comparison(deed))
    return checks


def _other(deed: Deed, other: Other, name: str) -> Iterator[Check]:
    """Check the receipt of a job that this one was compared with."""
    if other.receipt is None or (found := inner(other)) is None:
        text = f"of job {other.job} on {other.node} there is no receipt here"
        yield Check(OPEN, name, text, claimed=False)
        return
    wrong = [
        each
        for each, is_right in {
            "job": found.job == other.job != deed.job,
            "node": found.node == other.node != deed.node,
            "project": found.project == deed.project,
            "network": found.network == deed.network,
        }.items()
        if not is_right
    ]
    if wrong:
        yield Check(FAILED, name, f"it is no other job of this owner's: {', '.join(wrong)}")
    else:
        yield Check(OK, name, f"job {other.job} of the same owner, on another node")
    yield _same_code(deed, found, name)
    for each in signatures(found, other.receipt):
        yield replace(each, name=f"{name} {each.name}")


def _same_code(deed: Deed, other: Deed, name: str) -> Check:
    """See that two jobs were ordered to run the same. Digests are salted: only texts can tell."""
    texts = [
        [cell.code.text if cell.code else None for cell in each.cells] for each in (deed, other)
    ]
    images = [[cell.order.get("image") for cell in each.cells] for each in (deed, other)]
    if None in (*texts[0], *texts[1]) or not all(texts):
        text = "whether it ran the same code shows in receipts that are written with --code"
        return Check(OPEN, f"{name} code", text, claimed=False)
    if texts[0] != texts[1] or images[0] != images[1]:
        return Check(FAILED, f"{name} code", "it ran another code, or in another image")
    return Check(OK, f"{name} code", "it ran the same code, in the same image")


def _comparison(deed: Deed) -> Check:
    """See what of a comparison the file can tell."""
    if not deed.others:
        words_of = f"{deed.verified!r} is the owner's own word: ask for the other jobs' receipts"
        return Check(OPEN, "comparison", words_of, claimed=False)
    agreeing = [each for each in deed.others if each.agrees]
    apart = [each.job for each in agreeing if each.digest != deed.digest]
    if "bit-equal" in deed.verified and apart:
        return Check(FAILED, "comparison", f"{deed.verified!r}, and {apart[0]} has another digest")
    count = len(deed.others)
    text = (
        f"{deed.verified!r} with {count} other job{'s' * (count > 1)}: what each has found is the "
        "owner's own word, and by it they agree or not"
    )
    return Check(OPEN, "comparison", text, claimed=False)


def _receipt(deed: Deed, document: dict[str, Any]) -> Check:
    if signed(deed.project, words(rest(document), "receipt"), deed.signature):
        return Check(OK, "receipt", f"signed by {deed.project}, as it stands here")
    return Check(FAILED, "receipt", f"it was not signed by {deed.project}, or changed since")


def _cell(deed: Deed, cell: CellDeed, name: str) -> Iterator[Check]:
    order = cell.order
    digest = sha256(attest.canonical(order)).hexdigest()
    same = {
        "network": deed.network, "job": deed.job, "market": deed.market, "node": deed.node,
    }  # fmt: skip
    wrong = [each for each, value in same.items() if order.get(each) != value]
    if order.get("wallet") not in ("", deed.project):
        wrong.append("wallet")
    if wrong:
        yield Check(FAILED, f"{name} order", f"it is for another {', '.join(wrong)}")
    elif signed(deed.project, words(order), cell.signature):
        yield Check(OK, f"{name} order", f"signed by {deed.project}: {_described(order)}")
    else:
        yield Check(FAILED, f"{name} order", f"it was not signed by {deed.project}")
    if cell.code is not None:
        yield _code(cell, name)
    if cell.said is None:
        text = "its end was never heard, and nobody has signed for it"
        yield Check(OPEN, f"{name} outputs", text, claimed=False)
        return
    said = cell.said
    if not by_runner(said.get("key"), attest.canonical(said), cell.countersignature):
        yield Check(FAILED, f"{name} outputs", "not signed by the runner's key, or changed since")
        return
    asked = {**{each: order.get(each) for each in ("code", "inputs", "rest", "job", "cell")},
             "order": digest}  # fmt: skip
    wrong = [each for each, value in asked.items() if said.get(each) != value]
    if wrong:
        text = f"the runner was asked something else: another {', '.join(wrong)}"
        yield Check(FAILED, f"{name} outputs", text)
    elif cell.heard == "other":
        text = "the runner has signed something else than what it had said"
        yield Check(FAILED, f"{name} outputs", text)
    else:
        text = f"signed by the runner for this order: {said.get('status')}"
        if cell.heard != "all":
            text += "; the owner has heard only a part of them"
        yield Check(OK, f"{name} outputs", text)


def _described(order: dict[str, Any]) -> str:
    image = order.get("image") or "no image, as the host has no containers"
    pinned = "" if not order.get("image") or "@sha256:" in str(image) else " (a tag, no digest)"
    names = order.get("names")
    count = len(names) if isinstance(names, dict) else 0
    inputs = "1 input" if count == 1 else f"{count} inputs"
    return f"{inputs}, {str(image)[:100]}{pinned}"


def _code(cell: CellDeed, name: str) -> Check:
    assert cell.code is not None
    try:
        found = attest.salted(bytes.fromhex(cell.code.salt), cell.code.text.encode())
    except ValueError:
        found = ""
    if found == cell.order.get("code"):
        return Check(OK, f"{name} code", "it is what was ordered")
    return Check(FAILED, f"{name} code", "it is not what was ordered")


def _row(deed: Deed) -> Check:
    """See that what the runner has signed is one row."""
    row = statements(deed)
    if not row:
        return Check(OPEN, "statements", "the runner has signed nothing", claimed=False)
    if (text := broken(row, deed.job)) is not None:
        return Check(FAILED, "statements", text)
    if missing := _number(row[-1]["number"]) - len(row):
        text = f"{_count(len(row))} signed by the runner in this order, and {missing} between "
        return Check(OPEN, "statements", f"{text}them not here", claimed=False)
    return Check(OK, "statements", f"{_count(len(row))}, each signed after the one before")


def commitment(deed: Deed) -> Check:
    """See that what the node has left in its result is of these statements."""
    name, row = "commitment", statements(deed)
    if not deed.committed:
        text = (
            "the node has left nothing of this in its result: that the key is of this job's runner "
            "is the owner's own word"
        )
        return Check(OPEN, name, text, claimed=False)
    key, _, said = deed.committed.partition(" ")
    text, _, signature = said.rpartition(" ")
    job, count, last = (*text.split(" "), "", "", "")[:3]
    if job != deed.job or not by_runner(key, text.encode(), signature):
        return Check(FAILED, name, "the last line is not of this job's runner")
    if not row:
        return Check(OPEN, name, f"none of the {count} statements is here", claimed=False)
    whole = str(row[-1]["number"]) == count
    if row[-1].get("key") != key or (whole and end(row[-1]) != last):
        return Check(FAILED, name, "the runner's last line is not of these statements")
    if whole and len(row) == row[-1]["number"]:
        return Check(OK, name, "the runner's last line is of these statements, and of no others")
    text = f"the runner's last line is of {count} statements, of which {len(row)} are here"
    return Check(OK if _number(row[-1]["number"]) < int(count) or whole else FAILED, name, text)


def statements(deed: Deed) -> list[dict[str, Any]]:
    """Return what the runner has signed, as it has numbered it."""
    found = [each.said for each in deed.cells if each.said is not None]
    return sorted(found, key=lambda each: _number(each.get("number")))


def broken(row: Sequence[dict[str, Any]], job: str) -> str | None:
    """Say where statements are not of one row; nothing if they are, though some may be missing."""
    last, before = sha256(job.encode()).hexdigest(), 0
    for said in row:
        number = _number(said.get("number"))
        if number <= before or (number == before + 1 and said.get("before") != last):
            return f"statement {number} of the runner does not follow the one before"
        last, before = end(said), number
    if len({str(said.get("key")) for said in row}) > 1:
        return "statements of several runners stand in one row"
    return None


def end(said: dict[str, Any]) -> str:
    """Return the digest of a statement, and so of all before it."""
    return sha256(attest.canonical(said)).hexdigest()


def signed(address: str, text: str, signature: str) -> bool:
    """Say whether an address has signed a text."""
    try:
        return _verify(base58.b58decode(address), text.encode(), base58.b58decode(signature))
    except ValueError:
        return False


def by_runner(key: object, text: bytes, signature: str) -> bool:
    """Say whether a runner's key, in hexadecimal, has signed a text."""
    try:
        return _verify(bytes.fromhex(str(key)), text, bytes.fromhex(signature))
    except ValueError:
        return False


def _verify(key: bytes, text: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
    except InvalidSignature:
        return False
    return True


def _number(found: object) -> int:
    return found if isinstance(found, int) else 0


def _count(number: int) -> str:
    return "1 statement" if number == 1 else f"{number} statements"
