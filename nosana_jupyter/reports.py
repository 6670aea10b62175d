"""
A run of a notebook, as reports: for programs that show tests, and for people who pay.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from .batch import Ended
from .errors import UsageError
from .money.journal import Entry
from .money.receipt import together
from .sanitize import plain
from .units import duration

_ILLEGAL = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(ended: Ended, name: str) -> bytes:
    """
    Return a run as JUnit's XML: a test case per cell of code, and what it cost as properties.

    Args:
        ended: The run.
        name: What it is called, as in `book.ipynb`.
    """
    name = _legal(name)
    failed = sum(each.state == "failed" for each in ended.ran)
    skipped = sum(each.state == "skipped" for each in ended.ran)
    total = sum(each.seconds for each in ended.ran)
    counts = {
        "tests": str(len(ended.ran)), "failures": str(failed), "skipped": str(skipped),
        "errors": "0", "time": f"{total:.3f}",
    }  # fmt: skip
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": name, **counts})
    properties = ET.SubElement(suite, "properties")
    for key, text in (("cost", spent(ended.entries)), ("jobs", str(len(ended.entries)))):
        ET.SubElement(properties, "property", {"name": f"nosana.{key}", "value": text})
    for ran in ended.ran:
        case = ET.SubElement(suite, "testcase", {
            "classname": name, "name": _legal(f"cell {ran.number}: {ran.title}"),
            "time": f"{ran.seconds:.3f}",
        })  # fmt: skip
        if ran.state == "skipped":
            ET.SubElement(case, "skipped", {"message": "a cell before it ended the run"})
        if ran.state == "failed":
            text = _legal(plain(ran.text))
            last = text.strip().rpartition("\n")[2]
            ET.SubElement(case, "failure", {"message": last[:500]}).text = text
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def costs(ended: Ended, name: str) -> str:
    """Return what a run cost as Markdown: a row per job, and their sum."""
    rows = [_row(each) for each in ended.entries]
    head = f"### {_legal(name)}: {spent(ended.entries)}\n\n"
    passed = f"{ended.executed} of {len(ended.ran)} cells ran to their end."
    if not rows:
        return f"{head}{passed} Nothing was rented.\n"
    table = ["| cell | market | card | time | cost | job |", "| - | - | - | - | - | - |", *rows]
    return f"{head}{passed}\n\n" + "\n".join(table) + "\n"


def spent(entries: Sequence[Entry]) -> str:
    """Say what jobs have cost together, and how many are not settled."""
    receipts = [each.receipt for each in entries if each.receipt]
    left = len(entries) - len(receipts)
    return f"{together(receipts)}{f', {left} not settled' if left else ''}"


def write(path: Path, content: bytes, option: str) -> None:
    """
    Write a report.

    Raises:
        UsageError: It cannot be written. What ran is not lost: the notebook is written before.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(
            f"{option} {path} cannot be written: {error.strerror}", hint="Name another file."
        ) from None


def _row(entry: Entry) -> str:
    intent, receipt = entry.intent, entry.receipt
    time = duration(receipt.seconds) if receipt else "–"
    cost = receipt.spent if receipt else f"not settled: {intent.held}"
    cells = (intent.cell, intent.slug, receipt.gpu if receipt else intent.gpu, time, cost)
    shown = [each.replace("|", "\\|").replace("`", "'") for each in cells]
    return f"| `{shown[0]}` | {' | '.join(shown[1:])} | `{intent.job}` |"


def _legal(text: str) -> str:
    """Return text without what XML cannot hold, or UTF-8 cannot spell."""
    return _ILLEGAL.sub("", text)
