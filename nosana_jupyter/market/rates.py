"""
What a NOS, or a SOL, is worth in dollars, as several sources say that are asked at the same time.

Most of those that answer must agree. One that differs is refused and said. Where they do not agree,
or only one answers, the dearer counts: a source that lies can then stop a cell, and never make it
cost more than its cap in dollars.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from ..network import proxied, shown, unreached
from ..sources import Source
from ..units import duration

if TYPE_CHECKING:
    from ..network import Network

log = logging.getLogger("nosana_jupyter.market.rates")

SPREAD = Decimal("1.10")
"""The dearest of those that agree is at most this times the cheapest."""

FRESH = 60
"""Seconds for which a rate holds."""

STALE = 600
"""Seconds for which one is still better than none, where nobody answers."""

REMEMBERED = 3600
"""Seconds for which what several agreed on is held against one that answers alone."""

PATIENCE = 3
"""Seconds that a source has for its answer."""

LARGEST = 64_000
"""Bytes of an answer: a larger one is none."""

PLAIN = {"accept-encoding": "identity"}
"""A small answer that is packed may be a large one."""

MOST = Decimal(1_000_000)
"""Dollars that no coin is worth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """Dollars per NOS, or per SOL."""

    usd: Decimal
    """The middle of those that agree: what is shown."""

    least: Decimal
    most: Decimal
    """The dearest that may be right: what caps in dollars go by."""

    at: float
    """When it was asked, on the monotonic clock."""

    sources: tuple[str, ...]
    """Names of those that agree."""

    doubt: str = ""
    """Who was refused, or why the dearer counts, as a sentence."""

    coin: str = "NOS"

    @property
    def age(self) -> float:
        """Seconds since it was asked."""
        return max(0.0, time.monotonic() - self.at)

    @property
    def text(self) -> str:
        """The rate with its sources and its age, in words."""
        number = len(self.sources)
        who = f"{number} sources agree" if number > 1 else f"only {self.sources[0]} says"
        seconds = int(self.age)
        ago = f"{duration(seconds)} ago" if seconds else "now"
        dearer = f"; caps count ${self.most.normalize():f}" if self.most != self.usd else ""
        return f"${self.usd.normalize():f} a {self.coin}, as {who}, asked {ago}{dearer}"


_known: dict[tuple[Source, ...], Rate] = {}
_agreed: dict[tuple[Source, ...], Rate] = {}
"""The newest on which several agreed."""


def sources(network: Network) -> tuple[Source, ...]:
    """Return who is asked."""
    own = Source(name="Nosana", address=f"{network.api}/markets/price", path=("price",))
    return (own, *network.rates)


async def current(network: Network) -> Rate | None:
    """Return what a NOS is worth, from a minute ago at most; nothing if nobody says."""
    return await _current(sources(network), "NOS")


async def sol(network: Network) -> Rate | None:
    """Return the same of a SOL, in which fees and rent are paid."""
    return await _current(network.sol_rates, "SOL")


async def _current(asked: tuple[Source, ...], coin: str) -> Rate | None:
    known = _known.get(asked)
    if known is not None and known.age < FRESH:
        return known
    now = time.monotonic()
    answers = await asyncio.gather(*map(_ask, asked))
    said = {
        each.name: value for each, value in zip(asked, answers, strict=True) if value is not None
    }
    if not said:
        return known if known is not None and known.age < STALE else None
    found = judged(said, now, coin)
    if len(found.sources) > 1:
        _agreed[asked] = found
    elif (before := _agreed.get(asked)) is not None and before.age < REMEMBERED:
        found = replace(found, most=max(found.most, before.most))
    _known[asked] = found
    return found


def judged(said: Mapping[str, Decimal], at: float, coin: str = "NOS") -> Rate:
    """Return the rate that most of the sources agree on, or else the dearest that one names."""
    ordered = sorted(said.items(), key=lambda each: each[1])
    windows = [
        [each for each in ordered[first:] if each[1] <= ordered[first][1] * SPREAD]
        for first in range(len(ordered))
    ]
    best = max(reversed(windows), key=len)
    if len(ordered) > 1 and len(best) * 2 <= len(ordered):
        every = ", ".join(f"{name} ${value.normalize():f}" for name, value in ordered)
        dearest, most = ordered[-1]
        doubt = f"The sources of the price of {coin} do not agree ({every}): the dearest counts."
        return Rate(
            usd=most, least=ordered[0][1], most=most, at=at, sources=(dearest,), doubt=doubt,
            coin=coin,
        )  # fmt: skip
    refused = [f"{name} (${value.normalize():f})" for name, value in ordered
               if (name, value) not in best]  # fmt: skip
    middle = statistics.median(value for _, value in best)
    doubt = ""
    if refused:
        doubt = f"Refused as the price of {coin}: {', '.join(refused)}; "
        doubt += f"{len(best)} others say ${middle.normalize():f}."
    return Rate(
        usd=middle,
        least=best[0][1],
        most=best[-1][1],
        at=at,
        sources=tuple(name for name, _ in best),
        doubt=doubt,
        coin=coin,
    )


def number(answer: object, path: tuple[str, ...]) -> Decimal | None:
    """Return the price that stands somewhere in an answer; nothing where there is none."""
    for name in path:
        if not isinstance(answer, dict) or name not in answer:
            return None
        answer = answer[name]
    if isinstance(answer, bool) or not isinstance(answer, int | float | str | Decimal):
        return None
    try:
        value = Decimal(str(answer)[:100])
    except InvalidOperation:
        return None
    return value if value.is_finite() and 1 / MOST < value < MOST else None


@cache
def _trusted() -> ssl.SSLContext:
    """Return whose certificates are believed; reading them takes longer than to ask."""
    import httpx

    return httpx.create_ssl_context()


async def _ask(source: Source) -> Decimal | None:
    import httpx

    # What is not https has nothing to verify, and may send us nowhere.
    safe = source.address.startswith("https:")
    client = httpx.AsyncClient(
        timeout=PATIENCE, trust_env=proxied(source.address), verify=_trusted() if safe else False
    )
    body = bytearray()
    try:
        async with (
            asyncio.timeout(PATIENCE),
            client as http,
            http.stream("GET", source.address, headers=PLAIN, follow_redirects=safe) as answer,
        ):
            answer.raise_for_status()
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > LARGEST:
                    log.info("%s says too much of a price", source.name)
                    return None
        return number(msgspec.json.decode(bytes(body)), source.path)
    except (
        httpx.HTTPError, httpx.InvalidURL, TimeoutError, msgspec.DecodeError, UnicodeDecodeError,
        RecursionError,
    ) as error:  # fmt: skip
        log.info("no price from %s: %s", shown(source.address), unreached(error))
        return None
