"""The tables of what hosts may send, and of what else is promised, name tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent

SENDS = (
    "pickles", "objects posing", "shapes and sizes", "decompression bombs", "endless output",
    "10^6 messages", "event-handler HTML", "SVG with script", "comm messages", "`javascript:`",
    "terminal escapes", "paths that climb", "symlinks", "replayed, reordered or truncated",
    "another job's frames", "a wrong key", "lies about GPU or VRAM", "never answers",
)  # fmt: skip
"""What is promised of each: a named error, nothing run or written, and a record that says why."""

PROMISED = (
    "crash at every step", "drops, delays, duplicates, answers 429, confirms late",
    "dies after accepting", "lies, or forgets a blockhash", "two kernels and the sidebar",
    "a full disk", "a journal cut short", "a clock that jumps", "rates that differ", "a soak",
    "escapes, forks, fills the disk", "scans the network", "never stops", "a poster that floods",
    "stale, replayed, for another job", "routes without authorization", "keys in", "secrets in",
    "foreign bytes", "results that are compared", "items of a map that are faked",
    "receipts that say", "a host that fails an audit",
)  # fmt: skip
"""No double payment, nothing stranded after a sweep, nothing shown that is secret."""


def test_each_row_has_its_tests() -> None:
    """Nothing is promised without a test, and none of those that are named is gone."""
    rows = [row for row in (HERE / "README.md").read_text().splitlines() if "::" in row]
    heads = " ".join(row.split("|")[1] for row in rows)
    assert [each for each in (*SENDS, *PROMISED) if each not in heads] == []
    for path, name in re.findall(r"`([\w/]+\.py)::(\w+)`", "".join(rows)):
        body = ast.walk(ast.parse((HERE.parent / path).read_text()))
        tests = {
            each.name for each in body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in tests, path
    assert all("`" in row.split("|")[2] for row in rows)
