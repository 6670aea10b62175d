"""
What a value on the line of a magic may be.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .. import settings
from ..errors import UsageError
from ..settings import forms
from ..units import parse_cap, parse_share


def checked(parse: Any) -> Any:
    """Return a type for argparse that lets our own errors through."""

    def check(text: str) -> Any:
        return parse(text)

    return check


class Naming(argparse.ArgumentParser):
    """A parser whose errors of a value name its option."""

    def add_argument(self, *names: Any, **what: Any) -> argparse.Action:
        """Add an option whose name stands in what its type says of a value."""
        if parse := what.get("type"):
            what["type"] = _named(names[0], parse)
        return super().add_argument(*names, **what)


def _named(option: str, parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a parser whose errors name the option, as in `--timeout: 'ten' is not a duration`."""

    @functools.wraps(parse)
    def named(text: str) -> Any:
        try:
            return parse(text)
        except UsageError as error:
            if option not in str(error):
                error.args = (f"{option}: {error}",)
            raise

    return named


def names(text: str) -> tuple[str, ...]:
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in found:
        if not name.isidentifier():
            raise UsageError(f"{name!r} is not a name", hint="Write names as in a,b,c.")
    return found


def money(text: str) -> str:
    """Check an amount. Dollars are turned into NOS later, where the price is known."""
    parse_cap(text, usd_per_nos=Decimal(1))
    return text


def order(text: str) -> str:
    forms.order_of(text)
    return text


def image(text: str) -> str:
    forms.check_image(text)
    return text


MOST_COPIES = 5
"""Most hosts that one cell is run on at once."""


def copies(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= MOST_COPIES:
        raise UsageError(
            f"{text!r} is no number of hosts from 1 to {MOST_COPIES}", hint="Write it as 2 or 3."
        )
    return number


def share(text: str) -> str:
    parse_share(text)
    return text


def variable(text: str) -> tuple[str, str]:
    from ..project.pins import has_credentials

    name, given, value = text.partition("=")
    if not name.isidentifier():
        raise UsageError(f"--env {text!r} names no variable", hint="Write --env NAME=VALUE.")
    if given and has_credentials(value):
        raise UsageError(
            f"--env {name} holds who asks, with a password, and now stands in the notebook",
            hint=f"Give it as a secret, whose value is never on the line: --secret {name}",
        )
    if given:
        return name, value
    known = settings.environment_value(name)
    if known is None:
        raise UsageError(
            f"--env {name} has no value, and this process has no such variable",
            hint=f"Write --env {name}=VALUE.",
        )
    return name, known


def links(grammar: argparse.ArgumentParser) -> None:
    """Add what a host fetches by itself, and where it leaves what is large."""
    grammar.add_argument(
        "--data", action="append", default=[], metavar="NAME=LINK",
        help="what the host fetches by itself: ipfs://CID, ar://ID, s3://BUCKET/KEY, "
        "hf://ORG/NAME, https://…#sha256=…; NAME is its path there; repeatable",
    )  # fmt: skip
    grammar.add_argument(
        "--save", action="append", default=[], metavar="NAME=PLACE",
        help="where the host puts what the cell binds NAME to, the path of a file or folder, or "
        "bytes: s3://BUCKET/KEY; or any plain data, sealed, on IPFS: ipfs://; repeatable",
    )  # fmt: skip
