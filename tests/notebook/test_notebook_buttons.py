"""Cells that go on by themselves: their card stays true, and has buttons where nobody else does."""

from __future__ import annotations

from typing import Any

from front_ends import CARD, Kernel
from test_notebook_widgets import VIEW, heard, opened, say, states

CELL = """%%nosana --detach
import time
for number in range(600):
    print(number, flush=True)
    time.sleep(0.1)"""


def cards(wanted: Any) -> Any:
    """Return what looks for a drawing of the card that is wanted."""

    def look(kind: str, content: dict[str, Any]) -> bool:
        data = content.get("data")
        return kind == "update_display_data" and CARD in data and wanted(data)

    return look


def test_a_click_stops_a_detached_cell(kernel: Kernel) -> None:
    """
    The card of a detached cell goes on under its cell while the kernel is free; its Stop ends the
    job, and what a notebook keeps in the end is the card without buttons.
    """
    ident = kernel.begin(CELL)
    shown = kernel.follow(ident)
    assert shown.cards[-1][VIEW]["model_id"] == opened(shown.messages, "VBoxModel")
    assert [each[VIEW] for each in shown.displays if VIEW in each] == []
    heard(kernel, cards(lambda data: "so far" in data["text/html"] and VIEW in data))
    (stop,) = (
        content["comm_id"]
        for kind, content in shown.messages
        if kind == "comm_open" and content["data"]["state"].get("description") == "Stop"
    )
    extend = [
        states(shown.messages, content["comm_id"])["description"]
        for kind, content in shown.messages
        if kind == "comm_open" and "more" in content["data"]["state"].get("description", "")
    ]
    say(kernel, stop, {"method": "custom", "content": {"event": "click"}})
    _, last, parent = heard(kernel, cards(lambda data: VIEW not in data), 60)
    data = last["data"]

    assert extend[0].startswith("10 min more")
    assert parent == ident
    assert data["text/html"].startswith("<div>nosana: stopped · paid 0.")
    assert (data[CARD]["state"], data[CARD]["end"]) == ("ended", "interrupted")
    assert "none" in kernel.run("%nosana").text.split("open jobs")[1]


def test_a_card_that_is_drawn_elsewhere_has_no_buttons(kernel: Kernel) -> None:
    """
    Where a server of ours has started the kernel its extension draws the card: there is one card.
    """
    kernel.run("import os; os.environ['NOSANA_JUPYTER_CARDS'] = '1'")
    try:
        shown = kernel.run("%%nosana --detach\nimport time\ntime.sleep(2.5)")
        _, last, _ = heard(kernel, cards(lambda data: "brings back" in data["text/plain"]), 60)
    finally:
        kernel.run("del os.environ['NOSANA_JUPYTER_CARDS']")

    assert all(VIEW not in each for each in shown.cards)
    assert "done · paid 0." in last["data"]["text/plain"]
    assert last["data"][CARD]["end"] == "done"
    assert last["data"][CARD]["samples"]
