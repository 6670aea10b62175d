"""
A plugin of pytest: what went wrong is told, whatever it was.

Where a process cannot send a report, or has no files left to open, the one that gathers what
others ran ends as well: it then names no test that failed, and its last words are not the reason.

Before 3.11.8, Python counts how deep it is within a syntax tree in one place for all: where a tree
is made while another is, as of a warning that the garbage collector calls forth, it says
`SystemError`. Pytest reads the source of each failed test that way.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest

LAST = 12
"""Lines of an error within pytest that are said once more at the end, where everybody looks."""

_errors: list[str] = []

ATTEMPTS = 5
"""At a syntax tree, where Python loses count."""


def patient(parse: Callable[..., Any]) -> Callable[..., Any]:
    """Return what parses once more where Python has lost count of a tree's depth."""

    @functools.wraps(parse)
    def parsed(*args: Any, **options: Any) -> Any:
        for _ in range(ATTEMPTS - 1):
            try:
                return parse(*args, **options)
            except SystemError:
                continue
        return parse(*args, **options)

    return parsed


if sys.version_info < (3, 11, 8):
    ast.parse = patient(ast.parse)


def _plain(text: str) -> str:
    """Spell half characters, as fuzzed names have them: no report with such a one can be sent."""
    return text.encode("utf-8", "backslashreplace").decode()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        text = str(report.longrepr)
        if text != (plain := _plain(text)):
            report.longrepr = plain
    report.sections = [(name, _plain(text)) for name, text in report.sections]
    return report


def pytest_internalerror(excrepr: object) -> None:
    _errors.append(str(excrepr))


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not _errors:
        return
    for report in reporter.stats.get("failed", []) + reporter.stats.get("error", []):
        reporter.write_line(f"FAILED {report.nodeid}")
    for line in _errors[0].splitlines()[-LAST:]:
        reporter.write_line(line)
