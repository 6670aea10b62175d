"""
A button that puts a cell into the notebook, where the sidebar's extension is there to do it.

The kernel tells the page the cell's text by a comm; the page puts it below the cell that was
clicked in, and runs nothing. Elsewhere there is no such button, and the text is there to be copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...settings import around

TARGET = "nosana-jupyter:cell"
"""Name under which pages wait for such comms."""


def buttons(source: Callable[[], str]) -> list[Any]:
    """
    Return the button, or nothing where no page would hear of it.

    Args:
        source: Says what the cell is to have.
    """
    if not around.draws_cards():
        return []
    import ipywidgets

    made = ipywidgets.Button(
        description="Put it into a cell below", icon="level-down",
        layout={"width": "auto", "align_self": "flex-start"},
        tooltip="Nothing runs until you run it",
    )  # fmt: skip
    made.on_click(lambda _: put(source()))
    return [made]


def put(source: str) -> None:
    """Tell the page of a cell."""
    from comm import create_comm

    create_comm(target_name=TARGET, data={"source": source}).close()


def show(widget: Any, text: str) -> None:
    """Display a widget, and a text where widgets are not drawn: in terminals, on paper."""
    from IPython.display import display

    display({**widget._repr_mimebundle_(), "text/plain": text}, raw=True)
