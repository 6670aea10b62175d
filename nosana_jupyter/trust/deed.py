"""
An attested receipt as a file: what was ordered, by whom, what the runner has signed of it, and
where the chain keeps the digest of that.

It is written here and read by whoever checks it, who has neither our keys nor our journal.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from solders.pubkey import Pubkey

from ..errors import UsageError
from ..wire import attest

KIND = "nosana-jupyter receipt"

VERSIONS = (1, 2)
"""Those that are read: the second names the jobs of a comparison."""

LARGEST = 64 << 20
"""Most bytes of a file."""


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Code(_Strict, frozen=True, kw_only=True):
    """The source of a cell, for who is to see it."""

    text: str
    salt: str
    """Of its digest, in hexadecimal."""


class CellDeed(_Strict, frozen=True, kw_only=True):
    """One cell."""

    order: dict[str, Any]
    """What the wallet ordered, as digests."""

    signature: str
    """The wallet's, of the order, in base58."""

    said: dict[str, Any] | None
    """What the runner has signed. None: its end was never heard."""

    countersignature: str
    """The runner's, of `said`, in hexadecimal."""

    heard: str
    """`all`, where the owner heard what the runner signs; `part`; `other`; empty without an end."""

    code: Code | None = None


class Other(_Strict, frozen=True, kw_only=True):
    """Another job that has run the same, and what its owner says of the two."""

    job: str
    node: str
    digest: str
    """SHA-256 of its result, as its owner's client has it. Empty: it has none."""

    agrees: bool | None
    """Whether it found the same. None: nobody can tell."""

    receipt: dict[str, Any] | None
    """All that is known of it, as a receipt. None: nothing is, any more."""


class Deed(_Strict, frozen=True, kw_only=True):
    """A job and its cells."""

    kind: str
    version: int
    network: str
    job: str
    market: str
    node: str
    project: str
    """Whose job it is on chain: the wallet that signs."""

    payer: str
    price: int
    """Micro-NOS per second."""

    timeout: int
    began: int
    """Unix seconds, as the chain has it."""

    ended: int
    paid: int
    """Micro-NOS that the host has earned."""

    status: str
    """How the owner's client says that it ended."""

    verified: str
    """The owner's own word: what a comparison with other hosts has found."""

    result: str
    """Content id that the node left on chain. Empty: none."""

    committed: str
    """What that result says of what was signed. Empty: nothing."""

    cells: list[CellDeed]
    exported: int
    """Unix milliseconds."""

    signature: str
    """The wallet's, of all the rest, in base58."""

    digest: str = ""
    """SHA-256 of the result that was compared."""

    others: list[Other] = []
    """The jobs that it was compared with. Before version 2 they were not named."""


def rest(document: dict[str, Any]) -> dict[str, Any]:
    """Return all of a document that its own signature is of."""
    return {name: each for name, each in document.items() if name != "signature"}


def render(document: dict[str, Any]) -> str:
    """Return the text of a file."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def parse(data: bytes) -> tuple[Deed, dict[str, Any]]:
    """
    Read a file; return it with the very document that was signed.

    Raises:
        UsageError: It is no receipt, or says something twice.
    """
    try:
        if len(data) > LARGEST:
            raise ValueError("it is too large")
        document = json.loads(data, object_pairs_hook=_once, parse_float=_no_float,
                              parse_constant=_no_float)  # fmt: skip
        deed = _read(document)
        if any(other.others for other in map(inner, deed.others) if other):
            raise ValueError("a receipt in it has others in it")
        # What cannot be written down cannot have been signed.
        attest.canonical(document)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise UsageError(
            f"this is no receipt: {str(error)[:200]}",
            hint="Write one with nosana-jupyter receipt JOB.",
        ) from None
    if deed.kind != KIND or deed.version != VERSIONS[bool(deed.others)]:
        raise UsageError(
            f"this is no receipt that is read here: {deed.kind[:50]!r}, version {deed.version}",
            hint="A newer nosana-jupyter may read it.",
        )
    return deed, document


def inner(other: Other) -> Deed | None:
    """
    Return the receipt of another job of the comparison, if it is there.

    Raises:
        ValueError: It is none.
    """
    return None if other.receipt is None else _read(other.receipt)


def _read(document: dict[str, Any]) -> Deed:
    deed = msgspec.convert(document, Deed)
    for address in filter(None, (deed.job, deed.market, deed.node, deed.project, deed.payer)):
        Pubkey.from_string(address)  # The chain is asked of them.
    return deed


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it says something twice")
    return found


def _no_float(text: str) -> Any:
    raise ValueError(f"{text[:20]} is no whole number")
