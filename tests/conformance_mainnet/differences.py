"""
What may differ between two runs of one transaction, and how it is told.

Left out are compute units, the place in the source that an error names, and the bytes behind what
an account holds: nobody may rely on those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from solders.account import Account
from solders.pubkey import Pubkey

from nosana_jupyter.chain import accounts as layouts
from nosana_jupyter.chain.instructions import JOBS, REWARDS, STAKE, Spec
from nosana_jupyter.local import tokens
from nosana_jupyter.local.attempt import Attempt
from nosana_jupyter.local.message import Call
from nosana_jupyter.network import MAINNET

TABLES = {
    Pubkey.from_string(MAINNET.programs.jobs): ("jobs", JOBS),
    Pubkey.from_string(MAINNET.programs.stake): ("stake", STAKE),
    Pubkey.from_string(MAINNET.programs.rewards): ("rewards", REWARDS),
}
LAYOUTS = (
    layouts.Market,
    layouts.Job,
    layouts.Run,
    layouts.Stake,
    layouts.Settings,
    layouts.Reflection,
    layouts.Reward,
)
_CODE = re.compile(r"Error Code: (\w+)")
_PLACE = re.compile(r"thrown in \S+:\d+\.")
_UNITS = re.compile(r"^Program \w+ consumed \d+ of \d+ compute units$")
_PANIC = re.compile(r"^Program log: panicked at .*", re.DOTALL)

Difference = tuple[str, str, str]
"""What, ours, theirs."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One difference."""

    scenario: str
    instruction: str
    field: str
    ours: str
    theirs: str


def named(call: Call) -> tuple[str, Spec | None]:
    """Return the name of an instruction, with its spec where we know it."""
    program, table = TABLES.get(call.program, ("", {}))
    for spec in table.values():
        if call.data[:8] == spec.discriminator:
            return f"{program}.{spec.name}", spec
    return f"{program}.unknown" if program else "", None


def label(calls: Sequence[Call]) -> str:
    """Return the names of a transaction's instructions of Nosana's programs."""
    names = [named(call)[0] for call in calls]
    return " + ".join(name for name in names if name) or "another program"


def compare(ours: Attempt, theirs: Attempt) -> Iterator[Difference]:
    """Yield what differs between two runs of a transaction."""
    left, right = outcome(ours), outcome(theirs)
    if left != right:
        yield "outcome", left, right
        # Of a transaction that goes another way everything else is another as well.
        return
    slots = {
        meta.key: item.name
        for call in ours.execution.calls
        if (spec := named(call)[1])
        for item, meta in zip(spec.accounts, call.metas, strict=False)
    }
    for key, a, b in zip(ours.execution.keys, ours.post, theirs.post, strict=True):
        if a != b and not (a or b).executable:
            for what, one, other in _account(a, b):
                yield f"{slots.get(key, key)}.{what}", one, other
    yield from _first("log line", logs(ours), logs(theirs))
    yield from _first("inner instruction", calls(ours), calls(theirs))
    if ours.execution.returned != theirs.execution.returned:
        yield "return data", str(ours.execution.returned), str(theirs.execution.returned)


def outcome(run: Attempt) -> str:
    """Return what became of a transaction: `ok`, or the error and its name."""
    match run.err:
        case None:
            return "ok"
        case {"InstructionError": [_, {"Custom": int(number)}]}:
            names = _CODE.findall("\n".join(run.execution.logs))
            return f"{number} {names[-1]}" if names else f"{number}"
        case {"InstructionError": [_, error]}:
            return str(error)
    return str(run.err)


def logs(run: Attempt) -> list[str]:
    """Return the log without what may differ."""
    kept = [line for line in run.execution.logs if not _UNITS.match(line)]
    return [_PANIC.sub("Program log: panicked", _PLACE.sub("thrown in …", line)) for line in kept]


def calls(run: Attempt) -> list[str]:
    """Return the calls made by programs: depth, program and data."""
    made = run.execution.inner.items()
    return [
        f"[{depth}] {call.program} {call.data.hex()}"
        for _, inner in sorted(made)
        for call, depth in inner
    ]


def _first(what: str, ours: list[str], theirs: list[str]) -> Iterator[Difference]:
    """Yield the first entry that differs."""
    for index in range(max(len(ours), len(theirs))):
        pair = [each[index] if index < len(each) else "(none)" for each in (ours, theirs)]
        if pair[0] != pair[1]:
            yield f"{what} {index + 1}", pair[0], pair[1]
            return


def _account(ours: Account | None, theirs: Account | None) -> Iterator[Difference]:
    if ours is None or theirs is None:
        yield "account", _size(ours), _size(theirs)
        return
    if ours.lamports != theirs.lamports:
        yield "lamports", str(ours.lamports), str(theirs.lamports)
    if ours.owner != theirs.owner:
        yield "owner", str(ours.owner), str(theirs.owner)
    if len(ours.data) != len(theirs.data):
        yield "size", _size(ours), _size(theirs)
    elif ours.data != theirs.data:
        yield from _data(ours.data, theirs.data)


def _size(account: Account | None) -> str:
    return "none" if account is None else f"{len(account.data)} bytes"


def _data(ours: bytes, theirs: bytes) -> Iterator[Difference]:
    """Yield the fields that differ; bytes, where the accounts have no fields we know."""
    for layout in LAYOUTS:
        if ours[:8] == theirs[:8] == layout.DISCRIMINATOR:
            yield from _fields(layout.decode(ours), layout.decode(theirs))
            return
    one, other = tokens.decode(ours), tokens.decode(theirs)
    if one is not None and other is not None and one != other:
        yield from _fields(one, other)
        return
    at = next(
        index for index, pair in enumerate(zip(ours, theirs, strict=True)) if len({*pair}) > 1
    )
    yield f"bytes from {at} on", ours[at : at + 32].hex(), theirs[at : at + 32].hex()


def _fields(one: object, other: object) -> Iterator[Difference]:
    for item in fields(one):  # type: ignore[arg-type]  # both are dataclasses
        left, right = getattr(one, item.name), getattr(other, item.name)
        if left != right:
            yield item.name, _text(left), _text(right)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
