"""
Markets as they were last seen, for what must be there at once: the completion of their names.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping

import msgspec

from . import settings

_kept: dict[str, dict[str, list[str]]] = {}
"""What this process last wrote, by network."""


def keep(network: str, cards: Mapping[str, Iterable[str]]) -> None:
    """Note the markets of a network, by slug with their cards. A disk that is full is no matter."""
    found = {slug: list(names) for slug, names in cards.items()}
    if _kept.get(network) == found:
        return
    _kept[network] = found
    with contextlib.suppress(OSError):
        path = settings.home() / f"markets-{network}.json"
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_bytes(msgspec.json.encode(found))
        draft.replace(path)


def read(network: str) -> dict[str, list[str]]:
    """Return the markets of a network as they were last seen; none if they never were."""
    try:
        text = (settings.home() / f"markets-{network}.json").read_bytes()
        return msgspec.json.decode(text, type=dict[str, list[str]])
    except (OSError, msgspec.MsgspecError):
        return {}
