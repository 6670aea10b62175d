"""
Markets: the list, the requirements of a cell, and the quote.

The list says which cards a market has and what a host earns; the market's account on chain says
what a second costs and who waits. Prices and fees are read each time and assumed never.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from .errors import FundsError, NetworkError, UsageError
from .network import proxied
from .units import GiB, MicroNos, Seconds, duration, nos

if TYPE_CHECKING:
    from .chain.rpc import Rpc
    from .network import Network


LEAST_TIMEOUT = 60
"""Seconds below which no shorter timeout is proposed: a host takes some to begin."""

_SEVERAL = re.compile(r"(?<![a-z0-9])([1-9]\d?)x(?![a-z0-9])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Market:
    """One market: cards of a kind at a price."""

    address: str
    slug: str
    name: str
    kind: str
    """`PREMIUM`, `COMMUNITY` or `OTHER`."""

    gpus: tuple[str, ...]
    """Full names of the cards a host of this market may have."""

    vram: GiB
    """Memory of its smallest card, in GiB. 0 where the list does not say."""

    price: MicroNos
    """Price of one second of run time, in micro-NOS per second."""

    fee_percent: Decimal
    """Network fee, in percent of the deposit; on top, and never returned."""

    usd_per_hour: Decimal
    """What a host earns, in dollars per hour, as the list says. 0 where it does not."""

    hosts: int = 0
    """Hosts that wait for a job now."""

    first: str = ""
    """Address of the host that takes the next job, if one waits."""

    jobs: int = 0
    """Jobs that wait for a host now."""

    @property
    def cards(self) -> int:
        """Cards of one host. The list says it in the slug alone, as in `nvidia-8x-h100`."""
        several = _SEVERAL.search(self.slug)
        return int(several[1]) if several else 1

    @property
    def gpu(self) -> str:
        """The cards in few words, as in `RTX 4090` or `8 × H100 80GB HBM3`."""
        name = _short(self.gpus[0]) if self.gpus else "?"
        return f"{self.cards} × {name}" if self.cards > 1 else name


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirements:
    """What a cell asks of a host."""

    vram: GiB | None = None
    gpu: str | None = None
    market: str | None = None
    """Slug or address: no other market is looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """
    The most one job can cost in one market.

    The deposit leaves the wallet when the job is posted. What the run does not use comes back when
    it ends, so the deposit is a bound and never the bill.
    """

    market: Market
    timeout: Seconds
    """Longest run the deposit pays for, in seconds."""

    usd_per_nos: Decimal | None = None
    """Price of one NOS in dollars, where the network knows one."""

    @property
    def price(self) -> MicroNos:
        """Price of one second, in micro-NOS."""
        return self.market.price

    @property
    def deposit(self) -> MicroNos:
        """Amount the market's vault holds while the job is open, in micro-NOS."""
        return MicroNos(self.price * self.timeout)

    @property
    def fee(self) -> MicroNos:
        """Network fee for the whole timeout, in micro-NOS; on top, and never returned."""
        return MicroNos(int(self.deposit * self.market.fee_percent / 100))

    @property
    def most(self) -> MicroNos:
        """The most the job can cost: deposit and fee, in micro-NOS."""
        return MicroNos(self.deposit + self.fee)

    def bill(self, seconds: int) -> tuple[MicroNos, MicroNos]:
        """
        Split the deposit after a run of `seconds`.

        Returns:
            What the host earns and what the payer gets back, in micro-NOS.
            The two always add up to the deposit.
        """
        paid = MicroNos(self.price * max(0, min(seconds, self.timeout)))
        return paid, MicroNos(self.deposit - paid)

    def dollars(self, amount: int) -> str:
        """Spell an amount of micro-NOS in dollars; nothing where no price is known."""
        if self.usd_per_nos is None:
            return ""
        return f"${Decimal(amount) / 1_000_000 * self.usd_per_nos:.4f}"


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


class _Listed(msgspec.Struct):
    """An entry of the market list: the fields we read, of the many there are."""

    address: str
    slug: str = ""
    name: str = ""
    type: str = "OTHER"
    gpu_types: list[str] = []
    lowest_vram: float | None = None
    usd_reward_per_hour: float | None = None
    network_fee_percentage: float = 10.0
    """Where the list is silent we allow for the highest fee there has been."""

    client: bool = True


async def fetch(network: Network, rpc: Rpc) -> list[Market]:
    """
    Read the market list and, for each market, its price and queue on chain.

    Returns:
        Markets with a price, cheapest first.

    Raises:
        NetworkError: The list cannot be read.
    """
    listed = await _get(network, "/api/markets/", list[_Listed])
    accounts = await rpc.markets([entry.address for entry in listed])
    markets = []
    for entry in listed:
        account = accounts.get(entry.address)
        if account is None or not entry.client or account.job_price == 0:
            continue
        waiting = len(account.queue)
        markets.append(
            Market(
                address=entry.address,
                slug=entry.slug or entry.address,
                name=entry.name or entry.slug,
                kind=entry.type,
                gpus=tuple(entry.gpu_types),
                vram=GiB(entry.lowest_vram or 0),
                price=MicroNos(account.job_price),
                fee_percent=Decimal(str(entry.network_fee_percentage)),
                usd_per_hour=Decimal(str(entry.usd_reward_per_hour or 0)),
                hosts=(hosts := waiting if account.queue_type == 1 else 0),
                first=str(account.queue[0]) if hosts else "",
                jobs=waiting if account.queue_type == 0 else 0,
            )
        )
    return sorted(markets, key=lambda market: (market.price, market.slug))


async def usd_per_nos(network: Network) -> Decimal | None:
    """Return the price of one NOS in dollars, or nothing if the network does not say."""

    class Price(msgspec.Struct):
        price: float

    try:
        answer = await _get(network, "/markets/price", Price)
    except NetworkError:
        return None
    return Decimal(str(answer.price)) if answer.price > 0 else None


def choose(
    markets: Sequence[Market],
    wanted: Requirements,
    timeout: Seconds,
    *,
    cap: Cap | None = None,
    price: Decimal | None = None,
    avoid: Set[str] = frozenset(),
) -> Quote:
    """
    Return the quote of the cheapest market that fits, one with a free host before one without.

    Args:
        markets: What `fetch` returned.
        wanted: What the cell asks for.
        timeout: Longest run to pay for, in seconds.
        cap: The cap on deposit and fee.
        price: Dollars per NOS.
        avoid: Addresses of hosts and markets that come last, whatever they cost.

    Raises:
        UsageError: No market has such a name, or none fits; says what came closest.
        FundsError: The cheapest that fits is over the cap. Nothing was spent.
    """
    found = fitting(markets, wanted)
    if not found:
        raise UsageError(_nothing_fits(wanted), hint=_closest(markets, wanted))
    keys = {m: (bool({m.address, m.first} & avoid), m.hosts == 0, m.price, m.slug) for m in found}
    best = min(found, key=keys.__getitem__)
    quote = Quote(market=best, timeout=timeout, usd_per_nos=price)
    if cap is not None and quote.most > cap.amount:
        affordable = min(found, key=lambda market: market.price)
        quote = Quote(market=affordable, timeout=timeout, usd_per_nos=price)
        if quote.most > cap.amount:
            raise _too_dear(quote, cap)
    return quote


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
    if wanted.vram and market.vram < wanted.vram:
        return False
    if not wanted.gpu:
        return True
    words = _words(wanted.gpu)
    return any(words <= _words(gpu) for gpu in (*market.gpus, market.slug.replace("-", " ")))


def _words(text: str) -> set[str]:
    return set(text.lower().replace("-", " ").split()) - {"nvidia", "geforce", "rtx"}


def _short(gpu: str) -> str:
    return gpu.removeprefix("NVIDIA ").removeprefix("GeForce ")


def _near(word: str, names: Sequence[str]) -> list[str]:
    """Return at most three of some names in small letters that may have been meant."""
    held = [name for name in names if word in name] if len(word) > 1 else []
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    return list(dict.fromkeys([*held, *close]))[:3]


def _nothing_fits(wanted: Requirements) -> str:
    parts = []
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


async def _get(network: Network, path: str, form: Any) -> Any:
    import httpx

    try:
        async with httpx.AsyncClient(timeout=10, trust_env=proxied(network.api)) as http:
            answer = await http.get(network.api + path, follow_redirects=True)
            answer.raise_for_status()
        return msgspec.json.decode(answer.content, type=form)
    except (httpx.HTTPError, msgspec.DecodeError) as error:
        raise NetworkError(
            f"the market list of {network.name} cannot be read ({type(error).__name__})",
            hint="Try again in a moment.",
        ) from error
