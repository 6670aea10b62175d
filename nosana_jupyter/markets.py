"""
Markets: the list, and what a job may cost in one of them.

The list says which cards a market has and what a host earns; the market's account on chain says
what a second costs and who waits. Prices and fees are read each time and assumed never.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgspec

from .errors import NetworkError
from .network import proxied, shown, unreached
from .units import MICRO, GiB, Lamports, MicroNos, MicroUsd, Seconds, duration, nos, sol, usd

if TYPE_CHECKING:
    from .chain.rpc import Rpc
    from .network import Network


_SEVERAL = re.compile(r"(?<![a-z0-9])([1-9]\d?)x(?![a-z0-9])")

NO_SOL = Lamports(0)

LEAST_CREDITS = Seconds(3600)
"""Shortest timeout that the service takes credits for. What is not used is free again."""


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
    def fee(self) -> str:
        """The network fee in percent, as it is written."""
        return f"{self.fee_percent.normalize():f}"

    @property
    def gpu(self) -> str:
        """The cards in few words, as in `RTX 4090` or `8 × H100 80GB HBM3`."""
        name = _short(self.gpus[0]) if self.gpus else "?"
        return f"{self.cards} × {name}" if self.cards > 1 else name


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

    pay: str = "nos"
    """What pays, as the setting of this name has it."""

    rent: Lamports = NO_SOL
    """Rent of the accounts of job and run, in lamports; it returns."""

    sol_fee: Lamports = NO_SOL
    """Most that posting and closing take in transaction fees, in lamports; they do not return."""

    asked: Seconds | None = None
    """Longest run that was asked for, where credits are only had for longer ones."""

    usual: Seconds | None = None
    """What such cells took of late, in seconds. None: this one was not run here before."""

    relaxed: str = ""
    """What to ask for instead, where no host that fits is free, in words."""

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

    @property
    def usd(self) -> MicroUsd:
        """
        The credits that are set aside for the whole timeout, in micro-dollars.

        The list says dollars an hour, the chain says NOS; the service takes the one or the other.
        """
        market = self.market
        hourly = market.usd_per_hour * MICRO * (1 + market.fee_percent / 100)
        cost = max(hourly * self.timeout / 3600, self.most * (self.usd_per_nos or Decimal(0)))
        return MicroUsd(int(cost.to_integral_value(ROUND_CEILING)))

    @property
    def bound(self) -> str:
        """The most the job can cost, in words."""
        return f"{usd(self.usd)} of credits" if self.pay == "credits" else nos(self.most)

    @property
    def notes(self) -> tuple[str, ...]:
        """What may surprise, one sentence each."""
        if self.asked is None:
            return ()
        note = f"Credits are set aside for {duration(self.timeout)} at least: the cell may run "
        note += f"that long, not {duration(self.asked)}. What is not used is free again."
        return (note,)

    def lines(self) -> list[tuple[str, str]]:
        """Return what a run may cost as labels and texts, in the order they are shown."""
        spelled = self.dollars(self.most)
        whole = duration(self.timeout)
        if self.pay == "credits":
            return [
                ("price", f"{self.so_far(3600)} an hour, network fee included"),
                ("set aside", f"{self.bound} for {whole}; what is not used is free again"),
                ("at most", self.bound),
                ("expected", self._expected()),
            ]
        fee = f"{nos(self.fee)} ({self.market.fee} %); it does not return"
        fees = f"up to {sol(self.sol_fee)} of fees, which do not"
        return [
            ("price", f"{nos(self.price)} a second, {nos(self.price * 3600)} an hour"),
            ("deposit", f"{nos(self.deposit)} for {whole}; the unused part returns"),
            ("network fee", fee if self.fee else "none"),
            ("at most", nos(self.most) + (f", {spelled}" if spelled else "")),
            ("expected", self._expected()),
            ("SOL", f"{sol(self.rent)} of rent, which returns; {fees}" if self.sol_fee else ""),
        ]

    def _expected(self) -> str:
        """Say what the run will cost, as far as there is anything to go by."""
        seconds = self.usual or 60
        credits_pay = self.pay == "credits"
        cost = self.so_far(seconds) if credits_pay else nos(self.bill(seconds)[0] + self.fee)
        if self.usual is None:
            return f"{cost} for a run of {duration(seconds)}; each second counts"
        return f"{cost}, as it took {duration(seconds)} of late"

    def so_far(self, seconds: int) -> str:
        """Spell what a run has cost after some seconds."""
        if self.pay == "credits":
            return usd(math.ceil(Fraction(self.usd * min(seconds, self.timeout), self.timeout)))
        return nos(self.bill(seconds)[0])

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
    accounts = await rpc.fronts([entry.address for entry in listed])
    if listed and not accounts:
        raise NetworkError(
            f"the RPC at {shown(network.rpc)} knows none of the markets of {network.name}: it is "
            "of another network",
            hint="Set another: %nosana config rpc --ask, or --unset for the public one.",
        )
    markets = []
    for entry in listed:
        account, waiting = accounts.get(entry.address, (None, 0))
        if account is None or not entry.client or account.job_price == 0:
            continue
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


async def fee_percent(network: Network, market: str) -> Decimal:
    """Return the network fee of a market, in percent; the highest there was if it is silent."""
    found = await _get(network, f"/api/markets/{market}/", _Listed)
    return Decimal(str(found.network_fee_percentage))


async def usd_per_nos(network: Network) -> Decimal | None:
    """Return the price of one NOS in dollars, or nothing if the network does not say."""

    class Price(msgspec.Struct):
        price: float

    try:
        answer = await _get(network, "/markets/price", Price)
    except NetworkError:
        return None
    return Decimal(str(answer.price)) if answer.price > 0 else None


def _short(gpu: str) -> str:
    return gpu.removeprefix("NVIDIA ").removeprefix("GeForce ")


async def _get(network: Network, path: str, form: Any) -> Any:
    import httpx

    try:
        async with httpx.AsyncClient(timeout=10, trust_env=proxied(network.api)) as http:
            answer = await http.get(network.api + path, follow_redirects=True)
            answer.raise_for_status()
        return msgspec.json.decode(answer.content, type=form)
    except (httpx.HTTPError, msgspec.DecodeError) as error:
        raise NetworkError(
            f"the market list of {network.name} at {shown(network.api)} cannot be read: "
            f"{unreached(error)}",
            hint="Try again in a moment.",
        ) from None  # Its words may name an address in full.
