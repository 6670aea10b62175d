"""What a user is asked before real money is spent, and what comes of each answer, in a notebook."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from labs import PATIENCE, LabPage, eventually
from local_networks import LocalNetwork
from playwright.sync_api import Locator, expect

pytestmark = [pytest.mark.browser, pytest.mark.network]

LOAD = "%load_ext nosana_jupyter"

CELL = "%%nosana --timeout 10m\nprint(6 * 7)"

WAITS = """%%nosana --timeout 10m
import time
print("work has begun")
while True:
    time.sleep(0.1)"""

ABOVE = "%env NOSANA_ASK_ABOVE=0.001 NOS"

expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture
def real_money(session_network: LocalNetwork) -> Iterator[None]:
    """The network says that its money is real, and nobody has agreed to anything yet."""
    place = session_network.home / "local" / "network.json"
    said = place.read_bytes()
    place.write_text(json.dumps({**json.loads(said), "real_money": True}))
    try:
        yield
    finally:
        place.write_bytes(said)


@pytest.fixture
def notebook(real_money: None, page: LabPage, name: str) -> Iterator[LabPage]:
    """A notebook that knows our magics, beside the panel; what runs in the end is ended."""
    page.lab.write(name, [LOAD, CELL, ABOVE, WAITS])
    page.open(name)
    page.panel()
    ran(page, 0, 1)
    yield page
    page.errors = [each for each in page.errors if "402" not in each]
    _, found = page.ask("jobs")
    for job in found["running"]:
        page.ask(f"jobs/{job['job'] or job['cell']}/stop", {"end": bool(job["job"])})
    eventually(lambda: not page.ask("jobs")[1]["running"])


def ran(page: LabPage, index: int, count: int) -> None:
    """Run a cell, and wait for its end."""
    page.run(index)
    expect(page.cell(index).locator(".jp-InputPrompt")).to_have_text(f"[{count}]:")


def asked(page: LabPage, index: int) -> Locator:
    """Run a cell; return the field in which it asks."""
    page.run(index)
    cell = page.cell(index)
    expect(cell.locator(".jp-Stdin-prompt")).to_contain_text("Spend up to 0.0186")
    expect(cell.locator(".nj-Card-what")).to_contain_text("waiting for your answer")
    return cell.locator(".jp-Stdin-input")


def posted(page: LabPage) -> Any:
    return page.ask("jobs")[1]["total"]


def test_no_and_yes(notebook: LabPage) -> None:
    """
    A cell asks before real money is spent, and panel and card say that it does: what is refused
    posts nothing, what is agreed to runs, and nothing is asked twice but above `ask_above`.
    """
    before, money = posted(notebook), notebook.ask("wallet")[1]["nos"]
    cell, jobs = notebook.cell(1), notebook.section("jobs")

    field = asked(notebook, 1)
    expect(jobs.locator(".nj-Job-state")).to_contain_text("Waiting for your answer")
    notebook.shot("asked")
    field.fill("n")
    field.press("Enter")
    expect(cell).to_contain_text("was not confirmed. Nothing was spent")
    expect(jobs.locator(".nj-Job")).to_have_count(0)
    assert (posted(notebook), notebook.ask("wallet")[1]["nos"]) == (before, money)

    field = asked(notebook, 1)
    field.fill("y")
    field.press("Enter")
    expect(cell.locator(".nj-Card-state")).to_have_text("Done")
    expect(cell).to_contain_text("42")
    ran(notebook, 1, 4)
    expect(cell.locator(".jp-Stdin-prompt")).to_have_count(0)
    eventually(lambda: posted(notebook) == before + 2)

    ran(notebook, 2, 5)
    asked(notebook, 1)
    jobs.locator(".nj-Job").get_by_role("button", name="Stop").click()
    expect(cell.locator(".nj-Card-state")).to_have_text("Interrupted")
    expect(cell).to_contain_text("no job was posted; nothing was spent")
    assert posted(notebook) == before + 2


@pytest.mark.parametrize("where", ["panel", "card"])
def test_more_time_is_agreed_to(notebook: LabPage, where: str) -> None:
    """Panel and card say what more time may cost, and pay for it after a yes alone."""
    field = asked(notebook, 3)
    field.fill("y")
    field.press("Enter")
    cell = notebook.cell(3)
    expect(cell).to_contain_text("work has begun")
    job = notebook.section("jobs").locator(".nj-Job")
    if where == "panel":
        place = job
        job.get_by_role("button", name="Extend").click()
        press = job.get_by_role("button", name="+10 min")
        told = job.locator(".nj-Job-told")
    else:
        place = cell.locator(".nj-Card")
        place.locator(".nj-Card-head").click()
        press = place.get_by_role("button", name="Extend")
        told = place.locator(".nj-Card-told")

    press.click()
    trouble = place.locator(".nj-Trouble")
    expect(trouble).to_contain_text("Pay up to 0.0")
    expect(trouble).to_contain_text("on local?")
    notebook.shot(f"more-time-asked-{where}")
    assert not notebook.violations(".nj-Card" if where == "card" else "#nosana-jupyter-panel")
    trouble.get_by_role("button", name="No").click()
    expect(trouble).to_have_count(0)
    expect(told).to_have_text("") if where == "panel" else expect(told).to_have_count(0)

    if where == "panel":
        job.get_by_role("button", name="Extend").click()
    press.click()
    trouble.get_by_role("button", name="Yes, pay for it").click()
    expect(told).to_contain_text("new; at most")
    expect(trouble).to_have_count(0)
    job.get_by_role("button", name="Stop").click()
    expect(job).to_have_count(0)
