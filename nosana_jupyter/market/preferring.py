"""
Which of the markets that fit comes first: an order that the user gives, and why one won.

A market's queue decides who takes a job, so what is known of hosts is asked of the next one in it:
its record in the journal, and the image that it started last. What the list promises of a market
holds for all of its hosts. Hosts that failed lately come last in any order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..settings.forms import CACHED, FREE, PRICE, RELIABILITY, order_of
from ..units import MicroNos, duration, nos
from .caches import RESOURCE, Held, Want, listed, spelled

if TYPE_CHECKING:
    from .markets import Market
    from .reputation import Record

KEPT = 86_400.0
"""Seconds for which a host keeps an image that no job has used since."""

VETTED = "PREMIUM"
"""Kind of market whose hosts Nosana has looked at."""

Key = tuple[float, ...]


class Seen(Protocol):
    """What this machine has seen of hosts."""

    def of(self, node: str) -> Record:
        """Return what is known of a host."""

    def is_slow(self, node: str) -> bool:
        """Say whether a host is known to be slower than others of its market."""

    def started(self, node: str, image: str) -> float:
        """Return the Unix time at which a host last started an image; 0 if it was never seen to."""

    def kept(self, node: str) -> Held | None:
        """Return what a host is believed to keep of earlier jobs; nothing if that is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sought:
    """What a job will look for on its host."""

    image: str = ""
    wants: tuple[Want, ...] = ()
    """Models and links that it reads."""


def chance(record: Record) -> float:
    """
    Return how likely a host begins the next job and says what is so: 0.5 where nothing is known.

    It is Laplace's rule, in tenths: hosts that are about as good differ by what comes next.
    """
    bad = record.failed + record.differed + record.lied
    return round((record.done + 1) / (record.done + bad + 2), 1)


def plain(image: str) -> str:
    """Return an image's name as all that mean it write it."""
    name = image.removeprefix("docker.io/").removeprefix("library/")
    return name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"


def kept_by_all(market: Market, image: str) -> bool:
    """Say whether the list promises that each host of a market has an image."""
    return bool(image) and plain(image) in map(plain, market.images)


def started(market: Market, image: str, seen: Seen | None) -> float:
    """Return when the next host of a market last started an image that it should still have."""
    at = seen.started(market.first, image) if seen and market.first and image else 0.0
    return at if at > time.time() - KEPT else 0.0


def held(market: Market, seen: Seen | None) -> Held | None:
    """Return what the next host of a market is believed to keep of earlier jobs."""
    return seen.kept(market.first) if seen and market.first else None


def lacking(market: Market, wants: Sequence[Want], seen: Seen | None) -> list[Want]:
    """Return what of a job's models and links nobody says is there."""
    keeps = held(market, seen) if wants else None
    there = {each.want for each in keeps.things} if keeps is not None else set()
    # What cells fetch themselves lies elsewhere than what a definition names.
    there |= {(RESOURCE, each) for each in market.resources}
    return [each for each in wants if each not in there]


def keys(
    order: Sequence[str], sought: Sought, seen: Seen | None
) -> dict[str, Callable[[Market], Key]]:
    """Return what markets are ranked by, the lowest first, in this order."""
    image = sought.image
    known: dict[str, Callable[[Market], Key]] = {
        FREE: lambda each: (each.hosts == 0,),
        PRICE: lambda each: (each.price,),
        RELIABILITY: lambda each: (
            -(chance(seen.of(each.first)) if seen and each.first else 0.5), each.kind != VETTED
        ),
        CACHED: lambda each: (
            len(lacking(each, sought.wants, seen)),
            0 if kept_by_all(each, image) else 1 if started(each, image, seen) else 2,
        ),
    }  # fmt: skip
    return {name: known[name] for name in order}


def why(
    market: Market,
    others: Sequence[Market],
    order: Sequence[str],
    sought: Sought,
    seen: Seen | None,
) -> tuple[str, ...]:
    """
    Say why a market was chosen, with figures: a line for each part of the order.

    Args:
        market: The one.
        others: All that fit and are within the cap, this one too.
        order: By what.
        sought: What the job will look for.
        seen: What is known of hosts.
    """
    said = {
        FREE: lambda: market.free,
        PRICE: lambda: _price(market, others),
        RELIABILITY: lambda: _record(market, seen),
        CACHED: lambda: _cached(market, sought, seen),
    }
    lines = [f"{name}: {said[name]()}" for name in order]
    if market.first and {RELIABILITY, CACHED} & set(order):
        lines.append("the market's queue decides who takes the job: it may have moved on by then")
    return (lines[0], *(f"then {each}" for each in lines[1 : len(order)]), *lines[len(order) :])


@dataclass(frozen=True, slots=True)
class Known:
    """What of a market decides beside its price, in few words."""

    record: str = "–"
    """Of the next host: jobs from here that it has begun, of those that it had."""

    kept: str = "–"
    """Who has the image, and how much else is kept."""


def known(
    markets: Sequence[Market], prefer: str, image: str, seen: Seen
) -> tuple[list[Market], list[Known]]:
    """Return markets in an order, as they are if none is given, and what is known of each."""
    ranks = keys(order_of(prefer), Sought(image=image), seen).values()
    found = list(markets)
    if prefer:
        found.sort(key=lambda each: (*(rank(each) for rank in ranks), each.slug))
    return found, [Known(_short_record(each, seen), _short_image(each, image, seen))
                   for each in found]  # fmt: skip


def _short_record(market: Market, seen: Seen) -> str:
    record = seen.of(market.first) if market.first else None
    if record is None:
        return "–"
    wrong = record.differed + record.lied
    late = ", avoided" if record.avoid_until > time.time() else ""
    begun = f"{record.done} of {record.done + record.failed} begun" if record.seen else "new here"
    return f"{begun}{f', {wrong} × wrong' if wrong else ''}{late}"


def _short_image(market: Market, image: str, seen: Seen) -> str:
    at = started(market, image, seen)
    here = "image: all hosts" if kept_by_all(market, image) else "image: next host" if at else ""
    keeps = held(market, seen)
    yours = f"yours: {spelled(keeps.things)}" if keeps is not None else ""
    lists = (("image", market.images), ("resource", market.resources))
    rest = [f"{len(each)} {name}{'s' if each[1:] else ''}" for name, each in lists if each]
    return "; ".join(filter(None, (here, f"keeps {', '.join(rest)}" if rest else "", yours))) or "–"


def _price(market: Market, others: Sequence[Market]) -> str:
    hour = f"{nos(MicroNos(market.price * 3600))} an hour"
    best = min(others, key=lambda each: each.price)
    if len(others) == 1:
        return f"{hour}, and no other fits"
    if best.price >= market.price:
        return f"{hour}, the lowest of {len(others)} that fit"
    free = "" if best.hosts else ", with no host free"
    return f"{hour}; the lowest is {nos(MicroNos(best.price * 3600))} on {best.slug}{free}"


def _record(market: Market, seen: Seen | None) -> str:
    vetted = "; hosts of this market are vetted" if market.kind == VETTED else ""
    if not market.first:
        return f"no host waits, so nobody knows who comes{vetted}"
    return f"the next host, {market.first[:8]}, {told(market.first, seen)}{vetted}"


def told(node: str, seen: Seen | None) -> str:
    """Say of a host how many of the jobs from here it has begun."""
    record = seen.of(node) if seen is not None else None
    if record is None or not record.seen:
        return "had no job from here yet"
    wrong = record.differed + record.lied
    found = f", and was {wrong} × found wrong" if wrong else ""
    return f"began {record.done} of {record.done + record.failed} jobs from here{found}"


def _cached(market: Market, sought: Sought, seen: Seen | None) -> str:
    said = _image(market, sought.image, seen)
    if not sought.wants:
        return said
    missing = lacking(market, sought.wants, seen)
    keeps = held(market, seen)
    there = keeps.has(sought.wants) if keeps is not None else ()
    parts = [f"the next host, {market.first[:8]}, should still have {spelled(there)}"]
    if missing:
        names = listed([name for _, name in missing])
        parts = [*(parts if there else ()), f"nobody says that it keeps {names}"]
    return "; ".join([*parts, said])


def _image(market: Market, image: str, seen: Seen | None) -> str:
    if not image:
        return "nobody knows the image"
    name = plain(image)
    if kept_by_all(market, image):
        return f"all its hosts keep {name}, as the market list says"
    if at := started(market, image, seen):
        ago = duration(max(1, int(time.time() - at)))
        return f"the next host started {name} {ago} ago and should still have it"
    return f"nobody says that {name} is there: it is fetched first, in time that is paid"
