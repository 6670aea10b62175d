"""
Which market a cell goes to: the best of those that have what it asks for, or what came closest.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import FundsError, UsageError
from ..settings import forms
from ..units import GiB, MicroNos, Seconds, duration, nos
from . import preferring
from .caches import spelled
from .markets import Market, Quote
from .preferring import Sought
from .tiers import capability_of

if TYPE_CHECKING:
    from .caches import Want
    from .preferring import Seen
    from .rates import Rate

LEAST_TIMEOUT = 60
"""Seconds below which no shorter timeout is proposed: a host takes some to begin."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirements:
    """What a cell asks of a host."""

    vram: GiB | None = None
    gpu: str | None = None
    market: str | None = None
    """Slug or address: no other market is looked at."""

    kind: str | None = None
    """Kind of market, as in `PREMIUM`: credits are for these alone."""

    single: bool = False
    """Whether one card has to have the memory, and not several of one host together."""

    capability: float = 0.0
    """Least compute capability of the card, as in 8.0. 0: any."""

    below: float = 0.0
    """Compute capability from which on the cell's packages have no code. 0: none."""

    prefer: str = ""
    """Which of the markets that fit comes first, as written: see `forms.order_of`."""

    image: str = ""
    """Container image that is run in, where it is known: some hosts have it already."""

    wants: tuple[Want, ...] = ()
    """Models and links that are read, as far as they are known: some hosts keep them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cap:
    """The most that one cell may cost, deposit and fee."""

    amount: MicroNos
    text: str
    """As its writer wrote it."""

    source: str
    """Who says so: `--max-cost`, or the setting."""

    advice: str = ""
    """How it is changed for good, where a setting says so."""


def choose(
    markets: Sequence[Market],
    wanted: Requirements,
    timeout: Seconds,
    *,
    cap: Cap | None = None,
    rate: Rate | None = None,
    avoid: Set[str] = frozenset(),
    seen: Seen | None = None,
) -> Quote:
    """
    Return the quote of the best market that fits, in the order that is preferred.

    By itself that is the cheapest, and one with a free host before one without.

    Args:
        markets: What `fetch` returned.
        wanted: What the cell asks for.
        timeout: Longest run to pay for, in seconds.
        cap: The cap on deposit and fee.
        rate: What a NOS is worth in dollars.
        avoid: Addresses of hosts that come last, whatever they cost, and of markets that do so
            unless the next host there is known.
        seen: What is known of hosts: one that is slower than others comes later among equals.

    Raises:
        UsageError: No market has such a name, or none fits; says what came closest.
        FundsError: All that fits is over the cap. Nothing was spent.
    """
    order = forms.order_of(wanted.prefer)
    found = fitting(markets, wanted)
    if not found:
        raise UsageError(_nothing_fits(wanted), hint=_closest(markets, wanted))
    sought = Sought(image=wanted.image, wants=wanted.wants)
    ranks = preferring.keys(order, sought, seen).values()
    keys = {
        each: ((each.first or each.address) in avoid, *(rank(each) for rank in ranks))
        for each in found
    }
    quotes = {each: Quote(market=each, timeout=timeout, rate=rate) for each in found}
    within = [each for each in found if cap is None or quotes[each].most <= cap.amount]
    if not within:
        assert cap is not None
        raise _too_dear(quotes[min(found, key=lambda each: each.price)], cap)
    least = min(keys[each] for each in within)
    equals = [market for market in within if keys[market] == least]
    # Few are asked about: to know takes a look into the journal.
    best = min(
        equals,
        key=lambda each: (len(equals) > 1 and seen and seen.is_slow(each.first), each.slug),
    )
    said = preferring.why(best, within, order, sought, seen)
    held = preferring.held(best, seen)
    has = held.has(wanted.wants) if held is not None else ()
    quote = replace(
        quotes[best],
        why=(*said, *_before(best, keys, within)),
        kept=held.text if held else "",
        has=spelled(has) if has else "",
    )
    return replace(quote, relaxed=_relaxed(markets, wanted)) if not best.hosts else quote


def _before(
    best: Market, keys: Mapping[Market, tuple[Any, ...]], within: Sequence[Market]
) -> Iterator[str]:
    """Say what would have come first, but for a failure of its host, or but for the cap."""
    late, *own = keys[best]
    before = [each for each in keys if list(keys[each][1:]) < own]
    failed = [each.slug for each in before if keys[each][0] and not late]
    dear = [each.slug for each in before if each not in within and each.slug not in failed]
    if failed:
        yield f"passed over: {_first(failed)}, whose next host failed or was wrong lately"
    if dear:
        yield f"passed over: {_first(dear)}, as it may cost more than the cap"


def _first(slugs: Sequence[str]) -> str:
    return slugs[0] + (f" and {len(slugs) - 1} more" if slugs[1:] else "")


def _relaxed(markets: Sequence[Market], wanted: Requirements) -> str:
    """Say which single thing to leave out, so that a host is free."""
    free = sum(each.hosts for each in fitting(markets, wanted))
    if free:
        hosts = "1 host is" if free == 1 else f"{free} hosts are"
        return f"with --prefer {forms.FREE}, {hosts} free"
    wishes = {"market": wanted.market, "gpu": wanted.gpu, "vram": wanted.vram}
    for name, value in wishes.items():
        if value is None:
            continue
        fits = fitting(markets, replace(wanted, market=None if name == "market" else wanted.market,
                                        gpu=None if name == "gpu" else wanted.gpu,
                                        vram=None if name == "vram" else wanted.vram))  # fmt: skip
        free_ones = sorted((each for each in fits if each.hosts), key=lambda each: each.price)
        if free_ones:
            number = sum(each.hosts for each in free_ones)
            hosts = "1 host is" if number == 1 else f"{number} hosts are"
            shown = f"{value:g}" if isinstance(value, float | int) else value
            return f"without --{name} {shown}, {hosts} free, the cheapest on {free_ones[0].slug}"
    return ""


def _too_dear(quote: Quote, cap: Cap) -> FundsError:
    market = quote.market
    dollars = quote.dollars(quote.most)
    per_second = market.price * (1 + market.fee_percent / 100)
    seconds = int(cap.amount / per_second)
    raised = f"--max-cost '{nos(quote.most)}'"
    # What is proposed must not be refused in its turn.
    if seconds >= LEAST_TIMEOUT:
        hint = f"Lower --timeout to {duration(seconds)}, or raise the cap: {raised}."
    else:
        hint = f"That is the cheapest that fits. Raise the cap: {raised}."
    return FundsError(
        f"{duration(quote.timeout)} on {market.slug} ({market.gpu}) may cost {nos(quote.most)}"
        f"{f' ({dollars})' if dollars else ''}, and the cap is {cap.text} ({cap.source}). "
        "Nothing was spent",
        hint=f"{hint} {cap.advice}".strip(),
    )


def find(markets: Sequence[Market], name: str) -> Market:
    """
    Return a market by slug or address.

    Raises:
        UsageError: There is none; names the nearest.
    """
    for market in markets:
        if name in (market.slug, market.address):
            return market
    slugs = [market.slug for market in markets]
    near = _near(name.lower(), slugs)
    hint = f"Did you mean {', '.join(near)}?" if near else "See %nosana markets."
    raise UsageError(f"there is no market {name!r}", hint=hint)


def fitting(markets: Sequence[Market], wanted: Requirements) -> list[Market]:
    """
    Return the markets that have what is wanted.

    Raises:
        UsageError: The market that is named does not exist.
    """
    if wanted.market:
        market = find(markets, wanted.market)
        return [market] if _fits(market, wanted) else []
    return [market for market in markets if _fits(market, wanted)]


def _fits(market: Market, wanted: Requirements) -> bool:
    if wanted.kind and market.kind != wanted.kind:
        return False
    if wanted.vram and (market.memory if wanted.single else market.vram) < wanted.vram:
        return False
    if wanted.capability or wanted.below:
        least, most = capability_of(market.gpus, market.slug)
        if most and (least < wanted.capability or (wanted.below and most >= wanted.below)):
            return False
    if not wanted.gpu:
        return True
    words = _words(wanted.gpu)
    return any(words <= _words(gpu) for gpu in (*market.gpus, market.slug.replace("-", " ")))


def _words(text: str) -> set[str]:
    return set(text.lower().replace("-", " ").split()) - {"nvidia", "geforce", "rtx"}


def _near(word: str, names: Sequence[str]) -> list[str]:
    """Return at most three of some names in small letters that may have been meant."""
    held = [name for name in names if word in name] if len(word) > 1 else []
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    return list(dict.fromkeys([*held, *close]))[:3]


def _nothing_fits(wanted: Requirements) -> str:
    parts = []
    if wanted.market and wanted.kind:
        return f"market {wanted.market} is none of those that credits are for, or does not fit"
    if wanted.market:
        parts.append(f"market {wanted.market}")
    if wanted.gpu:
        parts.append(f"a {wanted.gpu}")
    if wanted.vram:
        parts.append(f"{wanted.vram:g} GiB of GPU memory")
    if wanted.market and parts[1:]:
        return f"{parts[0]} does not have {' and '.join(parts[1:])}"
    return f"no market has {' and '.join(parts)}" if parts else "the network lists no market"


def _closest(markets: Sequence[Market], wanted: Requirements) -> str:
    """Say which single thing to relax, so that what is left fits."""
    anywhere = fitting(markets, replace(wanted, market=None)) if wanted.market else []
    elsewhere = f", or leave out --market: {anywhere[0].slug} fits" if anywhere else ""
    if wanted.vram:
        without = fitting(markets, replace(wanted, vram=None))
        if without:
            # Rounded down: what is proposed must not be refused in its turn.
            most = math.floor(max(market.vram for market in without) * 1000) / 1000
            return f"The most there is has {most:g} GiB: --vram {most:g}{elsewhere}."
    if wanted.gpu:
        without = fitting(markets, replace(wanted, gpu=None))
        if wanted.market and without:
            return f"It has {without[0].gpu}: leave out --gpu{elsewhere}."
        near = _near_cards(wanted.gpu, without)
        if near:
            return f"Did you mean {', '.join(near)}?"
        if without:
            several = f"{len(without)} markets fit" if len(without) > 1 else "1 market fits"
            return f"Without --gpu, {several}: see %nosana markets."
    return "See %nosana markets."


def _near_cards(gpu: str, markets: Sequence[Market]) -> list[str]:
    """Return at most three names of cards, in one word each, that may have been meant."""
    known = {
        word.lower(): word
        for market in markets
        for card in market.gpus
        for word in card.replace("-", " ").split()
        if any(map(str.isdigit, word)) and not word.endswith("GB")
    }
    near = [name for word in sorted(_words(gpu)) for name in _near(word, sorted(known))]
    return [known[name] for name in dict.fromkeys(near)][:3]
