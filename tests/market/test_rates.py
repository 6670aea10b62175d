"""What a NOS is worth: several sources, of which one may lie, stall or be gone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from file_server import FileServer, serving
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import FundsError, UsageError
from nosana_jupyter.market import quoting, rates
from nosana_jupyter.market.markets import Market, Quote
from nosana_jupyter.network import MAINNET, Network
from nosana_jupyter.sources import rates_at
from nosana_jupyter.units import GiB, MicroNos, Seconds

COINS = "/api/v3/simple/price"
POOLS = f"/api/v2/simple/networks/solana/token_price/{MAINNET.programs.mint}"
OWN = "/markets/price"

PRICES = st.decimals(min_value="0.01", max_value="100", places=4)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """No rate is known from before."""
    yield
    rates._known.clear()
    rates._agreed.clear()


@pytest.fixture
def server() -> Iterator[FileServer]:
    """A server that answers as all sources do."""
    with serving() as found:
        say(found, own=0.3, coins=0.31, pools=0.29)
        yield found


def say(server: FileServer, *, own: object, coins: object, pools: object) -> None:
    server.put(OWN, json.dumps({"price": own}))
    server.put(COINS, json.dumps({"nosana": {"usd": coins}}))
    tokens = {"token_prices": {MAINNET.programs.mint: str(pools)}}
    server.put(POOLS, json.dumps({"data": {"attributes": tokens}}))


def network(server: FileServer) -> Network:
    return msgspec.structs.replace(
        MAINNET, api=server.base, rates=rates_at(server.base, server.base)
    )


def ask(server: FileServer) -> rates.Rate | None:
    return asyncio.run(rates.current(network(server)))


def expire() -> None:
    """Let the minute pass for which a rate holds."""
    for known in (rates._known, rates._agreed):
        for key, rate in known.items():
            known[key] = replace(rate, at=rate.at - rates.FRESH)


def test_the_middle_of_those_that_agree(server: FileServer) -> None:
    """
    It is shown with how many agree and how old it is; caps count the dearest of them.
    """
    rate = ask(server)
    assert rate is not None
    assert (rate.usd, rate.least, rate.most) == (Decimal("0.3"), Decimal("0.29"), Decimal("0.31"))
    rate = replace(rate, at=time.monotonic() - 12.5)
    assert rate.text == "$0.3 a NOS, as 3 sources agree, asked 12 s ago; caps count $0.31"
    assert not rate.doubt


@pytest.mark.parametrize("lie", [3.0, 0.03, 0.36])
def test_an_outlier_is_refused_and_said(server: FileServer, lie: float) -> None:
    """
    Whoever differs by more than a tenth moves neither what is shown nor what caps count.
    """
    say(server, own=0.3, coins=lie, pools=0.31)
    rate = ask(server)
    assert rate is not None
    assert (rate.least, rate.most) == (Decimal("0.3"), Decimal("0.31"))
    assert rate.doubt == (
        f"Refused as the price of NOS: CoinGecko (${lie:g}); 2 others say $0.305."
    )


def test_where_nobody_agrees_the_dearest_counts(server: FileServer) -> None:
    """
    Two that differ are no majority, and neither are three.
    """
    say(server, own=0.3, coins=0.6, pools="garbage")
    rate = ask(server)
    assert rate is not None
    assert rate.usd == rate.most == Decimal("0.6")
    assert rate.doubt == (
        "The sources of the price of NOS do not agree (Nosana $0.3, CoinGecko $0.6): the dearest "
        "counts."
    )


@pytest.mark.parametrize(
    "body",
    [
        "", "{", "[1]", '"0.3"', "{}", '{"nosana": 3}', '{"nosana": {"usd": null}}',
        '{"nosana": {"usd": true}}', '{"nosana": {"usd": "NaN"}}', '{"nosana": {"usd": "-1"}}',
        '{"nosana": {"usd": 0}}', '{"nosana": {"usd": 1e300}}', '{"nosana": {"usd": "1e-999999"}}',
        "[" * 60_000, '{"nosana": {"usd": 0.3}}' + " " * 70_000, "\udcff",
    ],
    ids=repr,
)  # fmt: skip
def test_garbage_is_no_price(server: FileServer, body: str) -> None:
    """
    What cannot be read counts as silence; the others go on.
    """
    server.put(COINS, body.encode(errors="surrogateescape"))
    rate = ask(server)
    assert rate is not None
    assert rate.sources == ("GeckoTerminal", "Nosana")


def test_one_that_stalls_holds_nobody_up(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    It has as long as all have, at the same time.
    """
    monkeypatch.setattr(rates, "PATIENCE", 1.5)
    server.put(COINS, "{}", delay=10)
    rate = ask(server)
    assert rate is not None
    assert rate.sources == ("GeckoTerminal", "Nosana")


def test_alone_it_says_so_and_the_dearer_counts(server: FileServer) -> None:
    """
    What several agreed on of late is held against one that answers alone.
    """
    assert ask(server)
    expire()
    server.files.pop(COINS)
    server.files.pop(POOLS)
    server.put(OWN, '{"price": 0.1}')
    rate = ask(server)
    assert rate is not None
    assert rate.text == "$0.1 a NOS, as only Nosana says, asked now; caps count $0.31"


def test_a_rate_holds_a_minute_and_is_kept_for_ten(server: FileServer) -> None:
    """
    Nobody is asked twice in a minute; where nobody answers an old one is better than none.
    """
    first = ask(server)
    say(server, own=1, coins=1, pools=1)
    assert ask(server) == first
    expire()
    server.files.clear()
    old = ask(server)
    assert old is not None
    assert old.age >= rates.FRESH
    for _ in range(10):
        expire()
    assert ask(server) is None


@given(st.lists(PRICES, min_size=2, max_size=4), st.decimals("0.0001", 10_000, places=4))
def test_a_liar_never_makes_a_cap_larger(honest: list[Decimal], lie: Decimal) -> None:
    """
    Among those that agree, one that lies cannot bring what caps count below the cheapest of them.
    """
    low = min(honest)
    close = [min(price, low * rates.SPREAD) for price in honest]
    said = {f"honest {n}": price for n, price in enumerate(close)}
    alone = rates.judged(said, 0.0)
    assert not alone.doubt
    assert alone.least <= alone.usd <= alone.most
    found = rates.judged({**said, "liar": lie}, 0.0)
    assert found.most >= low
    assert found.least <= found.usd <= found.most
    if len(close) > 2:
        assert found.most <= low * rates.SPREAD * rates.SPREAD


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(),
                    lambda inner: st.dictionaries(st.sampled_from("ab"), inner)))  # fmt: skip
def test_any_answer_is_a_price_or_none(answer: object) -> None:
    """
    No answer raises; what comes out is a number that a NOS can cost.
    """
    value = rates.number(answer, ("a", "b"))
    assert value is None or 0 < value < rates.MOST


MARKET = Market(
    address="M", slug="m", name="m", kind="OTHER", gpus=(), vram=GiB(8), price=MicroNos(1000),
    fee_percent=Decimal(10), usd_per_hour=Decimal(1),
)  # fmt: skip


def test_a_cap_in_dollars_holds_when_the_rate_jumps(server: FileServer) -> None:
    """
    The rate is looked at again before a deposit leaves, with what earlier hosts have cost.
    """
    asked = network(server)
    quote = Quote(market=MARKET, timeout=Seconds(1000), cap="$0.40", spent=100_000)
    assert quote.most == 1_100_000
    first = asyncio.run(quoting.renewed(asked, quote))
    assert first is not None
    quote = replace(quote, rate=replace(first, at=first.at - rates.FRESH))  # Who was asked thought.
    expire()
    say(server, own=0.4, coins=0.4, pools=0.39)
    with pytest.raises(FundsError) as caught:
        asyncio.run(quoting.renewed(asked, quote))
    assert str(caught.value) == (
        "the price of NOS has changed: 1.200000 NOS may cost $0.4800 now, and the cap is $0.40. "
        "Nothing was spent on it"
    )
    assert asyncio.run(quoting.renewed(asked, replace(quote, cap="1.2 NOS"))) is not None
    rates._known.clear()
    server.files.clear()
    with pytest.raises(UsageError, match="price of NOS is not known"):
        asyncio.run(quoting.renewed(asked, quote))
    assert asyncio.run(quoting.renewed(asked, replace(quote, cap="1.2 NOS"))) is None
