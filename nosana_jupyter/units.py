"""
Units: how quantities are held, read and spelled.

Money is an integer number of micro-NOS (10⁻⁶ NOS), of lamports (10⁻⁹ SOL) or of micro-dollars;
no float ever holds it. Time is whole seconds, memory is GiB.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import NewType

from .errors import UsageError

MicroNos = NewType("MicroNos", int)
"""An amount of NOS in units of 10⁻⁶ NOS."""

Lamports = NewType("Lamports", int)
"""An amount of SOL in units of 10⁻⁹ SOL."""

MicroUsd = NewType("MicroUsd", int)
"""An amount of dollars, as credits are counted, in units of 10⁻⁶ dollars."""

Seconds = NewType("Seconds", int)
"""A duration in whole seconds."""

GiB = NewType("GiB", float)
"""An amount of memory in 2³⁰ bytes."""

LONGEST = 10 * 365 * 86_400
"""Longest duration that is read, in seconds."""

NO_CAP = "none"
"""How a cap is written that there is not."""

MICRO = 1_000_000
LAMPORTS = 1_000_000_000

_NUMBER = r"(\d+(?:[_,]\d{3})*(?:\.\d+)?|\.\d+)"
_SECONDS = {
    "": 1,
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
}
_GIB = {
    "": Decimal(1),
    "g": Decimal(1),
    "gb": Decimal(1),  # Cards are sold in GB and hold GiB: "16GB" means the 16 on the box.
    "gib": Decimal(1),
    "k": Decimal(1) / 1024**2,
    "kb": Decimal(1) / 1024**2,
    "kib": Decimal(1) / 1024**2,
    "m": Decimal(1) / 1024,
    "mb": Decimal(1) / 1024,
    "mib": Decimal(1) / 1024,
    "t": Decimal(1024),
    "tb": Decimal(1024),
    "tib": Decimal(1024),
}


def parse_seconds(text: str) -> Seconds:
    """
    Read a duration: `90`, `90s`, `30m`, `2h`, `1h30m`.

    Raises:
        UsageError: The text is not a duration, it is zero, or it is longer than ten years.
    """
    rest = text.strip().lower().replace(" ", "")
    total = Decimal(0)
    pattern = re.compile(_NUMBER + r"([a-z]*)")
    position = 0
    while position < len(rest):
        match = pattern.match(rest, position)
        if match is None or match[2] not in _SECONDS:
            break
        total += _decimal(match[1]) * _SECONDS[match[2]]
        position = match.end()
    if not rest or position != len(rest) or total <= 0 or total != int(total):
        raise UsageError(f"{text!r} is not a duration", hint="Write it as 90s, 30m, 2h or 1h30m.")
    if total > LONGEST:
        raise UsageError(f"{text!r} is longer than ten years", hint="Write it as 90s, 30m or 2h.")
    return Seconds(int(total))


def parse_gib(text: str) -> GiB:
    """
    Read an amount of memory: `16`, `16GB`, `24 GiB`, `512MB`. Without a unit it is GiB.

    Raises:
        UsageError: The text is not an amount of memory, or it is zero.
    """
    match = re.fullmatch(_NUMBER + r"\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in _GIB or not (value := _decimal(match[1]) * _GIB[match[2]]):
        raise UsageError(
            f"{text!r} is not an amount of memory", hint="Write it as 16, 16GB or 512MB."
        )
    return GiB(float(value))


def parse_nos(text: str, *, usd_per_nos: Decimal | None = None) -> MicroNos:
    """
    Read an amount of money: `0.2`, `0.2 NOS`, `$0.10`, `0.10 USD`.

    Args:
        text: The amount. Without a unit it is NOS.
        usd_per_nos: Price of one NOS, needed for amounts in dollars. A dollar amount rounds down.

    Raises:
        UsageError: The text is not an amount, has more than six decimals of NOS, or is in dollars
            while no price is known.
    """
    word = text.strip().lower().replace(" ", "")
    dollars = word.startswith("$") or word.endswith("usd")
    number = word.removeprefix("$").removesuffix("usd").removesuffix("nos")
    if not re.fullmatch(_NUMBER, number):
        raise UsageError(f"{text!r} is not an amount of money", hint="Write 0.2, 0.2 NOS or $0.10.")
    value = _decimal(number)
    if dollars:
        if not usd_per_nos:
            raise UsageError(
                f"{text!r} is in dollars, and the price of NOS is not known here",
                hint="Give the amount in NOS, as in 0.2 NOS.",
            )
        return MicroNos(int(value / usd_per_nos * MICRO))
    micro = value * MICRO
    if micro != int(micro):
        raise UsageError(f"{text!r} is finer than 0.000001 NOS", hint="Round it to six decimals.")
    return MicroNos(int(micro))


def parse_cap(text: str, *, usd_per_nos: Decimal | None = None) -> MicroNos | None:
    """
    Read a cap on what may be spent: an amount of money as `parse_nos` reads it, or `none`.

    Raises:
        UsageError: It is neither, or nothing can be had for it.
    """
    if text.strip().lower() == NO_CAP:
        return None
    amount = parse_nos(text, usd_per_nos=usd_per_nos)
    if not amount:
        raise UsageError(f"for {text!r} nothing can be had", hint="Write 0.2, 0.2 NOS or $0.10.")
    return amount


def with_unit(text: str) -> str:
    """Spell an amount of money as it was written, but with its unit: `0.2` is `0.2 NOS`."""
    word = text.strip()
    return f"{word} NOS" if re.fullmatch(_NUMBER, word) else word


def parse_share(text: str) -> float:
    """
    Read a share: `5%`, `0.05`, or `none`.

    Raises:
        UsageError: It is none, or not above zero and at most all.
    """
    word = text.strip().lower().replace(" ", "")
    if word == NO_CAP:
        return 0.0
    number, percent = word.removesuffix("%"), word.endswith("%")
    if re.fullmatch(_NUMBER, number):
        value = float(_decimal(number)) / (100 if percent else 1)
        # A 5 without a sign is nearly always meant as 5 %, and 1 may be either.
        if 0 < value <= 1 and (percent or value < 1):
            return value
    raise UsageError(
        f"{text!r} is not a share", hint="Write it as 5%, 0.05 or none; all of it is 100%."
    )


def percent(share: float) -> str:
    """Spell a share: `5 %`."""
    return f"{share * 100:.3g} %"


def is_dollars(text: str) -> bool:
    """Say whether an amount is written in dollars, so that a price has to be known to read it."""
    return "$" in text or text.strip().lower().endswith("usd")


def nos(amount: int) -> str:
    """Spell micro-NOS: `1.260000 NOS`."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // MICRO}.{abs(amount) % MICRO:06d} NOS"


def xnos(weight: int) -> str:
    """Spell the weight of a stake, in micro-xNOS: `46.71 xNOS`. It is no money: it rounds down."""
    return (
        f"{weight // 10_000 / 100:g} xNOS" if weight < MICRO * 1000 else f"{weight // MICRO} xNOS"
    )


def sol(amount: int) -> str:
    """Spell lamports: `0.002561280 SOL`."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // LAMPORTS}.{abs(amount) % LAMPORTS:09d} SOL"


def usd(amount: int) -> str:
    """Spell micro-dollars, with as many decimals as it takes, and two at least: `$0.32`."""
    sign = "-" if amount < 0 else ""
    text = f"{abs(amount) // MICRO}.{abs(amount) % MICRO:06d}"
    return f"{sign}${text[:-4]}{text[-4:].rstrip('0')}"


def dollars(amount: Decimal) -> MicroUsd:
    """Return dollars, as a service counts them, in micro-dollars."""
    return MicroUsd(int((amount * MICRO).to_integral_value()))


def duration(seconds: float) -> str:
    """Spell a duration with its two largest units: `90 s`, `30 min`, `2 h 5 min`."""
    whole = int(seconds)
    if whole < 120:
        return f"{seconds:.1f} s" if seconds < 10 and seconds != whole else f"{whole} s"
    if whole < 7200:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole // 60, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def size(count: int) -> str:
    """Spell a number of bytes: `512 B`, `1.5 MB`, `2.0 GB` (powers of 1000)."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def parse_size(text: str) -> int:
    """
    Read a number of bytes: `500MB`, `2 GB`, `1.5GiB`. A unit is needed.

    Raises:
        UsageError: The text is none.
    """
    match = re.fullmatch(_NUMBER + r"\s*([kmgt])(i?)b", text.strip().lower())
    if match is None or not (value := _decimal(match[1])):
        raise UsageError(f"{text!r} is not a size", hint="Write it as 500MB or 20GB.")
    return int(value * (1024 if match[3] else 1000) ** ("kmgt".index(match[2]) + 1))


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text.replace("_", "").replace(",", ""))
    except InvalidOperation:  # The pattern above admits digits of other scripts.
        raise UsageError(f"{text!r} is not a number") from None
