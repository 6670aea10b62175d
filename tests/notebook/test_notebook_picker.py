"""Markets to choose from by clicking."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_notebook_card import MARKET, RATE

from nosana_jupyter.errors import UsageError
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.market.preferring import Known
from nosana_jupyter.notebook import grammar
from nosana_jupyter.notebook.complete import matches
from nosana_jupyter.notebook.picker import Picker
from nosana_jupyter.units import GiB, MicroNos, Seconds

SMALL = replace(
    MARKET, slug="nvidia-3060", address="Sma", gpus=("NVIDIA GeForce RTX 3060",), vram=GiB(12),
    price=MicroNos(40), hosts=0,
)  # fmt: skip
LARGE = replace(
    MARKET, slug="nvidia-h100", address="Lar", gpus=("NVIDIA H100",), vram=GiB(80),
    price=MicroNos(1200), hosts=1,
)  # fmt: skip


def picker(**wanted: Any) -> Picker:
    return Picker(
        [SMALL, MARKET, LARGE], Requirements(**wanted), Seconds(1800), usual=Seconds(1800),
        rate=RATE,
    )  # fmt: skip


def of(box: Any, description: str) -> Any:
    """Return the widget of a name."""
    return next(each for each in box.children if getattr(each, "description", "") == description)


@pytest.mark.parametrize(
    ("wanted", "line", "market"),
    [
        ({}, "%%nosana", "nvidia-4090"),
        ({"vram": GiB(16)}, "%%nosana --vram 16", "nvidia-4090"),
        ({"vram": GiB(48)}, "%%nosana --vram 48", "nvidia-h100"),
        ({"gpu": "4090"}, "%%nosana --gpu 4090", "nvidia-4090"),
        ({"market": "nvidia-3060"}, "%%nosana --market nvidia-3060", "nvidia-3060"),
    ],
)
def test_the_line_asks_for_what_was_picked(wanted: dict[str, Any], line: str, market: str) -> None:
    """What is shown to be copied is a line that `%%nosana` reads, and the cost is of its market."""
    made = picker(**wanted)
    read = grammar.cell_grammar().read(made.line.removeprefix("%%nosana"))

    assert made.line == line
    assert (read.vram, read.gpu, read.market) == tuple(
        wanted.get(name) for name in ("vram", "gpu", "market")
    )
    assert f"in {market}: at most" in made.cost


def test_clicks_change_the_line() -> None:
    """Each change is in the line at once; a market that no longer fits is not asked for."""
    made = picker()
    box = made.widget()
    line = of(box, "The line")
    of(box, "Market").value = "nvidia-3060"
    assert line.value == "%%nosana --market nvidia-3060"
    of(box, "Longest run").value = 7200
    assert line.value == "%%nosana --market nvidia-3060 --timeout 2h"
    of(box, "GPU memory").value = 24
    assert line.value == "%%nosana --vram 24 --timeout 2h"
    assert [slug for _, slug in of(box, "Market").options] == ["", "nvidia-4090", "nvidia-h100"]
    of(box, "Card").value = "RTX 3060"
    shown = "".join(each.value for each in box.children if type(each).__name__ == "HTML")

    assert line.value == "%%nosana --vram 24 --gpu 'RTX 3060' --timeout 2h"
    assert "No market has that" in shown


def test_it_is_text_where_nobody_can_click() -> None:
    """A terminal has the markets, what it costs and the line."""
    text = repr(picker(vram=GiB(24)))

    assert "nvidia-h100  H100      80 GiB  ██████████" in text
    assert text.endswith("To run a cell there: %%nosana --vram 24")
    assert "at most 0.540540 NOS ($0.1622) for 30 min" in text


def test_the_order_and_what_is_kept_are_said() -> None:
    """Markets come in the order that is asked for, which the line asks for too, with its reason."""
    wanted = Requirements(prefer="cached")
    made = Picker(
        [SMALL, MARKET, LARGE], wanted, Seconds(1800), usual=Seconds(1800), rate=RATE,
        prefer="cached",
        rank=lambda found: (found[::-1], [Known(kept="yours: me/m (3.0 MB)"), *[Known()] * 2]),
    )  # fmt: skip
    text = repr(made)

    assert made.line == "%%nosana --prefer cached"
    assert "in nvidia-h100: at most" in made.cost
    assert text.index("nvidia-h100") < text.index("nvidia-4090")
    assert "1 free     yours: me/m (3.0 MB)" in text
    assert "Chosen by cached, then free, then price." in text
    assert "Chosen by free, then price." in repr(picker())


def test_only_who_chooses_picks() -> None:
    """`--pick` completes where it is understood, and nowhere else."""
    for command in ("markets", "quote"):
        line = f"%nosana {command} --pi"
        found = [each.text for each in matches(line, "--pi", [])["completions"]]
        assert found == ["--pick"]
    with pytest.raises(UsageError):
        grammar.cell_grammar().read("--pick")
