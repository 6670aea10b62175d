"""The form of a template says at each moment what would be put into the notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nosana_jupyter.errors import UsageError
from nosana_jupyter.notebook import templates
from nosana_jupyter.notebook.template_form import Form
from nosana_jupyter.templates import shelves


def form(name: str, *words: str) -> Form:
    made = templates.do(None, None, " ".join(["use", name, "--form", *words]))  # type: ignore[arg-type]
    assert isinstance(made, Form)
    return made


def widgets(of: Any, kind: str) -> list[Any]:
    found = [of] if type(of).__name__ == kind else []
    return found + [each for child in getattr(of, "children", ()) for each in widgets(child, kind)]


def test_what_is_changed_stands_in_the_cell_at_once(home: Path) -> None:
    """Cell and line follow each change, a wrong one is said and changes nothing."""
    made = form("fine-tune", "rank=8")
    shown = made.widget()
    asked = {each.description: each for each in widgets(shown, "Text")}
    put, cell = widgets(shown, "Textarea")
    wrong = widgets(shown, "HTML")[-1]
    assert put.value == "%nosana template use fine-tune rank=8"

    asked["model"].value = "my model"
    asked["epochs"].value = "0"

    assert "model = 'my model'" in cell.value
    assert "epochs = 3" in cell.value
    assert put.value == "%nosana template use fine-tune 'model=my model' rank=8"
    assert "epochs cannot be 0. It goes from 1" in wrong.value

    asked["epochs"].value = "5"
    assert wrong.value == ""
    assert "epochs = 5" in cell.value

    again = form(*put.value.removeprefix("%nosana template use ").split(" ", 1))
    assert again.text == made.text  # The line gives the same cell again.


def test_small_is_what_it_is_tried_with(home: Path) -> None:
    """`--small` asks for no card and no big packages, in the cell as in the form."""
    made = form("fine-tune", "--small")

    assert made.text.startswith("%%nosana --timeout 10m")
    assert "model = 'tiny'" in made.text
    assert made.line == "%nosana template use fine-tune --small"
    assert "rank = 16" in repr(made)
    assert "from 1 to 512" in repr(made)


def test_text_of_a_stranger_is_text(home: Path) -> None:
    """What a template says of itself is no HTML; what is the user's to give it cannot ask for."""
    place = shelves.shelves()[shelves.YOURS] / "evil"
    place.mkdir(parents=True)
    (place / "cell.py").write_text("print(a)")
    said = (
        '{"title": "<script>1</script>", "description": "<img src=x onerror=1>", "options": "%s",'
        ' "parameters": [{"name": "a", "default": "1", "help": "<b onclick=1>"}]}'
    )
    (place / "info.json").write_text(said % "--vram 4")

    html = "".join(each.value for each in widgets(form("evil").widget(), "HTML"))
    assert html
    assert "<script" not in html
    assert "<img" not in html
    assert "<b onclick" not in html

    (place / "info.json").write_text(said % "--yes")
    refused = form("evil")
    assert "yours alone to say" in refused.wrong
    assert not refused.text
    with pytest.raises(UsageError):
        form("hello-gpu", "depth=1")
