"""
Compare our rules with our rules of which one is altered, as a test of the comparison.

    python tests/conformance_mainnet/altered.py NAME
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from compare import BUILDS, run
from differences import TABLES
from solders.pubkey import Pubkey
from twin import Programs

from nosana_jupyter.local.anchor import AnchorProgram
from nosana_jupyter.local.faults import Fault
from nosana_jupyter.network import MAINNET

JOBS = Pubkey.from_string(MAINNET.programs.jobs)
STAKE = Pubkey.from_string(MAINNET.programs.stake)
REWARDS = Pubkey.from_string(MAINNET.programs.rewards)


def change(program: Pubkey, name: str, **other: Any) -> Callable[[Programs], None]:
    """Return what gives an instruction of the other side another rule, or another body."""

    def alter(programs: Programs) -> None:
        whole = programs[program]
        assert isinstance(whole, AnchorProgram)
        entry = whole.entries[name]
        new = {key: make(getattr(entry, key)) for key, make in other.items()}
        entries = dict(whole.entries) | {name: replace(entry, **new)}
        programs[program] = replace(whole, entries=entries)

    return alter


def a_second_less(body: Callable[[Any], None]) -> Callable[[Any], None]:
    """Pay the node a second less."""

    def altered(a: Any) -> None:
        a.run = replace(a.run, time=a.run.time + 1)
        body(a)

    return altered


def a_micro_nos_more(body: Callable[[Any], None]) -> Callable[[Any], None]:
    """Stake one more than was asked for."""

    def altered(a: Any) -> None:
        a.args["amount"] += 1
        body(a)

    return altered


def half(body: Callable[[Any], None]) -> Callable[[Any], None]:
    """Count half of a fee, and move all of it."""

    def altered(a: Any) -> None:
        body(a)
        total = a.reflection.total_xnos - a.args["amount"] // 2
        a.reflection = replace(a.reflection, total_xnos=total)

    return altered


def other_words(rules: Any) -> list[Any]:
    """Say something else where the first rule is broken."""
    return [replace(rules[0], fault=replace(rules[0].fault, text="No.")), *rules[1:]]


def other_number(rules: Any) -> list[Any]:
    """Give another error where the first rule is broken."""
    return [replace(rules[0], fault=Fault("SomethingElse", 6099, "No.")), *rules[1:]]


ALTERED: Mapping[str, tuple[Callable[[Programs], None], str]] = {
    "nothing": (lambda _: None, ""),
    "a rule left out": (change(STAKE, "unstake", rules=lambda rules: rules[:1]), "Staking"),
    "rules in another order": (
        change(JOBS, "delist", rules=lambda rules: rules[::-1]),
        "first_check or spoiled and delist",
    ),
    "another error": (change(JOBS, "complete", rules=other_number), "complete"),
    "other words": (change(JOBS, "complete", rules=other_words), "complete"),
    "a second less": (change(JOBS, "finish", body=a_second_less), "paid_by_the_second"),
    "a micro-NOS more": (change(STAKE, "stake", body=a_micro_nos_more), "through_its_life"),
    "half of a fee": (change(REWARDS, "add_fee", body=half), "worked_sequence"),
}
"""What is altered, and the scenarios that are enough to see it."""


if __name__ == "__main__":
    alteration, only = ALTERED[sys.argv[1]]
    report, _ = run(BUILDS[0], watched=frozenset(TABLES), alter=alteration, only=only)
    seen = {name: sorted(outcomes) for name, outcomes in report.seen.items()}
    rows = [asdict(row) for row in report.rows]
    print(json.dumps({"transactions": report.transactions, "seen": seen, "rows": rows}))
