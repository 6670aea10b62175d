"""
What the same cards cost elsewhere, as it was published on a day. Nothing is asked of anybody.

Dollars an hour for one card, on demand; where only machines with several cards are let, their
share. Prices change: each row has its day and who said so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from ..units import MICRO, MicroUsd

_READINGS = {
    "hyperscalers": ("2026-11-09", "datareceipts/data-receipts, 109-gpu-pricing/hyperscalers.json"),
    "runpod": ("2026-11-09", "runpod.io/pricing, in datareceipts/data-receipts"),
    "runpod-aug": ("2026-08-19", "runpod.io, in huggingface.co/datasets/privum/ai-compute-prices"),
    "runpod-mar": ("2026-03-10", "deploybase.ai/articles/runpod-gpu-pricing"),
    "vast": ("2026-10-24", "renshuBTC/compute-screener, data/gpu_providers_latest.csv"),
    "vast-a100": ("2026-10-29", "huggingface.co/datasets/lantern-works/gpu-cloud-prices"),
    "akash": ("2026-09-20", "akash.network/pricing/gpus, in api-evangelist/akash"),
}
"""The day on which prices were read, and who says so."""

_TABLE = """
AWS     | A100 40GB    | 2.7447 | p4d.24xlarge, an eighth       | hyperscalers
AWS     | A100 80GB    | 3.4309 | p4de.24xlarge, an eighth      | hyperscalers
AWS     | H100 80GB    | 6.88   | p5.48xlarge, an eighth        | hyperscalers
Azure   | A100 40GB    | 3.3996 | ND96asr A100 v4, an eighth    | hyperscalers
Azure   | A100 80GB    | 3.673  | NC24ads A100 v4               | hyperscalers
Azure   | H100 80GB    | 12.29  | ND96isr H100 v5, an eighth    | hyperscalers
RunPod  | RTX 3090     | 0.22   | community                     | runpod-mar
RunPod  | RTX 4090     | 0.34   | community                     | runpod-mar
RunPod  | RTX 5090     | 0.69   | community                     | runpod-mar
RunPod  | RTX PRO 6000 | 0.89   | community                     | runpod-mar
RunPod  | A40          | 0.44   | secure                        | runpod-aug
RunPod  | A100 40GB    | 1.00   | community                     | runpod-aug
RunPod  | A100 80GB    | 1.19   | community                     | runpod
RunPod  | H100 80GB    | 1.99   | community                     | runpod
Vast    | A100 80GB    | 1.7043 | median of verified offers     | vast-a100
Vast    | H100 80GB    | 2.6661 | mean of 16 offers             | vast
Akash   | RTX 3060     | 0.14   | from                          | akash
Akash   | RTX 3090     | 0.16   | from                          | akash
Akash   | RTX 4080     | 0.15   | from                          | akash
Akash   | RTX 4090     | 0.39   | from                          | akash
Akash   | RTX 5090     | 0.67   | from                          | akash
Akash   | RTX PRO 6000 | 1.45   | from                          | akash
Akash   | A100 80GB    | 1.71   | from                          | akash
Akash   | H100 80GB    | 2.71   | from                          | akash
"""

_MEMORY = re.compile(r"^(\d+)GB$", re.I)
_DULL = {"nvidia", "geforce", "rtx", "sxm4", "sxm5", "pcie", "hbm3", "blackwell", "generation",
         "server", "workstation", "edition"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The price of a card at another provider."""

    provider: str
    card: str
    hour: MicroUsd
    """Micro-dollars an hour, for one card."""

    terms: str
    """What it is the price of, in a few words."""

    date: str
    """Day on which it was read, as in `2026-11-09`."""

    source: str
    """Who says so."""


@cache
def table() -> tuple[Elsewhere, ...]:
    """Return all prices that are known."""
    found = []
    for row in _TABLE.strip().splitlines():
        provider, card, price, terms, reading = (each.strip() for each in row.split("|"))
        date, source = _READINGS[reading]
        hour = MicroUsd(int(Decimal(price) * MICRO))
        found.append(Elsewhere(provider, card, hour, terms, date, source))
    return tuple(found)


def elsewhere(card: str) -> list[Elsewhere]:
    """
    Return what others ask for a card, cheapest first; none where nobody's price is known.

    Args:
        card: Its name, as in `NVIDIA GeForce RTX 4090`, `A100-SXM4-80GB` or `H100`.
    """
    model, memory = _told(card)
    found = []
    for each in table():
        other, size = _told(each.card)
        if model and other == model and (not memory or not size or memory == size):
            found.append(each)
    return sorted(found, key=lambda each: (each.hour, each.provider))


def _told(card: str) -> tuple[frozenset[str], int]:
    """Return what of a card's name tells it from others, and its memory where the name says it."""
    words = re.split(r"[\s\-]+", card.lower())
    sizes = [int(match[1]) for word in words if (match := _MEMORY.match(word))]
    telling = {word for word in words if word not in _DULL and not _MEMORY.match(word)}
    return frozenset(telling), sizes[0] if sizes else 0
