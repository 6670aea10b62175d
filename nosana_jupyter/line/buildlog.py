"""
What an installer says: how far it is, and what went wrong.
"""

from __future__ import annotations

import itertools
import re
from html import escape

from packaging.utils import canonicalize_name

from ..sanitize import line, terminal
from ..wire.messages import DisplayData

MOST = 100_000
"""Characters of the end of a log that are kept."""

PLAIN = 30
"""Lines of it that are shown where nothing folds."""

LONGEST = 400
"""Characters of the reason that are told."""

PLAN = "to install: "
"""How the runner's line begins that says what comes."""

ARROW = "╰─▶"
"""What stands before the reason that uv gives."""

ERRORS = ("ERROR: ", "error: ")
CAUSES = ("cause:", "Caused")
"""How a line begins that says what went wrong, and one below it that says why."""

_DOWNLOADS = re.compile(r"^Downloading (\S+) \((.+)\)$")
_DONE = re.compile(r"^(?:Downloaded|Built) (\S+?)(?:==\S+)?$")
_COLLECTS = re.compile(r"^Collecting ([A-Za-z0-9._-]+)")
_FETCHES = re.compile(r"^Downloading \S*?/?([A-Za-z0-9._]+)-\d\S*\.(?:whl|gz|zip)\S* \((.+)\)$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

HINTS = {
    r"\b40[13]\b|Unauthorized|Forbidden|authenticat": (
        "The index asks who you are: give its whole address as a secret, `--secret PIP_INDEX_URL`."
    ),
    r"[Hh]ash(es)? mismatch|DO NOT MATCH THE HASHES|[Hh]ash.* not match": (
        "The index has another file than the one that was locked: find out why before anything "
        "else; `uv lock` notes the files anew."
    ),
    r"dns error|name resolution|getaddrinfo|Connection refused|Network is unreachable"
    r"|NewConnectionError|error sending request|[Cc]onnection timed out|tcp connect error"
    r"|[Nn]etwork (was|connectivity is) disabled": (
        "The host reaches no index: choose an image that has it (`--image`), or name an index "
        "that it reaches (`--env PIP_INDEX_URL=…`)."
    ),
    r"\bgcc\b|\bg\+\+|\bclang\b|\bcc1\b|[Cc]ompil|cmake|metadata-generation-failed"
    r"|Failed to build|build backend|setup\.py": (
        "There is no wheel for {there}, and building one needs a compiler: name a version that "
        "has a wheel (`--pip`), or an image with a compiler (`--image`)."
    ),
    r"No matching distribution|No solution found|was not found in|ResolutionImpossible"
    r"|no version of|no wheels": (
        "No version fits {there} and what the image has: name another (`--pip`), or choose "
        "another image (`--image`)."
    ),
}
"""What a line of a failed log tells, and what to do then. The first that fits counts."""


class BuildLog:
    """What one installation has said so far."""

    def __init__(self) -> None:
        self.text = ""
        self._rest = ""
        self._planned: dict[str, str] = {}
        self._seen: dict[str, None] = {}

    def take(self, text: str) -> str:
        """Take a piece; return how far it is, in words, if that has changed."""
        self.text = (self.text + text)[-MOST:]
        *lines, self._rest = (self._rest + text).split("\n")
        told = ""
        for each in lines:
            told = self._read(_COLOUR.sub("", each).strip()) or told
        return told

    def _read(self, text: str) -> str:
        if text.startswith(PLAN):
            pairs = (each.partition("==") for each in text[len(PLAN) :].split(", "))
            self._planned = {canonicalize_name(name): version for name, _, version in pairs if name}
            self._seen.clear()
            return ""
        if not self._planned:
            return ""
        for pattern in (_FETCHES, _DOWNLOADS, _COLLECTS, _DONE):
            if match := pattern.match(text):
                return self._step(canonicalize_name(match[1]), *match.groups()[1:])
        return ""

    def _step(self, name: str, size: str = "") -> str:
        if name not in self._planned:
            return ""
        self._seen.setdefault(name)
        told = f"{name} {self._planned[name]}" + (f" ({size})" if size else "")
        return f"{len(self._seen)} of {len(self._planned)}, {line(told)}"

    def diagnose(self, log: str, there: str) -> tuple[str, str]:
        """
        Return the line of a failed log that tells why, and what to do.

        Args:
            log: What the runner kept of it.
            there: The host's Python and platform, in words.
        """
        lines = [_COLOUR.sub("", each).strip() for each in (log or self.text).splitlines()]
        lines = [each for each in lines if each and not each.startswith(PLAN)]
        for pattern, hint in HINTS.items():
            if found := next((each for each in lines if re.search(pattern, each)), None):
                return line(_reason(lines) or found)[:LONGEST], hint.format(there=there)
        last = lines[-1] if lines else "its log is empty"
        hint = "Choose an image that has it (`--image`), or other versions (`--pip`)."
        return line(_reason(lines) or last)[:LONGEST], hint

    def display(self, log: str, failing: str) -> DisplayData:
        """Return the whole log as an output that folds; its end where nothing does."""
        whole = terminal(self.text if len(self.text) > len(log) else log)
        plain = _COLOUR.sub("", whole)
        lines = plain.strip().splitlines()
        html = (
            f"<details><summary>build log: {escape(failing)}</summary>"
            f"<pre>{escape(plain)}</pre></details>"
        )
        return DisplayData({"text/html": html, "text/plain": "\n".join(lines[-PLAIN:])})


def _reason(lines: list[str]) -> str:
    """Return what uv or pip gives as the reason, put together where it is broken into lines."""
    for number, each in enumerate(lines):
        if each.startswith(ARROW):
            rest = itertools.takewhile(lambda text: not text.startswith("hint:"), lines[number:])
            return " ".join(rest).removeprefix(ARROW).strip()
    told = [number for number, each in enumerate(lines) if each.startswith(ERRORS)]
    if not told:
        return ""
    reason = lines[told[-1]].partition(": ")[2]
    after = lines[told[-1] + 1 :][:1]
    return reason + "".join(f": {each.partition(': ')[2]}" for each in after if each[:6] in CAUSES)
