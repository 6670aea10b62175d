"""
Names of files: which may be written, and which a pattern means.

Nothing here looks at a disk, and all of it is for both sides. Names are relative and have `/`,
whatever the machine. In a pattern `*`, `?` and `[…]` stay within one part of a name, and `**` is
any number of folders; none of them means what is hidden or what only tools have made. A folder
that a pattern means comes whole, without those. A pattern that begins with `!` takes out again.
"""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Optional

DEEPEST = 64
"""Most parts of a name."""

LONGEST = 255
"""Most bytes of one part."""

MADE_BY_TOOLS = frozenset({"__pycache__", "node_modules"})

_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|con(in|out)\$)\s*(\.|$)", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
_MAGIC = re.compile(r"[*?[]")


def flaw(path: str) -> str:
    """Return why a name may not be written below a folder, or nothing."""
    parts = path.split("/")
    if not path or path.startswith("/") or _DRIVE.match(path):
        return "it is no relative name"
    if len(parts) > DEEPEST:
        return f"it is more than {DEEPEST} folders deep"
    for part in parts:
        if part in ("", ".", ".."):
            return "it does not lead straight down"
        if "\\" in part or any(unicodedata.category(each) in ("Cc", "Cs") for each in part):
            return "it has characters that no name may have"
        if len(part.encode()) > LONGEST:
            return "it is too long"
        if part[-1] in " ." or _DEVICE.match(part):
            return "it is no name of a file on some machines"
    return ""


def folded(path: str) -> str:
    """Return what names have in common that are one to a disk without capital letters."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


class Names:
    """
    Names that are to be written beside each other, of which none may be in another's way.

    Args:
        blind: Whether the disk takes small and capital letters for the same.
    """

    def __init__(self, *, blind: bool) -> None:
        self._key = folded if blind else str
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}

    def add(self, path: str) -> str:
        """Take a name in; return why it cannot stand beside the others, or nothing."""
        if reason := flaw(path):
            return reason
        key = self._key(path)
        if key in self._files or key in self._folders:
            return "another has the same name"
        parts = path.split("/")
        above = ["/".join(parts[:end]) for end in range(1, len(parts))]
        for each in above:
            folder = self._key(each)
            if folder in self._files or self._folders.get(folder, each) != each:
                return "another has the name of its folder"
        self._files.add(key)
        self._folders.update((self._key(each), each) for each in above)
        return ""


class Patterns:
    """
    What the user asks for by name.

    Args:
        texts: Patterns, and those that begin with `!`. A `!` without `/` is about any part.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._wanted: list[tuple[str, ...]] = []
        self._not: list[tuple[str, ...]] = []
        for text in texts:
            if text.startswith("!"):
                self._not.append(parts_of(text[1:] if "/" in text.strip("/") else f"**/{text[1:]}"))
            else:
                self._wanted.append(parts_of(text))

    def __len__(self) -> int:
        return len(self._wanted)

    def which(self, path: str) -> Optional[int]:
        """Return the number of the first pattern that means a name, or nothing."""
        if self.excludes(path):
            return None
        parts = path.split("/")
        found = (i for i, each in enumerate(self._wanted) if _look(each, parts) == "means")
        return next(found, None)

    def leads(self, folder: str) -> bool:
        """Say whether a folder may hold what is meant."""
        parts = folder.split("/")
        return not self.excludes(folder) and any(_look(each, parts) for each in self._wanted)

    def excludes(self, path: str) -> bool:
        """Say whether a name, or its folder, is taken out."""
        parts = path.split("/")
        return any(_look(each, parts, True) == "means" for each in self._not)

    def roots(self) -> list[str]:
        """Return the folders, or files, below which all lies that is meant."""
        found: list[str] = []
        for root in sorted({"/".join(each[: fixed(each)]) for each in self._wanted}):
            if not any(above == "" or root.startswith(f"{above}/") for above in found):
                found.append(root)
        return found


def parts_of(pattern: str) -> tuple[str, ...]:
    """Return the parts of a pattern, without those that say nothing."""
    return tuple(part for part in pattern.split("/") if part not in ("", "."))


def fixed(parts: Sequence[str]) -> int:
    """Return how many parts a pattern has before the first that is no plain name."""
    plain = (i for i, part in enumerate(parts) if _MAGIC.search(part))
    return next(plain, len(parts))


def _look(pattern: Sequence[str], parts: Sequence[str], everything: bool = False) -> str:
    """
    Say whether a pattern `means` a name, or its folder, or `leads` further down; or nothing.

    Args:
        pattern: Its parts.
        parts: The name's.
        everything: Whether `*` means what is hidden too.
    """
    last = len(pattern)
    states = _reached(pattern, {0})
    for index, part in enumerate(parts):
        if last in states and (everything or not any(map(is_left_out, parts[index:]))):
            return "means"
        found: set[int] = set()
        for state in states - {last}:
            if pattern[state] == "**":
                if everything or not is_left_out(part):
                    found.add(state)
            elif _fits(pattern[state], part, everything):
                found.add(state + 1)
        states = _reached(pattern, found)
    return "means" if last in states else "leads" if states else ""


def _reached(pattern: Sequence[str], states: set[int]) -> set[int]:
    for state in sorted(states):
        while state < len(pattern) and pattern[state] == "**":
            state += 1
            states.add(state)
    return states


def is_left_out(part: str) -> bool:
    """Say whether a part of a name is hidden, or made by tools."""
    return part.startswith(".") or part in MADE_BY_TOOLS


def _fits(pattern: str, part: str, everything: bool) -> bool:
    if not _MAGIC.search(pattern):
        return pattern == part
    if not everything and is_left_out(part) and not pattern.startswith("."):
        return False
    return bool(_compiled(pattern).match(part))


@lru_cache(512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))
