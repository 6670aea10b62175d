"""The job card in a real notebook, while its job runs and when nothing is left but the notebook."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest
from labs import PATIENCE, Lab, LabPage, eventually
from nbformat.v4 import new_code_cell, new_notebook, new_output
from playwright.sync_api import Browser, Locator, expect

pytestmark = [pytest.mark.browser, pytest.mark.network]

MIME = "application/vnd.nosana.job+json"

WAITS = """%%nosana --timeout 10m
import time
print("work has begun")
while True:
    time.sleep(0.1)"""

CELLS = ["%load_ext nosana_jupyter", WAITS, "%%nosana --timeout 10m\nprint(6 * 7)"]

MARKED = "<img src=x onerror=\"document.title='run'\">"

expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture
def notebook(page: LabPage, name: str) -> Iterator[LabPage]:
    """A notebook that knows our magics, without the panel; what runs in the end is ended."""
    page.lab.write(name, CELLS)
    page.open(name)
    page.run(0)
    expect(page.cell(0).locator(".jp-InputPrompt")).to_have_text("[1]:")
    yield page
    _, found = page.ask("jobs")
    for job in found["running"]:
        page.ask(f"jobs/{job['job'] or job['cell']}/stop", {"end": bool(job["job"])})
    eventually(lambda: not page.ask("jobs")[1]["running"])


def running(page: LabPage) -> Locator:
    """Run the cell that waits; return its card once its host works on it."""
    page.run(1)
    card = page.cell(1).locator(".nj-Card")
    expect(card.locator(".nj-Card-state")).to_have_text("Running")
    expect(page.cell(1)).to_contain_text("work has begun")
    return card


def saved(page: LabPage) -> None:
    page.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")


def test_watch_and_stop(notebook: LabPage) -> None:
    """
    A card that is open stays open and in focus while the kernel draws it anew each second, and its
    Stop interrupts the cell though the kernel is busy.
    """
    card = running(notebook)
    head = card.locator(".nj-Card-head")
    head.click()
    head.evaluate("node => { node.mark = 1; }")
    clock = card.locator(".nj-Card-time")
    for _ in range(3):
        shown = clock.inner_text()
        expect(clock).not_to_have_text(shown)

    assert head.evaluate("node => node.mark === 1 && node === document.activeElement")
    expect(head).to_have_attribute("aria-expanded", "true")
    expect(card.locator(".nj-CardLog pre")).to_contain_text("work has begun")
    expect(card.get_by_role("meter", name="Cost so far")).to_be_visible()
    notebook.shot("card-running", card)
    assert not notebook.violations(".nj-Card")

    card.get_by_role("button", name="Stop").click()

    expect(card.locator(".nj-Card-state")).to_have_text("Interrupted")
    expect(card.locator("dl")).to_contain_text("paid")
    expect(card.get_by_role("button", name="Stop")).to_have_count(0)
    assert head.evaluate("node => node.mark === 1")
    notebook.theme("JupyterLab Dark")
    notebook.shot("card-interrupted-dark", card)
    assert not notebook.violations(".nj-Card")


def test_reopened_notebook_has_the_receipt(notebook: LabPage, browser: Browser) -> None:
    """A notebook that is opened again has the whole receipt, and asks nobody for it."""
    notebook.run(2)
    card = notebook.cell(2).locator(".nj-Card")
    expect(card.locator(".nj-Card-state")).to_have_text("Done")
    saved(notebook)
    name = notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path")

    with notebook.lab.page(browser) as other:
        other.open(name)
        again = other.cell(2).locator(".nj-Card")
        again.locator(".nj-Card-head").click()
        rows = again.locator("dl")
        for word in ("paid", "refunded", "node"):
            expect(rows).to_contain_text(word)
        expect(other.cell(2).locator(".jp-OutputArea")).not_to_contain_text("nosana:")
        other.shot("card-receipt", again)
        assert not [each for each in other.asked if "jobs/" in each]


def drawn(**fields: Any) -> dict[str, Any]:
    """A card as a notebook keeps it."""
    return {
        "version": 1, "cell": "", "job": "", "session": "", "network": "mainnet", "title": "x = 1",
        "state": "ended", "end": "done", "text": "done", "doing": "", "share": None,
        "market": "nvidia-4090", "gpu": "RTX 4090", "node": "", "host": "a host", "since": 1.76e9,
        "began": 1.76e9, "ended": 1.76e9 + 60, "price": 97, "most": 348_920, "timeout": 3600,
        "usd_per_nos": 0.3, "credits": False, "paid": 5820, "cost": "paid", "verified": "",
        "receipt": [["paid", "0.005820 NOS"]], "samples": [], "peak": None, "lines": 1, **fields,
    }  # fmt: skip


def write(lab: Lab, name: str, cards: list[dict[str, Any]]) -> None:
    """Write a notebook with these cards, as somebody sends it."""
    cells = []
    for card in cards:
        data = {MIME: card, "text/html": "<b>html</b>", "text/plain": "plain"}
        output = new_output("display_data", data=data, metadata={})  # type: ignore[no-untyped-call]
        cells.append(new_code_cell("x = 1", outputs=[output]))  # type: ignore[no-untyped-call]
    made = new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    made.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python",
    }  # fmt: skip
    nbformat.write(made, lab.root / name)  # type: ignore[no-untyped-call]


def test_strangers_notebook(page: LabPage) -> None:
    """
    A card in a notebook of a stranger's is text, a job that is not ours is said not to be followed,
    and the server is asked for it once.
    """
    samples = [{"at": 1.76e9 + at, "used": at % 24, "total": 24, "busy": at % 100, "card": True}
               for at in range(60)]  # fmt: skip
    marked = dict.fromkeys(["title", "doing", "host", "gpu", "cost", "verified", "market"], MARKED)
    write(page.lab, "strange.ipynb", [
        drawn(**marked, receipt=[[MARKED, MARKED]], samples=samples, peak=9.5),
        drawn(job="FgNeedsNobody", state="running", end="", ended=None, paid=None),
        drawn(version=2, text="of another version"),
        drawn(receipt={"a": 1}, samples="x", since="y", paid=[1], state=5),
    ])  # fmt: skip
    page.open("strange.ipynb", kernel=False)
    lost = page.cell(1).locator(".nj-Card")
    expect(lost.locator(".nj-Card-state")).to_have_text("Not followed")
    heads = page.page.locator(".nj-Card-head")
    for number in (0, 1):
        heads.nth(number).click()

    expect(page.cell(0).locator(".nj-Card")).to_contain_text("<img")
    expect(page.cell(2)).to_contain_text("of another version")
    expect(lost).to_contain_text("does not follow it now")
    expect(page.page.locator(".nj-Card img")).to_have_count(0)
    expect(lost.get_by_role("button", name="Stop")).to_have_count(0)
    assert [each.split("?")[0] for each in page.asked if "jobs/" in each] == [
        "GET jobs/FgNeedsNobody"
    ]
    page.shot("card-strange")
    assert not page.violations(".nj-Card")
    # The browser says of the one request that it was refused.
    page.errors = [each for each in page.errors if "Failed to load" not in each]


def test_many_cards_cost_nothing(page: LabPage) -> None:
    """A notebook with 200 cards of jobs that are over does not work while it is only looked at."""
    write(page.lab, "many.ipynb", [drawn(cell=f"{number:032x}") for number in range(200)])
    page.open("many.ipynb", kernel=False)
    expect(page.page.locator(".nj-Card").first).to_be_visible()
    page.asked.clear()
    chromium = page.page.context.new_cdp_session(page.page)
    chromium.send("Performance.enable", {"timeDomain": "threadTicks"})

    def at_work() -> float:
        found = chromium.send("Performance.getMetrics")["metrics"]
        return next(float(each["value"]) for each in found if each["name"] == "ScriptDuration")

    def quiet() -> bool:
        before = at_work()
        time.sleep(1)  # What is measured: a second of nothing.
        return at_work() - before < 0.05

    eventually(quiet)
    assert not page.asked
