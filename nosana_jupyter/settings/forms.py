"""
The forms that settings have: each check says what is wrong, and never repeats what may be a secret.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

from ..errors import UsageError
from ..units import parse_share

KEY_VARIABLE = "NOSANA_PRIVATE_KEY"
"""Variable of the environment with a wallet's key itself. Never a setting."""

FREE, PRICE, RELIABILITY, CACHED = ORDERS = ("free", "price", "reliability", "cached")
"""By what markets are chosen: see `market.preferring`."""

USUAL = (FREE, PRICE)
"""By what where nothing is asked for, and after what is."""

_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?/)?{_PART}(?:/{_PART})*"
    r"(?::\w[\w.-]{0,127})?(?:@[a-z0-9]+:[0-9a-f]{32,128})?",
    re.ASCII,
)


def check_image(text: str) -> None:
    """
    Check the name of a container image, in which `{python}` may stand for a version.

    Raises:
        UsageError: No registry takes such a name.
    """
    if len(text) > 512 or not _IMAGE.fullmatch(text.replace("{python}", "3.11")):
        raise UsageError(
            f"{text!r} is not the name of an image",
            hint="Write it as docker.io/library/python:3.12.",
        )


def spelled(image: str) -> str:
    """
    Return the name of a container image for this Python.

    Raises:
        UsageError: No registry takes such a name.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = image.replace("{python}", version)
    check_image(name)
    return name


def order_of(text: str) -> tuple[str, ...]:
    """
    Read an order, as in `reliability,price`; what is usual follows what it names.

    Raises:
        UsageError: It names something else, or nothing.
    """
    named = [each.strip().lower() for each in text.split(",") if each.strip()]
    for each in named:
        if each not in ORDERS:
            raise UsageError(
                f"{each[:40]!r} is nothing that markets are chosen by",
                hint=f"Write one or more of {', '.join(ORDERS)}, the most important first, with "
                "commas between.",
            )
    if text and not named:
        raise UsageError("an order names what comes first", hint=f"Write --prefer {PRICE}.")
    return tuple(dict.fromkeys([*named, *USUAL]))


def check_wallet(text: str) -> None:
    # A key in place of its file would be written to disk, and shown by %nosana config.
    if looks_like_key(text):
        raise UsageError(
            "this is a key itself; it has not been kept",
            hint=f"Put the key into a file of mode 0600, and give its path; or into {KEY_VARIABLE} "
            "in the environment.",
        )


def looks_like_key(text: str) -> bool:
    """Say whether a text is a secret key, or the beginning of one, in place of its file's name."""
    return re.match(r"\s*(?:\[[\d\s,]+\]?|[1-9A-HJ-NP-Za-km-z]{80,90}\s*$)", text) is not None


def address_of(*schemes: str) -> Callable[[str], None]:
    """Return the check of an address. What is written may hold a key: it is not repeated."""

    def check(text: str) -> None:
        try:
            parts = urlsplit(text)
            fits = parts.scheme in schemes and bool(parts.hostname) and not re.search(r"\s", text)
            _ = parts.port
        except ValueError:
            fits = False
        if not fits:
            begins = " or ".join(f"{scheme}://" for scheme in schemes)
            raise UsageError("this is no address", hint=f"It begins with {begins}.")

    return check


def check_addresses(text: str) -> None:
    for each in text.split() or [""]:
        address_of("https", "http")(each)


def check_tunnel(text: str) -> None:
    address_of("https", "http")(text.replace("{id}", "id"))
    if "{id}" not in text:
        raise UsageError(
            "this names one host only", hint="Write {id} where the name of a host belongs."
        )


def check_priority(text: str) -> None:
    if not re.fullmatch(r"low|medium|high|(?:\d|[1-9]\d|100)%|\d{1,9}", text, re.ASCII):
        raise UsageError(
            f"{text!r} is no priority",
            hint="Write low, medium, high, a percentile as 60%, or a number of micro-lamports.",
        )


def slippage(text: str) -> int:
    """Read how far a quote may be missed, in hundredths of a percent."""
    share = round(parse_share(text) * 10_000)
    if not 1 <= share <= 500:
        raise UsageError(
            f"{text!r} is no slippage that is offered", hint="Write 0.01% to 5%, as in 0.5%."
        )
    return share


def check_bid(text: str) -> None:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise UsageError(
            f"{text!r} is no number of micro-lamports", hint="Write it in digits, as in 10000."
        )


def check_word(text: str) -> None:
    if not re.fullmatch(r"[!-~]+", text):
        raise UsageError("this holds more than letters, digits and signs", hint="Give one word.")


def check_line(text: str) -> None:
    if not text.isprintable():
        raise UsageError("this holds more than one line of text", hint="Give one line.")


def check_packages(text: str) -> None:
    from packaging.requirements import InvalidRequirement, Requirement

    for word in text.split():
        try:
            Requirement(word)
        except InvalidRequirement:
            raise UsageError(
                f"{word!r} is no requirement", hint="Write them as in 'einops pandas>=2'."
            ) from None


def check_variables(text: str) -> None:
    for word in text.split():
        # What it holds may be a secret: only its name is repeated.
        name, equals, _ = word.partition("=")
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            what = f"{name!r} is no name of a variable" if equals else "this is no variable"
            raise UsageError(what, hint="Write them as in 'SEED=1 MODE=fast'.")


def check_key(text: str) -> None:
    # A slip of the pen may hold the key: it is not repeated.
    if not re.fullmatch(r"nos_[!-~]{8,512}", text):
        raise UsageError("this is no API key", hint="One begins with nos_.")


def count(text: str) -> None:
    """Refuse what is no number of things, or none at all."""
    if not re.fullmatch(r"[1-9]\d?", text, re.ASCII):
        raise UsageError(f"{text!r} is no number from 1 to 99", hint="Write it in digits, as in 3.")


def one_of(*allowed: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        if text not in allowed:
            import difflib

            near = difflib.get_close_matches(text.lower(), allowed, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Use {' or '.join(allowed)}."
            raise UsageError(f"{text!r} is neither {' nor '.join(allowed)}", hint=hint)

    return check
