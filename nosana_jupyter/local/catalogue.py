"""
The markets of the local network: cards, memory and prices of the real ones.

Addresses are those of the mainnet markets: a slug or an address learned here is right there.
Dollars per hour are what a host earns, as published between March and September 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

USD_PER_NOS = Decimal("0.2959")
"""Price of one NOS on 24 March 2026."""

USD_PER_SOL = Decimal("147.48")
"""Price of one SOL in an answer that the documentation of a price service shows."""

PRICED_ON = "2026-03-24"

JOB_TIMEOUT = 7_200

STAKED_SECONDS = 2 * 86_400
"""
Seconds of a market's price that a host has at stake there. The real minima are not published. To
fake a job of two hours does not pay where one in twenty is run again elsewhere, and that costs
nineteen such jobs: 38 hours.
"""

JOB_EXPIRATION = 86_400


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """One market of the catalogue."""

    slug: str
    gpus: tuple[str, ...]
    vram: int
    """Memory of its smallest card, in GiB."""

    usd_per_hour: Decimal
    """What a host earns, in dollars per hour."""

    address: str
    kind: str = "PREMIUM"

    @property
    def name(self) -> str:
        """Name for people, as in `NVIDIA RTX 4090`."""
        card = self.gpus[0].replace("GeForce ", "")
        several, found, _ = self.slug.removeprefix("nvidia-").partition("x-")
        if found and several.isdigit():
            card = f"{several}x {card}"
        return card + (" community" if self.kind == "COMMUNITY" else "")

    @property
    def price(self) -> int:
        """Micro-NOS per second: dollars per hour at the price of NOS, as the network pegs it."""
        return round(self.usd_per_hour / 3600 / USD_PER_NOS * 1_000_000)

    @property
    def stake(self) -> int:
        """Least stake of a host, in micro-xNOS: as many as it earns micro-NOS in two days."""
        return self.price * STAKED_SECONDS


def _read(text: str) -> tuple[Listing, ...]:
    """Read lines of `slug | cards | GiB | dollars an hour | address | kind`."""
    listings = []
    for line in text.strip().splitlines():
        slug, gpus, vram, dollars, address, kind = (part.strip() for part in line.split("|"))
        listings.append(
            Listing(
                slug=slug,
                gpus=tuple(f"NVIDIA {gpu.strip()}" for gpu in gpus.split(",")),
                vram=int(vram),
                usd_per_hour=Decimal(dollars),
                address=address,
                kind=kind,
            )
        )
    return tuple(listings)


# The prices of users, where only those were published, are taken back to what a host earns.
CATALOGUE = _read("""
nvidia-3060 | GeForce RTX 3060, GeForce RTX 3060 Ti | 8 | 0.0436 | 7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq | PREMIUM
nvidia-3060-community | GeForce RTX 3060, GeForce RTX 3060 Ti | 8 | 0.0327 | 62bAk2ppEL2HpotfPZsscSq4CGEfY6VEqD5dQQuTo7JC | COMMUNITY
nvidia-3070 | GeForce RTX 3070, GeForce RTX 3070 Ti | 8 | 0.0727 | RXP7JK8MTY4uPJng4UjC9ZJdDDSG6wGr8pvVf3mwgXF | PREMIUM
nvidia-3080 | GeForce RTX 3080, GeForce RTX 3080 Ti | 10 | 0.0873 | 7RepDm4Xt9k6qV5oiSHvi8oBoty4Q2tfBGnCYjFLj6vA | PREMIUM
nvidia-3090 | GeForce RTX 3090, GeForce RTX 3090 Ti | 24 | 0.1745 | CA5pMpqkYFKtme7K31pNB1s62X2SdhEv1nN9RdxKCpuQ | PREMIUM
nvidia-3090-community | GeForce RTX 3090, GeForce RTX 3090 Ti | 24 | 0.1182 | 985pQEVPn7SL5os3Z2iNwBoX4f9Bva334dENweXWyt9t | COMMUNITY
nvidia-4060 | GeForce RTX 4060, GeForce RTX 4060 Ti | 8 | 0.0582 | 47LQHZwT7gfVoBDYnRYhsYv6vKk8a1oW3Y3SdHAp1gTr | PREMIUM
nvidia-4070 | GeForce RTX 4070, GeForce RTX 4070 Ti | 12 | 0.0873 | EzuHhkrhmV98HWzREsgLenKj2iHdJgrKmzfL8psP8Aso | PREMIUM
nvidia-4080 | GeForce RTX 4080 | 16 | 0.1455 | 77wdaAuYVxBW5u2QiqddkAzoBZ5cuKxH9ZCbx5HfFUb2 | PREMIUM
nvidia-4090 | GeForce RTX 4090 | 24 | 0.2909 | 97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf | PREMIUM
nvidia-4090-community | GeForce RTX 4090 | 24 | 0.2182 | Dcwz62TisNbWuto6KJM2EGYGVKnHbdZGVGmgLASzsXy8 | COMMUNITY
nvidia-5070 | GeForce RTX 5070, GeForce RTX 5070 Ti | 12 | 0.2182 | 5eX3kWkrcbwejEc1svbfP4F7NKYjtPDuyU5KnV1hUBKg | PREMIUM
nvidia-5080 | GeForce RTX 5080 | 16 | 0.1818 | 9HnJacS25TnErsKMYJmKqWeCAMYuwY7gzhz9Eqhp5VE7 | PREMIUM
nvidia-5090 | GeForce RTX 5090 | 32 | 0.3636 | 6Xt8hgVLLL2PSHC9NtJP8E8oTdA5ZJc95hZEnHcdqKqb | PREMIUM
nvidia-a4000 | RTX A4000 | 16 | 0.1164 | 7fnuvPYzfd961iRDPRgMSKLrUf1QjTGnn7viu3P12Zuc | PREMIUM
nvidia-a5000 | RTX A5000 | 24 | 0.2909 | 4uBye3vJ1FAYukDdrvqQ36MZZZxqW3o8utWu8fyomRuN | PREMIUM
nvidia-a6000 | RTX A6000 | 48 | 0.4091 | EjryZ6XEthz3z7nnLfjXBYafyn7VyHgChfbfM47LfAao | PREMIUM
nvidia-a40 | A40 | 48 | 0.3636 | BLqSzPzcXMX5gseNXE4Ma45f31Eo6tNFVYoRmPG7kxP2 | PREMIUM
nvidia-6000-ada | RTX 6000 Ada Generation | 48 | 0.6364 | 6eMivCx49anWFYwNgg8KNJQfSJYB5nBdif8CK6z52dem | PREMIUM
nvidia-pro-6000 | RTX PRO 6000 Blackwell | 96 | 0.9091 | Ekro9NTNqLbnMkN7x7y2rY9AeTkazcHj2PPaTxT1Cogz | PREMIUM
nvidia-a100-40gb | A100-SXM4-40GB | 40 | 0.5545 | F3aGGSMb73XHbJbDXVbcXo7iYM9fyevvAZGQfwgrnWtB | PREMIUM
nvidia-a100-80gb | A100-SXM4-80GB | 80 | 0.8181 | GLJHzqRN9fKGBsvsFzmGnaQGknUtLN1dqaFR8n3YdM22 | PREMIUM
nvidia-h100 | H100 80GB HBM3 | 80 | 1.3636 | Crop49jpc7prcgAcS82WbWyGHwbN5GgDym3uFbxxCTZg | PREMIUM
nvidia-8x-h100 | H100 80GB HBM3 | 640 | 18.20 | 37VPcEfrA34vLRygFQd7bWiosBwv3a5jPv4hcXdumytC | OTHER
""")  # noqa: E501 - one market a line
