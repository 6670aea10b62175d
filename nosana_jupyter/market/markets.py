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
from typing import TYPE_CHECKING

from ..units import MICRO, GiB, Lamports, MicroNos, MicroUsd, Seconds, duration, nos, sol, usd, xnos

if TYPE_CHECKING:
    from .rates import Rate


_SEVERAL = re.compile(r"(?<![a-z0-9])([1-9]\d?)x(?![a-z0-9])")

NO_SOL = Lamports(0)

LEAST_MEMORY = 16
"""GiB that a card has at least of which a host has several."""

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

    stake: int = 0
    """Least stake of a host, in micro-xNOS. 0: any stake will do."""

    hosts: int = 0
    """Hosts that wait for a job now."""

    first: str = ""
    """Address of the host that takes the next job, if one waits."""

    jobs: int = 0
    """Jobs that wait for a host now."""

    images: tuple[str, ...] = ()
    """Container images that each of its hosts keeps, as the list says."""

    resources: tuple[str, ...] = ()
    """The same of what is fetched from elsewhere, such as models: addresses."""

    @property
    def cards(self) -> int:
        """Cards of one host. The list says it in the slug alone, as in `nvidia-8x-h100`."""
        several = _SEVERAL.search(self.slug)
        return int(several[1]) if several else 1

    @property
    def memory(self) -> GiB:
        """Memory of one card, in GiB: lists add up those of a host with several, or do not."""
        if self.cards > 1 and self.vram / self.cards >= LEAST_MEMORY:
            return GiB(self.vram / self.cards)
        return self.vram

    @property
    def free(self) -> str:
        """How many hosts wait for a job, in words."""
        if self.hosts < 2:
            return f"{'one' if self.hosts else 'none'} is free"
        return f"{self.hosts} are free"

    @property
    def staked(self) -> str:
        """What a host has to have staked, as words behind others; empty where any stake will do."""
        return f"; to wait there takes a stake of {xnos(self.stake)}" if self.stake else ""

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

    rate: Rate | None = None
    """What a NOS is worth in dollars, where anybody says."""

    cap: str = ""
    """The cap on what the cell may cost, as written. Empty: there is none."""

    spent: int = 0
    """What the cell has cost already, in micro-NOS: the cap holds over all of it."""

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

    node: str = ""
    """Address of the host it is for. Empty: whoever is next in the market's queue."""

    why: tuple[str, ...] = ()
    """Why this market was chosen, in words and with figures, the most important first."""

    kept: str = ""
    """What the next host there keeps of earlier jobs, in words. Empty: nothing, or nobody knows."""

    has: str = ""
    """What the job reads of that, in words."""

    relaxed: str = ""
    """What to ask for instead, where no host that fits is free, in words."""

    needs: str = ""
    """What the cell is estimated to need of a card, in words. Empty: nothing, or nobody looked."""

    reasons: tuple[tuple[str, str], ...] = ()
    """Why, as labels and texts."""

    caution: tuple[str, ...] = ()
    """What the estimate warns of, one sentence each."""

    cuda: str = ""
    """Least CUDA that the host's driver has to know, as in `12.4`. Empty: unknown."""

    larger: Market | None = None
    """The cheapest market with a step of memory more."""

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
    def usd_per_nos(self) -> Decimal | None:
        """Price of one NOS in dollars, as it is shown."""
        return self.rate.usd if self.rate is not None else None

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
        doubt = (self.rate.doubt,) if self.rate is not None and self.rate.doubt else ()
        if self.asked is None:
            return (*doubt, *self.caution)
        note = f"Credits are set aside for {duration(self.timeout)} at least: the cell may run "
        note += f"that long, not {duration(self.asked)}. What is not used is free again."
        return (*doubt, note, *self.caution)

    def lines(self) -> list[tuple[str, str]]:
        """Return what a run may cost as labels and texts, in the order they are shown."""
        needs = [("GPU memory", self.needs)] if self.needs else []
        # What is said of the next host in a queue is nothing of one that was named.
        said = () if self.node else self.why
        chosen = [("" if number else "chosen by", each) for number, each in enumerate(said)]
        kept = [("kept", self.kept)] if self.kept and not self.node else []
        more = [("more memory", self._more())] if self.larger else []
        return [*chosen, *kept, *needs, *self._costs(), *more]

    def _more(self) -> str:
        """Say what the next step of memory costs."""
        assert self.larger is not None
        market = self.larger
        hour = MicroNos(market.price * 3600)
        free = f"{market.hosts} free" if market.hosts else "none free"
        spelled = f" ({self.dollars(hour)})" if self.dollars(hour) else ""
        card = f"{market.slug}: {market.gpu}, {market.memory:g} GiB"
        return f"{card}, {nos(hour)}{spelled} an hour, {free}"

    def _costs(self) -> list[tuple[str, str]]:
        """Return what a run may cost."""
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
            *([("rate", self.rate.text)] if self.rate is not None else []),
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


def _short(gpu: str) -> str:
    return gpu.removeprefix("NVIDIA ").removeprefix("GeForce ")
