"""
Networks of teams that this user has joined: their names, and where what is known of them is kept.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import UsageError

PUBLIC = ("local", "devnet", "mainnet")
"""Networks that there are without joining any."""

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}", re.ASCII)
"""What a team may call its network: it names a folder."""


def folder(name: str) -> Path:
    """Return where all is kept that belongs to a network of a team."""
    from . import home

    return home() / "networks" / name


def joined() -> list[str]:
    """Return the names of the networks that were joined."""
    from . import home

    found = (home() / "networks").glob("*/seat.json")
    return sorted(each.parent.name for each in found if NAME.fullmatch(each.parent.name))


def known() -> tuple[str, ...]:
    """Return the names of all networks."""
    return (*PUBLIC, *joined())


def check(text: str) -> None:
    """
    Refuse what is no network here.

    Raises:
        UsageError: It is none.
    """
    names = known()
    if text in names:
        return
    import difflib

    near = difflib.get_close_matches(text.lower(), names, n=1)
    hint = f"Did you mean {near[0]}?" if near else (
        f"Use {' or '.join(names)}, or join a team's own (%nosana network join)."
    )  # fmt: skip
    raise UsageError(f"{text!r} is neither {' nor '.join(names)}", hint=hint)
