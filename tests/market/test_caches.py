"""What hosts keep of earlier jobs: noted from what they tell, believed for a while, and chosen."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from nosana_jupyter.market import caches
from nosana_jupyter.market.caches import KEPT, RESOURCE, Cached, Report
from nosana_jupyter.market.choosing import Requirements, choose
from nosana_jupyter.market.hosting import Host
from nosana_jupyter.market.markets import Market, Quote
from nosana_jupyter.market.preferring import known
from nosana_jupyter.market.reputation import Record, Reputation
from nosana_jupyter.notebook import hosting
from nosana_jupyter.units import GiB, MicroNos, Seconds

QWEN, GEMMA = Cached("hub", "Qwen/Qwen2.5-7B", 4_100_000_000), Cached("hub", "google/g", 2_000_000)
TALK = Cached("link", "hf://datasets/me/talk", 3_000)
NOTHING = Report()


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Reputation]:
    opened = Reputation("local", tmp_path / "journal.sqlite", account="me")
    yield opened
    opened.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of day, which tests move."""
    now = [time.time()]
    monkeypatch.setattr(caches.time, "time", lambda: now[0])
    return now


def names(seen: Reputation, node: str = "HOST") -> list[str]:
    """Return what a host is believed to keep."""
    held = seen.kept(node)
    return [] if held is None else [each.name for each in held.things]


def market(slug: str, price: int, **more: object) -> Market:
    """Return a market whose next host is called as it is, in capitals."""
    made = Market(
        address=f"address-of-{slug}", slug=slug, name=slug, kind="COMMUNITY", gpus=("RTX 4090",),
        vram=GiB(24), price=MicroNos(price), fee_percent=Decimal(10), usd_per_hour=Decimal(1),
        hosts=1, first=slug.upper(),
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]  # fields of it


CHEAP, DEAR = market("cheap", 10), market("dear", 30)


def test_the_last_job_says_what_is_there(seen: Reputation) -> None:
    """What a later job no longer tells is gone; another wallet, network and host have their own."""
    seen.keeps("HOST", Report(now=(GEMMA, QWEN)))
    assert names(seen) == [QWEN.name, GEMMA.name]
    seen.keeps("HOST", Report(found=(GEMMA, QWEN), now=(TALK,)))
    assert names(seen) == [TALK.name]
    assert names(seen, "OTHER") == []

    for network, account in (("local", "other"), ("devnet", "me")):
        other = Reputation(network, seen_path(seen), account=account)
        assert names(other) == []
        other.close()


def seen_path(seen: Reputation) -> Path:
    """Return the file of what is known of hosts."""
    (row,) = seen.caches._db.execute("pragma database_list").fetchall()
    return Path(row[2])


def test_it_ages_as_hosts_forget(seen: Reputation, clock: list[float]) -> None:
    """What no job has used for a day is believed of no host."""
    seen.keeps("HOST", Report(now=(QWEN,)))
    clock[0] += KEPT - 60
    assert names(seen) == [QWEN.name]
    clock[0] += 120
    assert names(seen) == []


def test_who_had_not_what_it_said_is_believed_less(seen: Reputation, clock: list[float]) -> None:
    """Each time half as long; what it does have again makes good for it. Nobody is banned."""
    seen.keeps("HOST", Report(now=(QWEN,)))
    seen.keeps("HOST", Report(found=(), now=(QWEN,)))
    clock[0] += KEPT / 2 + 60
    assert names(seen) == []

    seen.keeps("HOST", Report(now=(QWEN,)))
    seen.keeps("HOST", Report(found=(QWEN,), now=(QWEN,)))
    clock[0] += KEPT / 2 + 60
    assert names(seen) == [QWEN.name]
    seen.keeps("HOST", NOTHING)
    assert names(seen) == []
    assert seen.avoided() == set()


def test_what_is_too_old_or_not_told_is_no_miss(seen: Reputation, clock: list[float]) -> None:
    """A host is not blamed for what it forgot in time, nor where there was too much to tell."""
    seen.keeps("HOST", Report(now=(QWEN,)))
    seen.keeps("HOST", Report(found=(GEMMA,), now=(QWEN,), cut=True))
    clock[0] += KEPT + 60
    seen.keeps("HOST", Report(now=(QWEN,)))
    clock[0] += KEPT - 60

    assert names(seen) == [QWEN.name]


def test_a_part_leaves_the_rest(seen: Reputation) -> None:
    """What a service's host says of its model says nothing of what cells find, nor these of it."""
    model = Cached(RESOURCE, "llama3.2:3b", 2_000_000_000)
    seen.keeps("HOST", Report(now=(QWEN,)))
    seen.keeps("HOST", Report(now=(model,), whole=False))
    assert names(seen) == [QWEN.name, model.name]
    seen.keeps("HOST", Report(found=(QWEN,)))
    assert names(seen) == [model.name]


def test_cached_chooses_who_keeps_what_is_named(seen: Reputation) -> None:
    """
    A market whose next host keeps what the cell names comes first only where that is asked for, and
    the quote says what is kept whatever is asked for.
    """
    seen.keeps("DEAR", Report(now=(QWEN, TALK)))
    wants = (QWEN.want, ("hub", "some/other"))

    def quoted(order: str, *wants: caches.Want) -> Quote:
        wanted = Requirements(prefer=order, image="python:3.12", wants=wants)
        return choose([CHEAP, DEAR], wanted, Seconds(60), seen=seen)

    assert quoted("", *wants).market == CHEAP
    assert quoted("cached").market == CHEAP
    assert quoted("cached", ("hub", "some/other")).market == CHEAP
    assert (quoted("", *wants).kept, quoted("", *wants).has) == ("", "")
    best = quoted("cached", *wants)
    assert best.market == DEAR
    assert best.has == "Qwen/Qwen2.5-7B (4.1 GB)"
    assert best.why[0] == (
        "cached: the next host, DEAR, should still have Qwen/Qwen2.5-7B (4.1 GB); nobody says that "
        "it keeps some/other; nobody says that python:3.12 is there: it is fetched first, in time "
        "that is paid"
    )
    said = (
        r"host DEAR… keeps 4\.1 GB from your last job there, \d+ s ago: Qwen/Qwen2\.5-7B, hf://d.*"
    )
    assert re.fullmatch(said, dict(best.lines())["kept"])
    assert "kept" not in dict(replace(best, node="ANOTHER").lines())


def test_what_a_market_promises_helps_what_a_definition_names(seen: Reputation) -> None:
    """A resource that the list promises is at all its hosts; cells do not see it."""
    promised = replace(DEAR, resources=("s3://models/x",))
    for kind, best in ((RESOURCE, "dear"), ("link", "cheap")):
        wanted = Requirements(prefer="cached", wants=((kind, "s3://models/x"),))
        quote = choose([CHEAP, promised], wanted, Seconds(60), seen=seen)
        assert quote.market.slug == best


def test_lists_say_what_is_kept(seen: Reputation) -> None:
    """Both the list of markets and that of hosts say it, in few words."""
    seen.ran("DEAR")
    seen.keeps("DEAR", Report(now=(QWEN, GEMMA, TALK)))
    _, told = known([CHEAP, DEAR], "", "", seen)
    record = Record("DEAR", done=1, seen=time.time())
    held = seen.kept("DEAR")
    table = hosting.table(
        [Host(node="DEAR", markets=(DEAR,), stake=None, record=record, held=held)]
    )

    assert [each.kept for each in told] == [
        "–", "yours: Qwen/Qwen2.5-7B, google/g and 1 more (4.1 GB)"
    ]  # fmt: skip
    assert "host DEAR… keeps 4.1 GB from your last job there" in table.note
