"""
What a host says that it keeps for later jobs: bounded, with names that can be shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..market.caches import Cached, Report
from ..sanitize import line
from ..wire.keeping import HUB, KINDS, LONGEST, MOST, OLLAMA, Keeps, Kept

LARGEST = 1 << 50
"""Bytes that no host keeps of one thing."""

_PART = r"[A-Za-z0-9_][\w.-]*"
_FORMS = {
    HUB: re.compile(rf"{_PART}(/{_PART}){{0,2}}", re.ASCII),
    OLLAMA: re.compile(rf"{_PART}(/{_PART})*:{_PART}", re.ASCII),
}
"""What names of these kinds are."""


def heard(message: Keeps) -> Report:
    """Return what a host has told, without what makes no sense."""
    found, now = _things(message.found), _things(message.now)
    return Report(found=found, now=now, cut=len(message.found) >= MOST)


def _things(told: Sequence[Kept]) -> tuple[Cached, ...]:
    found = {}
    for each in told[:MOST]:
        form = _FORMS.get(each.kind)
        name = line(each.name[:LONGEST])
        fits = each.kind in KINDS and name and (form is None or form.fullmatch(name))
        if fits and 0 < each.size < LARGEST:
            found[each.kind, name] = Cached(each.kind, name, each.size)
    return tuple(found.values())
