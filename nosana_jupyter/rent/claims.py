"""
What a host says it is, held against what its market promises and the cell asks for.

It is a host's own word: who lies about all of it at once is found by what it computes, and how
fast. But who is in the wrong market, or has no card at all, is left before any data is sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import HostFailed, RemoteProtocolError
from ..market.choosing import Requirements
from ..market.markets import Market
from ..sanitize import line
from ..wire.messages import Gpu, Hello

SHORT = 0.9
"""How much of a card's memory its driver tells at least: some is kept for correcting errors."""

DRIVERS = {"11": 450, "12": 525, "13": 580}
"""Least major version of a driver, by that of CUDA: within one, older drivers do."""

MOST_MEMORY = 10_000
"""GiB that no card has."""

MOST_NAMED = 8
"""Most cards that are named."""

_NOT_TELLING = re.compile(r"\d+gb|(?:sxm|hbm|gddr|pcie)\d*")


class NotAsTold(RemoteProtocolError):
    """The host has another card than its market promises, or less memory on it."""


def check(
    hello: Hello, market: Market, wanted: Requirements, *, stand_in: str = "", cuda: str = ""
) -> None:
    """
    Compare a host's cards with those that are paid for.

    Args:
        hello: What it says.
        market: What it promises by being there.
        wanted: What the cell asks for.
        stand_in: What its network says that its hosts really are: then they promise no card.
        cuda: Least CUDA that its driver has to know, as in `12.4`.

    Raises:
        NotAsTold: It has not what its market promises.
        HostFailed: It shows no card, or not the one that the cell asks for.
    """
    if stand_in or not (market.gpus or market.vram or wanted.gpu):
        return
    if not hello.gpus:
        raise HostFailed(
            f"the host shows no card, and {market.slug} promises {promised(market)}. No data was "
            "sent",
            hint="If all hosts say so, the image hides them: nvidia-smi must be found in it.",
        )
    told = ", ".join(map(_shown, hello.gpus[:MOST_NAMED]))
    asked = wanted.vram or 0
    least = max(market.memory, asked if market.cards == 1 else 0) * SHORT
    if (
        len(hello.gpus) < market.cards
        or not all(least <= each.memory < MOST_MEMORY for each in hello.gpus)
        or not all(_is_one_of(each.name, market.gpus) for each in hello.gpus)
    ):
        raise NotAsTold(
            f"the host says that it has {told}, and {market.slug} promises {promised(market)}. No "
            "data was sent"
        )
    if wanted.gpu and not all(_is_one_of(each.name, [wanted.gpu]) for each in hello.gpus):
        raise HostFailed(f"the host has {told}, and not {wanted.gpu}. No data was sent")
    _check_drivers(hello, cuda)


def _check_drivers(hello: Hello, cuda: str) -> None:
    """
    Refuse a driver that is older than the CUDA of the cell's packages.

    Raises:
        HostFailed: It is.
    """
    least = DRIVERS.get(cuda.partition(".")[0], 0)
    for each in hello.gpus:
        major = each.driver.partition(".")[0]
        if major.isdigit() and int(major) < least:
            raise HostFailed(
                f"the host's driver is {line(each.driver)[:20]}, and the cell's packages are built "
                f"for CUDA {cuda}, which takes {least} at least. No data was sent"
            )


def promised(market: Market) -> str:
    """Say what a host of a market has."""
    memory = f"{market.vram:g} GiB" if market.vram else ""
    return ", ".join(filter(None, (market.gpu if market.gpus else "", memory)))


def _shown(card: Gpu) -> str:
    return f"{line(card.name)[:60] or '?'} with {card.memory:.4g} GiB"


def _is_one_of(name: str, cards: Sequence[str]) -> bool:
    """Say whether a card has all that tells one of several from others."""
    own = _telling(name)
    return not cards or any(_telling(each) <= own for each in cards)


def _telling(name: str) -> set[str]:
    """Return what of a name tells cards apart, as in `4070`, `ti` and `super`."""
    words = name.lower().replace("-", " ").split()
    return {
        each
        for each in words
        if each in ("ti", "super") or (re.search(r"\d", each) and not _NOT_TELLING.fullmatch(each))
    }
