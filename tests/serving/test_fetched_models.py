"""What the host of a service has fetched for it is known to the quote of the next one."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from nosana_jupyter import settings
from nosana_jupyter.market.caches import RESOURCE, Cached, Report
from nosana_jupyter.market.choosing import choose
from nosana_jupyter.market.markets import Market
from nosana_jupyter.market.reputation import Reputation
from nosana_jupyter.rent.boot import Progress
from nosana_jupyter.serving import forms, renting, terms
from nosana_jupyter.units import GiB, MicroNos, Seconds

MODEL = "llama3.2:3b"
FORM = forms.ollama(MODEL)
SIZE = 2_000_000_000


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Reputation]:
    opened = Reputation("local", tmp_path / "journal.sqlite", account="me")
    yield opened
    opened.close()


def entry(current: int, *, name: str = MODEL) -> dict[str, Any]:
    """Return what a host's log says of a resource."""
    detail = {"current": current, "total": SIZE}
    event = {"id": name, "status": "Downloading", "progressDetail": detail}
    return {"message": {"type": "process-bar-update", "payload": {"event": event}}}


def told(*entries: dict[str, Any], form: forms.Form = FORM) -> Report | None:
    """Return what is noted of a host whose log has said this."""
    progress = Progress()
    for each in entries:
        progress.take(each)
    return renting._kept(form, progress)


def test_the_log_says_whether_it_was_there() -> None:
    """A model that comes in pieces was not there; one that is whole at once was."""
    model = Cached(RESOURCE, MODEL, SIZE)

    assert told(entry(1000), entry(SIZE)) == Report(now=(model,), whole=False)
    assert told(entry(SIZE)) == Report(found=(model,), now=(model,), whole=False)


def test_a_log_that_says_nothing_blames_nobody() -> None:
    """A server that is up before its log was read has its model; how large it is is not known."""
    model = Cached(RESOURCE, MODEL, 0)
    assert told(entry(1000, name="another")) == Report(found=(model,), now=(model,), whole=False)


def test_an_image_has_none() -> None:
    """What an image fetches by itself is no resource, and nothing is said of it."""
    assert told(entry(SIZE), form=forms.TINY) is None


def test_the_next_quote_says_who_has_it(seen: Reputation) -> None:
    """The same model served again goes, with `cached`, to the market whose next host has it."""
    markets = [
        Market(
            address=f"address-of-{slug}", slug=slug, name=slug, kind="COMMUNITY",
            gpus=("RTX 4090",), vram=GiB(24), price=MicroNos(price), fee_percent=Decimal(10),
            usd_per_hour=Decimal(1), hosts=1, first=slug.upper(),
        )
        for slug, price in (("cheap", 10), ("dear", 30))
    ]  # fmt: skip
    report = told(entry(1000), entry(SIZE))
    assert report is not None
    seen.keeps("DEAR", report)
    asked = terms.asked(FORM, chosen=settings.load(), prefer="cached")
    other = terms.asked(forms.ollama("gemma3:1b"), chosen=settings.load(), prefer="cached")
    quote = choose(markets, asked.wanted, Seconds(60), seen=seen)

    assert quote.market.slug == "dear"
    assert quote.has == "llama3.2:3b (2.0 GB)"
    assert "DEAR, should still have llama3.2:3b (2.0 GB)" in quote.why[0]
    assert choose(markets, other.wanted, Seconds(60), seen=seen).market.slug == "cheap"
