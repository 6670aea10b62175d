"""What the documentation says is what the code says, and what it points to is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    *sorted(ROOT.glob("docs/*.md")),
    ROOT / "README.md",
    *sorted(ROOT.glob("notebooks/*.ipynb")),
]


def test_the_reference_is_as_the_code(home: Path) -> None:
    """Whoever changes an option, a setting, a docstring or an error runs `make docs`."""
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "docs" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)

    stored = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")

    assert made.reference() == stored, "run: make docs"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """Each file that a page or a notebook links to is there."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(each.source for each in cells if each.cell_type == "markdown")
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)", text)

    assert [each for each in links if not (path.parent / each).exists()] == []


def test_every_notebook_is_in_the_guide() -> None:
    """A reader finds all of them, in order."""
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")

    linked = re.findall(r"notebooks/(\w+)\.ipynb", guide)

    assert sorted(linked) == sorted(each.stem for each in ROOT.glob("notebooks/*.ipynb"))
