"""
Jupiter's Swap API, version 2: `GET /build`, as its documentation of August 2026 has it.

One question brings a quote and the instructions that would carry it out, and needs no key for two
a minute or so. Of the other ways of that API, `/order` hands out whole transactions, some of which
a stranger has to sign as well: those are not asked for.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .. import settings
from ..errors import ExchangeError
from ..network import Network, proxied, shown, unreached

HOME = "https://api.jup.ag/"
"""Where the key is sent, and nowhere else."""

PATIENCE = 20
"""Seconds that an answer may take."""

LARGEST = 1 << 20
"""Bytes of an answer: a larger one is none."""

MOST_ACCOUNTS = 40
"""Accounts that a route may have: all of it has to fit into one transaction, with what we add."""


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    """An account of an instruction."""

    pubkey: str
    is_signer: bool
    is_writable: bool


class Told(msgspec.Struct, frozen=True, rename="camel"):
    """An instruction as the exchange wants it."""

    program_id: str
    accounts: tuple[Meta, ...]
    data: bytes


class Pool(msgspec.Struct, frozen=True, rename="camel"):
    """Where a part of a swap happens."""

    label: str = ""
    input_mint: str = ""
    output_mint: str = ""


class Leg(msgspec.Struct, frozen=True, rename="camel"):
    """A part of a route."""

    swap_info: Pool
    percent: float | None = None


class Build(msgspec.Struct, frozen=True, rename="camel"):
    """A quote, and what would carry it out. All of it is a stranger's word."""

    input_mint: str
    output_mint: str
    in_amount: str
    out_amount: str
    slippage_bps: int
    swap_instruction: Told
    swap_mode: str = "ExactIn"
    price_impact_pct: str | float | None = None
    route_plan: tuple[Leg, ...] = ()
    setup_instructions: tuple[Told, ...] = ()
    cleanup_instruction: Told | None = None
    other_instructions: tuple[Told, ...] = ()
    tip_instruction: Told | None = None
    addresses_by_lookup_table_address: dict[str, Any] | None = None


async def build(network: Network, *, coin: str, amount: int, taker: str, slippage: int) -> Build:
    """
    Ask for a way to swap an amount for NOS.

    Args:
        network: Whose exchange.
        coin: Mint of what is given.
        amount: Of it, in its smallest unit.
        taker: Address of the wallet.
        slippage: Hundredths of a percent by which the quote may be missed.

    Raises:
        ExchangeError: It knows none, or does not answer as it should.
    """
    import httpx

    place = network.exchange
    asked: dict[str, str | int] = {
        "inputMint": coin, "outputMint": network.programs.mint, "amount": str(amount),
        "taker": taker, "slippageBps": slippage, "maxAccounts": MOST_ACCOUNTS,
    }  # fmt: skip
    body = bytearray()
    try:
        async with (
            httpx.AsyncClient(timeout=PATIENCE, trust_env=proxied(place)) as http,
            http.stream("GET", f"{place}/build", params=asked, headers=_headers(place)) as answer,
        ):
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > LARGEST:
                    raise _unread(place)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise ExchangeError(
            f"the exchange at {shown(place)} does not answer: {unreached(error)}. "
            "Nothing was swapped",
            hint="Try again.",
        ) from None
    if answer.status_code == 429:
        raise ExchangeError(
            "the exchange was asked too often. Nothing was swapped",
            hint="Try again in a minute; a key of Jupiter's allows more: %nosana config swap_key "
            "--ask",
        )
    if answer.status_code in (401, 403) and settings.load().swap_key:
        raise ExchangeError(
            "the exchange does not take its key. Nothing was swapped",
            hint="Set another, or none: %nosana config swap_key --ask, or --unset",
        )
    if answer.status_code != 200:
        why = _reason(bytes(body)) or f"it says {answer.status_code}"
        raise ExchangeError(
            f"the exchange finds no way to swap this for NOS: {why}. Nothing was swapped",
            hint="Try another amount, or later.",
        )
    try:
        return msgspec.json.decode(bytes(body), type=Build)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _unread(place) from None


def _headers(place: str) -> dict[str, str]:
    """Return what goes along with a question: the key to Jupiter's own address alone."""
    key = settings.load().swap_key if f"{place}/".startswith(HOME) else ""
    return {"accept-encoding": "identity", **({"x-api-key": key} if key else {})}


def _unread(place: str) -> ExchangeError:
    return ExchangeError(
        f"the exchange at {shown(place)} answers in another form than it is known to. "
        "Nothing was swapped",
        hint="A newer version of this package may know it.",
    )


def _reason(body: bytes) -> str:
    """Return what the exchange says that is wrong, at most a line of it."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    text = said.get("error") if isinstance(said, dict) else None
    return " ".join(text.split())[:200] if isinstance(text, str) else ""
