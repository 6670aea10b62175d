"""Which of the markets that fit comes first, by what is preferred, and what is said of it."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_networks import LocalNetwork

import nosana_jupyter
from nosana_jupyter import portal
from nosana_jupyter.errors import UsageError
from nosana_jupyter.events import Cell
from nosana_jupyter.market import listing
from nosana_jupyter.market.choosing import Cap, Requirements, choose
from nosana_jupyter.market.markets import Market
from nosana_jupyter.market.preferring import KEPT, known
from nosana_jupyter.market.reputation import Reputation
from nosana_jupyter.notebook import grammar, serving, sessions
from nosana_jupyter.notebook.commands import Commands
from nosana_jupyter.rent.servicebook import ServiceRecord
from nosana_jupyter.serving.terms import terms_of
from nosana_jupyter.settings.forms import ORDERS, order_of
from nosana_jupyter.units import GiB, MicroNos, Seconds

PYTHON = "docker.io/library/python:3.12-slim"
MINUTE = Seconds(60)


def market(slug: str, price: int, hosts: int = 1, kind: str = "COMMUNITY") -> Market:
    """Return a market whose next host is called as it is, in capitals."""
    return Market(
        address=f"address-of-{slug}", slug=slug, name=slug, kind=kind, gpus=("RTX 4090",),
        vram=GiB(24), price=MicroNos(price), fee_percent=Decimal(10), usd_per_hour=Decimal(1),
        hosts=hosts, first=slug.upper() if hosts else "",
    )  # fmt: skip


CHEAP, MIDDLE, DEAR = market("cheap", 10), market("middle", 20), market("dear", 30)
ALL = [CHEAP, MIDDLE, DEAR]


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Reputation]:
    opened = Reputation("local", tmp_path / "journal.sqlite")
    yield opened
    opened.close()


def chosen(markets: list[Market], order: str, seen: Reputation, image: str = PYTHON) -> str:
    """Return which market is chosen."""
    wanted = Requirements(prefer=order, image=image)
    return choose(markets, wanted, MINUTE, seen=seen).market.slug


def test_the_first_of_an_order_decides(seen: Reputation) -> None:
    """
    Each order has its own winner among the same markets, and what follows decides among equals.
    """
    idle = replace(market("idle", 5, hosts=0), images=("python:3.12-slim",))
    for _ in range(12):
        seen.ran("DEAR")
    seen.failed("MIDDLE", "no answer")
    seen.ran("MIDDLE")
    seen.timed("MIDDLE", MIDDLE.address, f"start {PYTHON}", 3.0)
    markets = [idle, *ALL]

    assert chosen(markets, "", seen) == "cheap"
    assert chosen(markets, "price", seen) == "idle"
    assert chosen(markets, "reliability", seen) == "dear"
    assert chosen(markets, "cached", seen) == "idle"
    assert chosen(markets, "free,cached", seen) == "middle"
    assert chosen(markets, "cached,reliability", seen) == "idle"
    assert chosen(ALL, "cached,reliability", seen) == "middle"
    assert chosen(ALL, "reliability,cached", seen) == "dear"


def test_hosts_about_as_good_differ_by_price(seen: Reputation) -> None:
    """
    Nine jobs begun in place of eight buy nothing; one begun goes before none, and that before one
    that failed. Among hosts that nobody knows, those of a vetted market go first.
    """
    for node, jobs in (("CHEAP", 8), ("MIDDLE", 9)):
        for _ in range(jobs):
            seen.ran(node)
    assert chosen([MIDDLE, CHEAP], "reliability", seen) == "cheap"

    fresh, vetted = market("fresh", 1), market("vetted", 90, kind="PREMIUM")
    assert chosen([fresh, CHEAP], "reliability", seen) == "cheap"
    assert chosen([fresh, vetted], "reliability", seen) == "vetted"
    assert chosen([fresh, vetted], "free", seen) == "fresh"


def test_who_was_wrong_comes_last_in_any_order(seen: Reputation) -> None:
    """
    However good its record, however cheap and whatever it keeps, an avoided host comes last; the
    quote says that it was passed over.
    """
    for _ in range(20):
        seen.ran("CHEAP")
    seen.timed("CHEAP", CHEAP.address, f"start {PYTHON}", 3.0)
    seen.differed("CHEAP", "another result")

    for order in ("", *ORDERS):
        wanted = Requirements(prefer=order, image=PYTHON)
        found = choose(ALL, wanted, MINUTE, seen=seen, avoid=seen.avoided())
        assert found.market.slug == "middle", order
    assert "passed over: cheap, whose next host failed or was wrong lately" in found.why[-1]


def test_an_image_is_kept_for_a_day(seen: Reputation, tmp_path: Path) -> None:
    """
    What a host started yesterday it has no more, another tag says nothing, and what the list
    promises counts most, however the image is written.
    """
    seen.timed("DEAR", DEAR.address, f"start {PYTHON}", 3.0)
    assert chosen(ALL, "cached", seen) == "dear"
    assert chosen(ALL, "cached", seen, "docker.io/library/python:3.11-slim") == "cheap"

    promised = replace(MIDDLE, images=("python:3.12-slim",))
    assert chosen([CHEAP, promised, DEAR], "cached", seen) == "middle"
    other = replace(MIDDLE, images=("python:3.12",))
    assert chosen([CHEAP, other, DEAR], "cached", seen) == "dear"

    with sqlite3.connect(tmp_path / "journal.sqlite") as book:
        book.execute("update timings set at = ?", (time.time() - KEPT - 60,))
    book.close()
    assert chosen(ALL, "cached", seen) == "cheap"


def test_the_cap_takes_the_next_of_the_order(seen: Reputation) -> None:
    """
    Where the best may cost more than the cap, the next of the same order is taken, and it is said.
    """
    for _ in range(5):
        seen.ran("DEAR")
    seen.ran("MIDDLE")
    cap = Cap(amount=MicroNos(25 * 66), text="x", source="--max-cost")
    found = choose(ALL, Requirements(prefer="reliability"), MINUTE, seen=seen, cap=cap)

    assert found.market.slug == "middle"
    assert found.why[-1] == "passed over: dear, as it may cost more than the cap"
    usual = choose(ALL, Requirements(), MINUTE, seen=seen, cap=cap)
    assert "cap" not in " ".join(usual.why), "what comes later was not passed over"


def test_what_is_said_has_figures(seen: Reputation) -> None:
    """
    The quote names the order, what is known of the next host, the lowest price beside the one that
    is paid, and that the queue decides who comes.
    """
    for _ in range(3):
        seen.ran("DEAR")
    seen.timed("DEAR", DEAR.address, f"start {PYTHON}", 3.0)
    wanted = Requirements(prefer="reliability,cached,price", image=PYTHON)
    quote = choose(ALL, wanted, MINUTE, seen=seen)
    why = tuple(re.sub(r"\d+ s ago", "1 s ago", each) for each in quote.why)

    assert why == (
        "reliability: the next host, DEAR, began 3 of 3 jobs from here",
        "then cached: the next host started python:3.12-slim 1 s ago and should still have it",
        "then price: 0.108000 NOS an hour; the lowest is 0.036000 NOS on cheap",
        "then free: one is free",
        "the market's queue decides who takes the job: it may have moved on by then",
    )
    assert [text for _, text in quote.lines()[:5]] == [*quote.why]
    assert [label for label, _ in quote.lines()[:2]] == ["chosen by", ""]
    named = replace(quote, node="ANOTHER")
    assert "chosen by" not in dict(named.lines()), "it is said of the next, and another is asked"

    usual = choose(ALL, Requirements(), MINUTE, seen=seen).why
    assert usual == (
        "free: one is free", "then price: 0.036000 NOS an hour, the lowest of 3 that fit"
    )  # fmt: skip


def test_a_wait_that_is_chosen_says_how_to_avoid_it(seen: Reputation) -> None:
    """
    Who prefers the price waits for a host, and is told that others are free.
    """
    idle = market("idle", 5, hosts=0)
    found = choose([idle, *ALL], Requirements(prefer="price"), MINUTE, seen=seen)
    assert found.relaxed == "with --prefer free, 3 hosts are free"


def test_markets_are_shown_in_the_order(seen: Reputation) -> None:
    """
    A list is sorted as the choice is made, and says of each what was known for it.
    """
    seen.failed("CHEAP", "no answer")
    seen.ran("DEAR")
    promised = replace(MIDDLE, images=("python:3.12-slim", "other"), resources=("s3://models/x",))
    found, told = known([CHEAP, promised, DEAR], "reliability", PYTHON, seen)

    assert [each.slug for each in found] == ["dear", "middle", "cheap"]
    assert [each.record for each in told] == ["1 of 1 begun", "new here", "0 of 1 begun, avoided"]
    assert [each.kept for each in told] == [
        "–",
        "image: all hosts; keeps 2 images, 1 resource",
        "–",
    ]
    assert [each.slug for each in known(ALL, "", PYTHON, seen)[0]] == ["cheap", "middle", "dear"]


@given(st.text(max_size=40) | st.lists(st.sampled_from(ORDERS)).map(",".join))
def test_any_text_is_an_order_or_refused(text: str) -> None:
    """
    An order has each thing once, what is named first; anything else is refused by name.
    """
    try:
        order = order_of(text)
    except UsageError:
        assert not {each.strip().lower() for each in text.split(",")} <= {*ORDERS}
    else:
        assert len(set(order)) == len(order)
        assert set(order) <= set(ORDERS)
        assert {"free", "price"} <= set(order)


def test_what_markets_keep_is_a_strangers_word() -> None:
    """
    Images and addresses are read where they are texts, made harmless and few; whatever else stands
    there leaves no market out.
    """
    row = {"address": "97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf", "slug": "nvidia-4090"}
    images = ["python:3.12\x1b[31m", 7, "x" * 9999, *["y"] * 999]
    for given_images, remote in ((images, {"a": 1}), ("python", 7), (None, [[], {"url": 7}])):
        listed = {**row, "required_images": given_images, "required_remote_resources": remote}
        (found,) = listing.listed(json.dumps([listed]).encode())
        kept = listing.kept(found.required_images)
        assert len(kept) <= listing.MOST_KEPT
        assert all(len(each) <= listing.LONGEST_KEPT and each.isprintable() for each in kept)
        assert listing.kept(found.required_remote_resources) == ()
    assert listing.kept([{"type": "S3", "url": "s3://a/b"}]) == ("s3://a/b",)


def test_the_order_reaches_every_way_in(
    network: LocalNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A cell, a session, a service, a quote and a list go by the order that is asked for, and else by
    the setting; a cell runs where its quote says.
    """
    assert network.home.is_dir()
    monkeypatch.setenv("NOSANA_PREFER", "reliability")
    found = portal.shared()
    listed = {each.slug: each for each in found.markets()}
    cheapest = min(listed.values(), key=lambda each: each.price)
    vetted = min((each for each in listed.values() if each.kind == "PREMIUM"),
                 key=lambda each: each.price)  # fmt: skip
    assert cheapest != vetted

    assert found.quote(Requirements(), MINUTE).market.slug == vetted.slug
    asked = Requirements(prefer="price")
    assert found.quote(asked, MINUTE).market.slug == cheapest.slug
    ran = nosana_jupyter.run("x = 1", timeout=60)
    assert ran.receipt is not None
    assert ran.receipt.market == vetted.slug
    plan = found.plan(Cell(source="x = 1", namespace={}, timeout=MINUTE, prefer="price"))
    assert plan.quote.market.slug == cheapest.slug

    options = grammar.up_grammar().read("--prefer cached --image python:3.12")
    wanted = sessions.terms_of("main", options).order.wanted
    assert (wanted.prefer, wanted.image) == ("cached", "python:3.12")
    terms, _ = serving.terms_of(["tiny", "--prefer", "price"])
    assert (terms.wanted.prefer, terms.wanted.image) == ("price", terms.form.image)
    record = ServiceRecord(
        name="x", network="local", wallet="w", port=1, runs="", model="", opened=0.0, most=MINUTE,
        form=msgspec.Raw(msgspec.json.encode(terms.form)), idle=MINUTE, step=MINUTE, replicas=1,
        prefer="price",
    )  # fmt: skip
    assert terms_of(record, {}).wanted == replace(terms.wanted, vram=None)
    shown = Commands().do_markets("--prefer price")
    prices = [listed[row[0]].price for row in shown.rows]
    assert prices == sorted(prices)
    assert Commands().do_markets("").rows[0][-1] == "premium"
