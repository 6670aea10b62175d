"""
Markets as they were last seen, for what must be there at once: the completion of their names.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping

import msgspec

from .. import settings

CARDS = (
    "3060", "3070", "3080", "3090", "4060", "4070", "4080", "4090", "5070", "5080", "5090", "6000",
    "A100-SXM4-40GB", "A100-SXM4-80GB", "A40", "A4000", "A5000", "A6000", "H100",
)  # fmt: skip
"""What tells cards of the network from each other, for whoever has not looked at it yet."""

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
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return {}
