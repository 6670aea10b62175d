"""
What an owner is told, line by line: measurements, offers, earnings.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from ..chain.rpc import Rpc
from ..host.driver import Gpu
from ..market import listing, rates
from ..units import duration, nos
from .bench import Bench, last
from .book import Book, Sum, midnight
from .place import Place
from .showing import Glance, earned, headline
from .suggesting import Suggestion, earnings, suggest

SHOWN = 3
"""Most markets that are suggested."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Offers:
    """What a network offers a machine."""

    found: Sequence[Suggestion]
    usd_per_nos: Decimal | None
    network: str
    play: bool
    """Whether what is paid there is worth nothing."""


async def offers(place: Place, cards: Sequence[Gpu]) -> Offers:
    """Return the markets that fit a machine's cards."""
    network = place.network
    async with Rpc(network) as rpc:
        markets = await listing.fetch(network, rpc)
    rate = await rates.current(network)
    found = suggest(markets, cards, play=not network.real_money)
    usd = rate.usd if rate is not None else None
    return Offers(found=found, usd_per_nos=usd, network=network.name, play=not network.real_money)


def measured(bench: Bench) -> list[str]:
    """Say what was measured."""
    hashing = f"SHA-256 at {bench.one:g} MB/s on one thread, {bench.all:g} on {bench.threads}"
    rows = [
        ("processor", f"{bench.cpu}: {hashing}"),
        ("memory", f"{bench.memory:g} GB/s copied"),
        ("disk", f"{bench.write:g} MB/s written, {bench.read:g} read"),
        ("line", bench.line.text),
        ("card", _card(bench)),
    ]
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {text}" for name, text in rows] + [
        f"{'':<{width}}  measured {bench.at} UTC in {duration(bench.took)}"
    ]


def _card(bench: Bench) -> str:
    if not bench.cards:
        return "none that a driver knows"
    names = ", ".join(each.name for each in bench.cards)
    card = bench.card
    if card is None or card.failure:
        return f"{names}: not measured: {card.failure if card else 'nobody asked'}"
    where = "from a container" if card.where == "container" else "without a container"
    return (
        f"{names}: {card.memory:g} GB/s of its memory, {card.into:g} GB/s in and {card.out:g} out, "
        f"{where}"
    )


def suggested(offers: Offers, cards: Sequence[Gpu], kwh: Decimal | None) -> list[str]:
    """Say which markets fit, why, and what they may pay."""
    if not offers.found:
        has = ", ".join(each.name for each in cards) or "no card"
        return [f"No market of {offers.network} is for this machine: it has {has}."]
    lines = []
    for each in offers.found[:SHOWN]:
        market = each.market
        lines.append(f"{market.slug}: {'; '.join(each.reasons)}")
        watts = sum(card.watts for card in cards[: market.cards])
        rows = earnings(market, offers.usd_per_nos, watts=watts, kwh=kwh)
        lines += [f"  {label:<16}{text}" for label, text in rows]
    if offers.play:
        lines.append(f"All of it in play money of {offers.network}, which is worth nothing.")
    else:
        lines.append("How much of the time a host works nobody knows before: it is who asks.")
    if any(card.watts for card in cards) and kwh is None:
        lines.append("What the power costs comes off that: nosana-jupyter host bench --kwh 0.30")
    lines.append(f"To take part: nosana-jupyter host join {offers.found[0].market.slug}")
    return lines


def as_data(bench: Bench, offers: Offers) -> dict[str, Any]:
    """Return measurements and offers for programs."""
    return {
        "network": offers.network,
        "bench": msgspec.to_builtins(bench),
        "markets": [
            {
                "slug": each.market.slug,
                "address": each.market.address,
                "fits": each.fits,
                "nos_per_hour": f"{each.market.price * 3600 / 1_000_000:.6f}",
                "usd_per_nos": str(offers.usd_per_nos) if offers.usd_per_nos else None,
                "reasons": list(each.reasons),
            }
            for each in offers.found
        ],
    }


def status(place: Place, found: Glance | None) -> list[str]:
    """Say how the host of a machine does."""
    joined = ", ".join(each.slug for each in place.plan.markets) or "none joined"
    wallet = place.wallet()
    if found is None:
        lines = [f"no host runs here on {place.network.name}"]
        lines.append(f"node     {wallet.address if wallet else 'no key yet'}")
        lines.append(f"markets  {joined}")
        book = Book(place.folder)
        try:
            lines.append(f"earned   {_spelled(book.since(midnight()))} today")
        finally:
            book.close()
        if (bench := last(place)) is not None:
            lines.append(f"measured {bench.at} UTC: nosana-jupyter host bench measures again")
        todo = "run" if place.plan.markets else "join MARKET"
        return [*lines, f"to begin: nosana-jupyter host {todo}"]
    up = duration(max(0, int(time.time()) - found.began))
    return [
        headline(found),
        f"node     {found.node}",
        f"markets  {joined}",
        f"earned   {earned(found)}",
        f"process  {found.pid}, up {up}, version {found.version}",
    ]


def earned_days(place: Place, days: int) -> tuple[list[tuple[str, Sum]], Sum]:
    """Return what was earned on each of the last days, and ever."""
    book = Book(place.folder)
    try:
        return [(each.name, each.sum) for each in book.days(days)], book.since(0)
    finally:
        book.close()


def earned_lines(place: Place, days: int, *, as_json: bool) -> list[str]:
    """Say what was earned on each of the last days."""
    rows, ever = earned_days(place, days)
    if as_json:
        data = {
            "network": place.network.name,
            "days": [{"day": name, **_data(each)} for name, each in rows],
            "ever": _data(ever),
        }
        return [json.dumps(data, indent=2)]
    if not rows:
        return [f"nothing was earned on {place.network.name} yet"]
    lines = [f"{'day':<10}  {'jobs':>4}  {'at work':>12}  {'NOS':>14}  {'USD':>10}"]
    for name, each in [*rows, ("ever", ever)]:
        usd = f"{each.usd:.4f}" if each.usd is not None else "-"
        amount = nos(each.nos).removesuffix(" NOS")
        lines.append(
            f"{name:<10}  {each.jobs:>4}  {duration(each.seconds):>12}  {amount:>14}  {usd:>10}"
        )
    if ever.given_up:
        lines.append(f"{ever.given_up} more were given up and paid nothing")
    if ever.unknown:
        lines.append(f"{ever.unknown} more were closed unseen; what they paid is in the wallet")
    lines.append(
        "USD at the rate of when each job was paid. Fees of transactions are not taken off."
    )
    return lines


def _data(each: Sum) -> dict[str, Any]:
    return {
        "jobs": each.jobs,
        "seconds": each.seconds,
        "nos": f"{each.nos / 1_000_000:.6f}",
        "usd": f"{each.usd:.6f}" if each.usd is not None else None,
        "given_up": each.given_up,
        "unknown": each.unknown,
    }


def _spelled(each: Sum) -> str:
    worth = f" (${each.usd:.4f})" if each.usd is not None else ""
    return f"{nos(each.nos)}{worth} from {each.jobs} job{'' if each.jobs == 1 else 's'}"
