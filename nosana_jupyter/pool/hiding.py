"""
Work whose result is known before a host is asked: canaries of the user's, and items of the map that
are computed here as well.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..trust.ballot import Came

if TYPE_CHECKING:
    from .backlog import Item

HINT = "Give pairs, as in canaries=[(2, 4), (3, 9)], or how many items to compute here: canaries=3."


def hidden(
    canaries: int | Iterable[tuple[Any, Any]], width: int, total: int | None
) -> dict[str, Any]:
    """
    Return what a plan says of work whose result is known.

    Args:
        canaries: What the user gives.
        width: Arguments of one call.
        total: Items of the map, if that is known.

    Raises:
        UsageError: It is nothing of the kind.
    """
    if isinstance(canaries, int):
        if canaries < 0 or (canaries and (total is None or canaries > total)):
            there = "an unknown number of" if total is None else f"{total:,}"
            raise UsageError(f"canaries={canaries}: the map has {there} items", hint=HINT)
        return {"known": canaries}
    found = []
    for each in canaries:
        if not isinstance(each, tuple | list) or len(each) != 2:
            raise UsageError(f"a canary is a pair of item and result, not {each!r:.80}", hint=HINT)
        args = (each[0],) if width == 1 else each[0]
        if not isinstance(args, tuple) or len(args) != width:
            raise UsageError(
                f"the item of a canary is a tuple of {width} here, not {each[0]!r:.80}", hint=HINT
            )
        found.append((args, each[1]))
    return {"canaries": tuple(found)}


def mixed(
    items: Sequence[Item],
    canaries: Iterable[tuple[tuple[Any, ...], Any]],
    chance: random.Random,
) -> list[Item]:
    """Return items and canaries in an order that says nothing of which is which."""
    if not items:
        return []
    first = items[0]
    more = [
        type(first)(
            number=-1, function=first.function, args=args, kwargs=first.kwargs,
            audience=first.audience, round=first.round, hidden=True,
            known=(Came("", "", answer),),
        )
        for args, answer in canaries
    ]  # fmt: skip
    found = [*items, *more]
    if more:
        chance.shuffle(found)
    return found


def computed(item: Item) -> Came:
    """Return what comes of an item on this machine."""
    try:
        # It goes to a host as it is now, whatever the function does to it here.
        value = item.function(*copy.deepcopy(item.args), **copy.deepcopy(item.kwargs))
    except Exception as error:  # noqa: BLE001 - the user's own code may raise anything
        return Came("", "", error=error)
    return Came("", "", value)
