"""The hosts of an `Executor`, stopped from the panel while their kernel waits for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from labs import PATIENCE, LabPage, eventually
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.network]

MAPS = """from nosana_jupyter import Executor
import time
def slow(x):
    print("has begun", flush=True)
    time.sleep(600)
with Executor(hosts=1, timeout="10m") as pool:
    list(pool.map(slow, range(3)))"""

expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture
def notebook(page: LabPage, name: str) -> Iterator[LabPage]:
    """A notebook whose cell maps over a host until it is stopped; what it leaves is ended."""
    page.lab.write(name, [MAPS])
    page.open(name)
    page.panel()
    yield page
    _, found = page.ask("jobs")
    for job in found["running"]:
        page.ask(f"jobs/{job['job'] or job['cell']}/stop", {"end": False})
    eventually(lambda: not page.ask("jobs")[1]["running"])


def test_stopped_from_the_panel(notebook: LabPage) -> None:
    """
    Stop interrupts the map though its kernel is busy, and its host's job is settled; a host alone
    that is ended is replaced by another, and the map goes on.
    """
    jobs = notebook.section("jobs")
    host = jobs.locator(".nj-Job", has_text="one of 1 host")
    whole = jobs.locator(".nj-Job", has_text="slow(…)")
    notebook.run(0)
    expect(notebook.cell(0)).to_contain_text("has begun")
    expect(whole.locator(".nj-Job-state")).to_contain_text("0 of 3 items, 1 host")
    first = host.get_attribute("data-job") or ""
    notebook.shot("executor")

    host.get_by_role("button", name="End job").click()
    host.get_by_role("group", name="End it?").get_by_role("button", name="End job").click()
    eventually(lambda: notebook.ask(f"jobs/{first}")[1]["paid"])
    expect(host).to_have_count(1)
    expect(host).not_to_have_attribute("data-job", first)
    expect(notebook.cell(0)).to_contain_text("1 lost")
    eventually(lambda: notebook.cell(0).inner_text().count("has begun") > 2)
    second = host.get_attribute("data-job") or ""

    whole.get_by_role("button", name="Stop").click()
    expect(notebook.cell(0)).to_contain_text("KeyboardInterrupt")
    expect(jobs.locator(".nj-Job")).to_have_count(0)
    assert notebook.ask(f"jobs/{second}")[1]["paid"] > 0
