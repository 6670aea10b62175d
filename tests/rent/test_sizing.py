"""What is learned of a cell's memory while it runs, and what is said when its card is full."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from witnesses import Witness, scene

from nosana_jupyter import settings
from nosana_jupyter.errors import UsageError
from nosana_jupyter.events import Cell, Event, Quoted, Said, Sampled
from nosana_jupyter.market.markets import Market, Quote
from nosana_jupyter.rent import sizing
from nosana_jupyter.units import GiB, MicroNos, Seconds
from nosana_jupyter.vram import Estimate
from nosana_jupyter.wire.messages import Error, Stream

SOURCE = 'm = AutoModel.from_pretrained("me/mine-7b", torch_dtype="float16", device_map="cuda")'
SMALL = Market(
    address="S", slug="nvidia-3090", name="", kind="PREMIUM", gpus=("NVIDIA GeForce RTX 3090",),
    vram=GiB(24), price=MicroNos(100), fee_percent=Decimal(10), usd_per_hour=Decimal("0.1"),
)  # fmt: skip
LARGE = replace(
    SMALL, slug="nvidia-a6000", gpus=("NVIDIA RTX A6000",), vram=GiB(48), price=MicroNos(400)
)
HALF = Seconds(1800)
LOADS = """
import torch
from transformers import AutoModelForCausalLM
m = AutoModelForCausalLM.from_pretrained(
    "Qwen/Qwen2.5-14B-Instruct", torch_dtype=torch.bfloat16, device_map="cuda"
)
"""
RUNS_OUT = """
class OutOfMemoryError(RuntimeError):
    pass
raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
"""
QUOTE = Quote(market=SMALL, timeout=Seconds(600), larger=LARGE)
FULL = Error(
    ename="OutOfMemoryError",
    evalue="CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 23.65 GiB in all",
    traceback=["…"],
)


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cell:
    """A cell in a data folder of its own, with no hub to ask."""
    monkeypatch.setenv("NOSANA_JUPYTER_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return Cell(source=SOURCE, namespace={}, timeout=Seconds(600))


def watched(cell: Cell, *events: Event) -> list[Any]:
    """Let a cell run, of which these events are heard; return what is told of it."""
    told: list[Any] = []
    watch = sizing.Watch(sizing.estimated(cell, settings.load()), told.append)
    for event in events:
        watch.take(event)
    watch.end()
    return told


def test_the_next_estimate_is_what_was_seen(cell: Cell) -> None:
    """
    The most that a host's runner saw in use is the next estimate of the same cell.
    """
    before = sizing.estimated(cell, settings.load())
    samples = [Sampled(used=GiB(each), total=GiB(24)) for each in (4.0, 15.5, 9.0)]
    machine = Sampled(used=GiB(60), total=GiB(64), card=False)
    told = watched(cell, Quoted(QUOTE), *samples, machine)

    after = sizing.estimated(cell, settings.load())

    assert before.reasons[0].source == "formula"
    assert (after.low, after.reasons[0].source) == (15.5, "learned")
    assert "RTX 3090" in after.reasons[0].sentence
    assert len(told) == 5


def test_a_full_card_names_the_next(cell: Cell) -> None:
    """
    A card that is full is told with its numbers, the next market, its price and the command.
    """
    told = watched(cell, Quoted(QUOTE), Sampled(used=GiB(23.2), total=GiB(23.65)), Said(FULL))

    last = told[-1].message
    assert isinstance(last, Stream)
    assert last.text == (
        "nosana: the card ran out of memory: the most in use was 23 of 24 GiB, and it wanted 2.0 "
        "GiB more. The next is nvidia-a6000: RTX A6000, 48 GiB, 1.584000 NOS an hour. To go there: "
        "%%nosana --vram 48\n"
    )
    after = sizing.estimated(cell, settings.load())
    assert after.need > 29
    assert not after.certain


def test_a_full_card_without_a_larger_one(cell: Cell) -> None:
    """
    Where nobody has more, it is said what else can be done.
    """
    told = watched(cell, Quoted(replace(QUOTE, larger=None)), Said(FULL))

    assert "the card has 24 GiB" in told[-1].message.text
    assert "fewer bits" in told[-1].message.text


def test_a_full_card_of_a_session(cell: Cell) -> None:
    """
    In a session the way to more memory is another session, and nothing is learned: what earlier
    cells hold there is in the peak.
    """
    told: list[Any] = []
    watch = sizing.Watch(Estimate(), told.append, session="main", quote=QUOTE)
    watch.take(Said(FULL))
    watch.end()

    assert "%nosana down main, and %nosana up main --vram 48" in told[-1].message.text
    assert sizing.estimated(cell, settings.load()).reasons[0].source == "formula"


def test_other_errors_teach_nothing(cell: Cell) -> None:
    """
    A cell that raises something else is told nothing, and nothing is learned without samples.
    """
    told = watched(cell, Quoted(QUOTE), Said(Error(ename="KeyError", evalue="'a'", traceback=[])))

    assert len(told) == 2
    assert sizing.estimated(cell, settings.load()).reasons[0].source == "formula"


def test_a_damaged_file_stops_no_cell(cell: Cell, tmp_path: Path) -> None:
    """
    What was learned is of help and no more: without it, the estimate is as before.
    """
    (tmp_path / "peaks.sqlite").write_bytes(b"no database" * 1000)
    (tmp_path / "models.json").write_bytes(b"{")

    assert watched(cell, Quoted(QUOTE), Sampled(used=GiB(9), total=GiB(24)))
    assert sizing.estimated(cell, settings.load()).gpu


@pytest.mark.network
@pytest.mark.usefixtures("network")
def test_a_cell_goes_where_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without a word of the user's a cell that loads a model goes to a card that holds it, one that
    loads none to the cheapest, and one that fits nowhere nowhere; a card that is full is told.
    """
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    async def story(witness: Witness) -> None:
        small = await witness.client.plan(Cell(source="x = 1", namespace={}, timeout=HALF))
        large = await witness.client.plan(Cell(source=LOADS, namespace={}, timeout=HALF))
        mine = await witness.client.plan(
            Cell(source=LOADS, namespace={}, timeout=HALF, vram=GiB(8))
        )
        assert small.quote.needs == ""
        assert large.quote.market.vram >= 32 > small.quote.market.vram
        assert large.quote.market.price > small.quote.market.price
        assert large.quote.larger
        assert large.quote.larger.vram > large.quote.market.vram
        assert mine.quote.market.vram < 32
        assert "may run out of memory" in mine.quote.notes[-1]
        with pytest.raises(UsageError, match="the most there is has 96 GiB"):
            await witness.client.plan(
                Cell(source=LOADS.replace("14B", "72B"), namespace={}, timeout=HALF)
            )
        await witness.run(Cell(source=RUNS_OUT, namespace={}, timeout=HALF, gpu="3090"))
        assert "ran out of memory" in witness.text()
        assert "%%nosana --vram 32" in witness.text()
        full = await witness.client.plan(Cell(source=RUNS_OUT, namespace={}, timeout=HALF))
        assert full.quote.market.vram > 24

    scene(story)
