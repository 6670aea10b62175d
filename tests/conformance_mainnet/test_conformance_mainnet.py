"""The comparison with deployed programs: it finds what differs, and nothing else."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "local")]

from differences import TABLES  # noqa: E402 - these need the path above
from sbf import SPL_MEMO, complete  # noqa: E402

from nosana_jupyter.local import program, rewards, staking  # noqa: E402

ENTRIES = {
    "jobs": program.ENTRIES,
    "stake": staking.BOOK.entries,
    "rewards": rewards.BOOK.entries,
}

# What no transaction can bring about: an account of nobody's that is not the System program's, and
# one account that is of two kinds.
UNREACHABLE = {
    ("jobs.list", "6001 InvalidOwner"),
    ("jobs.work", "6001 InvalidOwner"),
    ("jobs.quit", "2040 ConstraintDuplicateMutableAccount"),
    ("stake.restake", "2040 ConstraintDuplicateMutableAccount"),
    ("rewards.sync", "2040 ConstraintDuplicateMutableAccount"),
}


def script(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts beside this test."""
    return subprocess.run(
        [sys.executable, str(HERE / name), *words],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


@functools.cache
def altered(name: str) -> dict[str, Any]:
    """Compare our rules with our rules, one of them altered."""
    done = script("altered.py", name)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_our_rules_are_as_our_rules() -> None:
    """
    Nothing differs, and every instruction is compared: accepted, and refused for each reason.
    """
    found = altered("nothing")

    assert found["rows"] == []
    assert found["transactions"] > 5_000
    missing = set()
    for name, entries in ENTRIES.items():
        assert set(entries) == set(next(table for each, table in TABLES.values() if each == name))
        for entry in entries.values():
            label = f"{name}.{entry.spec.name}"
            wanted = {"ok"} | {f"{rule.fault.number} {rule.fault.name}" for rule in entry.rules}
            if entry.distinct:
                wanted.add("2040 ConstraintDuplicateMutableAccount")
            missing |= {(label, outcome) for outcome in wanted - set(found["seen"][label])}
    assert missing == UNREACHABLE


@pytest.mark.parametrize(
    ("name", "instruction", "field", "ours", "theirs"),
    [
        ("a rule left out", "stake.unstake", "outcome", "6011 HasReward", "ok"),
        ("rules in another order", "jobs.delist", "outcome", "6008 InvalidPayer",
         "6004 JobInWrongState"),
        ("another error", "jobs.complete", "outcome", "6004 JobInWrongState", "6099 SomethingElse"),
        ("other words", "jobs.complete", "log line 3", "This job does not have", "Message: No."),
        ("a second less", "jobs.finish", "user.amount", "115", "0"),
        ("a second less", "jobs.finish", "deposit.amount", "413885", "414000"),
        ("a micro-NOS more", "stake.stake", "stake.amount", "1000000000", "1000000001"),
        ("half of a fee", "rewards.add_fee", "reflection.total_xnos", "150383561643",
         "100383561643"),
    ],
)  # fmt: skip
def test_an_altered_rule_is_named(
    name: str, instruction: str, field: str, ours: str, theirs: str
) -> None:
    """
    A difference tells the instruction, the field, both values and the scenario; no other
    instruction differs, as the sides are brought into step before each transaction.
    """
    rows = altered(name)["rows"]

    assert {row["instruction"] for row in rows} == {instruction}
    assert all(row["scenario"] for row in rows)
    assert any(
        row["field"] == field and ours in row["ours"] and theirs in row["theirs"] for row in rows
    )


def test_an_elf_that_does_the_same_does_not_differ(tmp_path: Path) -> None:
    """
    A program in ELF that knows one instruction is as our rules in that one, and in no other.
    """
    good, bad = tmp_path / "jobs.so", tmp_path / "bad.so"
    good.write_bytes(complete(at=40))
    bad.write_bytes(complete(at=41))
    only = ("--only", "rightful_caller and complete")

    found = script("compare.py", "--programs", str(tmp_path), *only)
    assert found.returncode == 1, found.stderr
    # Of the one it knows there are compute units only, and no difference.
    told = [line for line in found.stdout.splitlines() if line.startswith("jobs.complete")]
    assert [line.split()[:2] for line in told] == [["jobs.complete", "4200"]]
    assert "jobs.list" in found.stdout
    assert "stake: not compared, it was not given" in found.stdout

    found = script("compare.py", "--jobs", str(bad), *only)
    assert found.returncode == 1
    assert "job.ipfs_result" in found.stdout


def test_without_files_it_says_how_to_get_them(tmp_path: Path) -> None:
    """
    Three commands, one for each program; a file that is no program is named.
    """
    found = script("compare.py")
    assert found.returncode == 2
    for key, (name, _) in TABLES.items():
        assert f"solana program dump -u mainnet-beta {key} {name}.so" in found.stderr

    wrong = tmp_path / "jobs.so"
    wrong.write_bytes(SPL_MEMO[:100])
    found = script("compare.py", "--jobs", str(wrong))
    assert found.returncode == 2
    assert f"{wrong} cannot be loaded" in found.stderr
    found = script("compare.py", "--programs", str(tmp_path / "nowhere"))
    assert "solana program dump" in found.stderr
