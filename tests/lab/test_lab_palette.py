"""Our commands in JupyterLab's palette: found by typing, and done by Enter."""

from __future__ import annotations

import pytest
from labs import PATIENCE, LabPage, eventually
from playwright.sync_api import Locator, expect

pytestmark = [pytest.mark.browser, pytest.mark.network]

CELLS = ["%load_ext nosana_jupyter", "6 * 7"]

SELECT = """index => {
  const { content } = window.jupyterapp.shell.currentWidget;
  content.activeCellIndex = index;
  content.mode = 'command';
  content.node.focus();
}"""

SOURCES = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(
  each => each.model.sharedModel.getSource())"""

expect.set_options(timeout=PATIENCE * 1000)


def typed(page: LabPage, text: str) -> Locator:
    """Open the palette and type; return what it offers."""
    page.page.keyboard.press("Control+Shift+c")
    expect(page.page.locator("#modal-command-palette input")).to_be_focused()
    page.page.keyboard.type(text)
    return page.page.locator("#modal-command-palette .lm-CommandPalette-itemLabel")


def chosen(page: LabPage, text: str) -> None:
    """Type all of a command's name, and press Enter once it stands alone."""
    expect(typed(page, text).first).to_have_text(text)
    page.page.keyboard.press("Enter")
    expect(page.page.locator("#modal-command-palette")).to_be_hidden()


def test_each_command_is_found_and_done(page: LabPage, name: str) -> None:
    """
    All commands stand there under one word. Those that show something leave the keyboard in it,
    those that do something say what came of it, and those of cells write into the notebook.
    """
    page.lab.write(name, CELLS)
    page.open(name)
    offered = typed(page, "nosana")
    expect(offered.first).to_have_text("Show Nosana Panel")
    assert offered.count() >= 10
    page.shot("palette")
    page.page.keyboard.press("Enter")
    expect(page.section("wallet").locator("h2 button")).to_be_focused()

    sections = {"Browse Templates": "templates", "Find a GPU": "gpus", "Show Wallet": "wallet"}
    for text, section in sections.items():
        page.page.evaluate(SELECT, 1)
        chosen(page, text)
        expect(page.section(section).locator("h2 button")).to_be_focused()

    toast = page.page.locator(".Toastify__toast")
    before = page.ask("wallet")[1]["nos"]
    chosen(page, "Add Play Money to the Wallet")
    expect(toast.filter(has_text="The wallet holds")).to_be_visible()
    assert page.ask("wallet")[1]["nos"] == before + 10_000_000
    chosen(page, "Stop the Cell of this Notebook")
    expect(toast.filter(has_text="This notebook runs nothing on Nosana.")).to_be_visible()

    page.page.evaluate(SELECT, 1)
    for source in ("%%nosana\n6 * 7", "6 * 7"):
        chosen(page, "Let the Selected Cell Run on Nosana")
        eventually(lambda source=source: page.page.evaluate(SOURCES)[1] == source)
