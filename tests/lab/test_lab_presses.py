"""What a user can press in the sidebar, and what comes of it; the looks that few wallets have."""

from __future__ import annotations

import csv
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from labs import PANEL, PATIENCE, LabPage, eventually
from local_networks import LocalNetwork
from playwright.sync_api import Locator, Route, expect

from nosana_jupyter.money.journal import Intent, Journal
from nosana_jupyter.money.receipt import Receipt

pytestmark = [pytest.mark.browser, pytest.mark.network]

NAMED = "presses_of_a_user = 6 * 7"

WAITS = f"""%%nosana --timeout 10m
{NAMED}
import time
print("work has begun")
while True:
    time.sleep(0.1)"""

LOAD = "%load_ext nosana_jupyter"

SOURCES = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(
  each => each.model.sharedModel.getSource())"""

expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture
def notebook(page: LabPage, name: str) -> Iterator[LabPage]:
    """A notebook that knows our magics, beside the panel; what runs in the end is ended."""
    page.lab.write(name, [LOAD, WAITS])
    page.open(name)
    page.panel()
    page.run(0)
    expect(page.cell(0).locator(".jp-InputPrompt")).to_have_text("[1]:")
    yield page
    _, found = page.ask("jobs")
    for job in found["running"]:
        page.ask(f"jobs/{job['job'] or job['cell']}/stop", {"end": bool(job["job"])})
    eventually(lambda: not page.ask("jobs")[1]["running"])


def sources(page: LabPage) -> list[str]:
    return list(page.page.evaluate(SOURCES))


def menu(page: LabPage, item: str) -> None:
    """Press an item of our menu."""
    page.page.locator(".lm-MenuBar-item", has_text="Nosana").click()
    page.page.locator(".lm-Menu-item", has_text=item).click()


def saved(page: LabPage, button: Locator, folder: Path) -> str:
    """Press what saves a file; return what is in it."""
    with page.page.expect_download() as download:
        button.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path.read_text()


def test_every_press_of_a_job(notebook: LabPage, tmp_path: Path) -> None:
    """
    Extend buys time and says how much; the menu stops the cell though its kernel is busy; search
    finds it alone; its receipt and the table are files; and it can be put into the notebook again.
    """
    notebook.run(1)
    jobs = notebook.section("jobs")
    job = jobs.locator(".nj-Job")
    expect(job.locator(".nj-JobSign")).to_have_attribute("data-kind", "works")
    expect(notebook.cell(1)).to_contain_text("work has begun")
    name = job.get_attribute("data-job") or ""

    job.get_by_role("button", name="Extend").click()
    more = job.get_by_role("button", name="+10 min")
    expect(more).to_be_focused()
    assert not notebook.violations()
    more.click()
    expect(job.locator(".nj-Job-told")).to_contain_text("20 min in all, 10 min of it new")

    notebook.section("wallet").locator("h2 button").focus()
    job.get_by_role("button", name="Open").click()
    expect(notebook.page.locator(".jp-Notebook .jp-Cell").nth(1)).to_be_focused()
    menu(notebook, "Stop the Cell of this Notebook")
    expect(job).to_have_count(0)
    expect(notebook.cell(1)).to_contain_text("KeyboardInterrupt")

    past = jobs.locator(".nj-Past")
    jobs.get_by_role("searchbox").fill(f"presses_of_a_user {name}")
    expect(past).to_have_count(1)
    jobs.get_by_role("searchbox").fill("no cell has said this")
    expect(jobs).to_contain_text("No job matches")
    jobs.get_by_role("searchbox").fill("PRESSES_OF")
    past.first.get_by_role("button").first.click()
    receipt = saved(notebook, past.get_by_role("button", name="Receipt"), tmp_path)
    assert json.loads(receipt)
    assert name in receipt
    table = saved(notebook, jobs.get_by_role("button", name="Save all jobs as CSV"), tmp_path)
    rows = {row["job"]: row for row in csv.DictReader(table.splitlines())}
    assert rows[name]["cell"] == NAMED
    assert rows[name]["status"] == "interrupted"

    past.get_by_role("button", name="Insert again").click()
    eventually(lambda: NAMED in sources(notebook)[-1])
    assert len(sources(notebook)) == 3
    assert not notebook.violations()


def test_by_keyboard_alone(notebook: LabPage) -> None:
    """
    A key opens the panel; Tab goes through all that can be pressed, in the order in which it
    stands, each with a name and a ring, and out of it again; arrows move the slider.
    """
    expect(notebook.section("gpus").locator(".nj-Market").first).to_be_visible()
    expect(notebook.page.locator(f"{PANEL} .nj-Waiting")).to_have_count(0)
    notebook.command("application:toggle-left-area")
    expect(notebook.page.locator(PANEL)).to_be_hidden()
    press = notebook.page.keyboard.press

    press("Control+Alt+n")
    expect(notebook.section("wallet").locator("h2 button")).to_be_focused()

    seen = [notebook.page.evaluate(FOCUSED)]
    while len(seen) < 150:
        press("Tab")
        found = notebook.page.evaluate(FOCUSED)
        if found is None:
            break
        seen.append(found)
        if found["range"]:
            press("ArrowRight")
            assert notebook.page.evaluate(FOCUSED)["value"] != found["value"]
    assert found is None, "Tab does not leave the panel"
    assert [each for each in seen if not each["name"] or not each["ring"]] == []
    assert [each["at"] for each in seen] == list(range(len(seen)))
    assert len(seen) == notebook.page.evaluate("() => window.reachable().length")


FOCUSED = """() => {
  const panel = document.querySelector('#nosana-jupyter-panel');
  window.reachable = () => [...panel.querySelectorAll(
    'button, input, select, summary, [tabindex="0"]')].filter(
      each => !each.disabled && each.checkVisibility());
  const node = document.activeElement;
  if (!panel.contains(node)) return null;
  const style = getComputedStyle(node);
  const thumb = node.type === 'range';
  return {
    at: window.reachable().indexOf(node),
    name: node.ariaLabel || node.labels?.[0]?.innerText || node.innerText,
    ring: thumb || style.outlineStyle !== 'none',
    range: thumb,
    value: node.value
  };
}"""


def test_settings_editor(page: LabPage) -> None:
    """What is unticked in the settings editor takes effect at once; so do our keys stand there."""
    page.open()
    expect(page.page.locator(".nj-Status")).to_be_visible()
    page.command("settingeditor:open", query="Nosana")
    box = page.page.get_by_label("Jobs in the status bar")
    box.uncheck()
    try:
        expect(page.page.locator(".nj-Status")).to_have_count(0)
    finally:
        box.check()
    expect(page.page.locator(".nj-Status")).to_be_visible()
    bound = page.page.evaluate(
        """() => window.jupyterapp.commands.keyBindings.map(each => each.command)"""
    )
    assert {"nosana-jupyter:open", "nosana-jupyter:stop", "nosana-jupyter:attach"} <= set(bound)


def test_objects_of_the_kernel_count(notebook: LabPage) -> None:
    """
    What the kernel has in its names sharpens what the cell alone says; a picker's click puts its
    line into a cell below, and runs nothing.
    """
    notebook.page.evaluate(
        """texts => {
          const { model } = window.jupyterapp.shell.currentWidget.content;
          for (const source of texts)
            model.sharedModel.addCell({ cell_type: 'code', source });
        }""",
        ["import numpy\ndata = numpy.zeros((1 << 14, 1 << 16), dtype='float32')",
         "x = torch.from_numpy(data).to('cuda')", "%nosana markets --pick"],
    )  # fmt: skip
    notebook.run(2)
    expect(notebook.cell(2).locator(".jp-InputPrompt")).to_have_text("[2]:")
    notebook.cell(3).locator(".cm-content").click()
    gpus = notebook.section("gpus")
    expect(gpus).to_contain_text("Objects in the kernel were looked at.")
    expect(gpus.locator(".nj-Reasons")).to_contain_text("data4 GiB")

    notebook.run(4)
    notebook.cell(4).get_by_role("button", name="Put it into a cell below").click()
    eventually(lambda: len(sources(notebook)) == 6)
    assert sources(notebook)[5].startswith("%%nosana")
    expect(notebook.cell(5).locator(".jp-InputPrompt")).to_have_text("[ ]:")


@pytest.fixture
def thousand(session_network: LocalNetwork) -> Iterator[list[str]]:
    """A thousand jobs that are over, of which the last was audited; afterwards none was."""
    path = session_network.home / "journal.sqlite"
    made = [f"thousand{number:036d}" for number in range(1000)]
    now = time.time()
    with closing(Journal(path)) as journal:
        for number, job in enumerate(made):
            journal.intend(Intent(
                job=job, network="local", wallet="w", market="m", slug="nvidia-4090",
                gpu="NVIDIA GeForce RTX 4090", price=1, timeout=60, fee=0, run="",
                cell=f"fit(model, {number})",
            ))  # fmt: skip
            journal.settle(Receipt(
                job=job, network="local", market="nvidia-4090", market_address="m", gpu="RTX 4090",
                wallet="w", node="n", status="done", seconds=9, price=1, deposit=60, paid=9,
                refunded=51, network_fee=0, sol_fee=0, sol_rent=0, ended=now, verified=VERDICT,
            ))  # fmt: skip
    yield made
    with closing(sqlite3.connect(path, timeout=60)) as db, db:
        db.execute("delete from jobs where job like 'thousand%'")


VERDICT = "audited: equal on 2 hosts"


def test_a_thousand_jobs(page: LabPage, thousand: list[str]) -> None:
    """
    A thousand jobs in the history are turned, searched and scrolled without the page being at
    work for long; and an audited cell's card of a saved notebook tells what the audit found.
    """
    card = {
        "version": 1, "cell": "ab", "job": thousand[0], "network": "local", "title": "fit",
        "state": "ended", "end": "done", "text": f"done · {UNDER_WAY}", "since": 1.0, "paid": 9,
        "cost": f"done · {UNDER_WAY}", "receipt": [["result", UNDER_WAY]], "verified": UNDER_WAY,
    }  # fmt: skip
    page.lab.write("audited.ipynb", ["fit"])
    path = page.lab.root / "audited.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"][0]["outputs"] = [{
        "output_type": "display_data", "metadata": {},
        "data": {"application/vnd.nosana.job+json": card, "text/plain": "plain"},
    }]  # fmt: skip
    path.write_text(json.dumps(notebook))
    page.open("audited.ipynb", kernel=False)
    page.panel()
    head = page.cell(0).locator(".nj-Card-head")
    head.click()
    expect(page.cell(0).locator(".nj-Card")).to_contain_text(VERDICT)
    expect(page.cell(0).locator(".nj-Card")).not_to_contain_text("under way")

    jobs = page.section("jobs")
    past = jobs.locator(".nj-Past")
    jobs.get_by_role("searchbox").fill("fit(model")
    expect(past).to_have_count(100)
    expect(jobs).to_contain_text("1,000 jobs")
    before = at_work(page)
    while (count := past.count()) < len(thousand):
        jobs.get_by_role("button", name="more of").click()
        eventually(lambda count=count: past.count() > count)
    turned = at_work(page)
    page.page.evaluate(SCROLL)
    scrolled = at_work(page)
    jobs.get_by_role("searchbox").fill("(model, 777)")
    expect(past).to_have_count(1)
    searched = at_work(page)

    # Of all nine pages; of sixty frames, a quarter of what they may take; of one search.
    assert turned - before < 3
    assert scrolled - turned < 0.25
    assert searched - scrolled < 1


UNDER_WAY = "unverified: its audit was still under way"

SCROLL = """async () => {
  const panel = document.querySelector('#nosana-jupyter-panel');
  for (let step = 0; step < 60; step++) {
    panel.scrollTop = (step * panel.scrollHeight) / 60;
    await new Promise(requestAnimationFrame);
  }
}"""


def at_work(page: LabPage) -> float:
    """Seconds for which scripts of the page have worked, whatever else the machine did."""
    chromium = page.page.context.new_cdp_session(page.page)
    chromium.send("Performance.enable", {"timeDomain": "threadTicks"})
    found = chromium.send("Performance.getMetrics")["metrics"]
    return next(float(each["value"]) for each in found if each["name"] == "ScriptDuration")


def wallet(**changes: Any) -> dict[str, Any]:
    """A wallet with real money, as no test has one."""
    address = "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin"
    budgets = [
        {"name": name, "limit": "$5.00", "used": used, "left": "$0.40", "share": share}
        for name, used, share in [("notebook", "$1.00", 0.2), ("day", "$4.60", 0.92),
                                  ("month", "$5.20", 1.0)]
    ]  # fmt: skip
    return {
        "network": "mainnet", "local": False, "up": True, "address": address, "nos": 12_345_678_901,
        "sol": 43_210_000, "nos_usd": 3_703_700_000, "sol_usd": None, "rate": 0.3, "rate_age": 7300,
        "rate_sources": ["one"], "credits": None, "today": 1, "month": 2, "budgets": budgets,
        "each_cell": "$5", "can_fund": False, "qr": "101\n010\n101", "problem": None, **changes,
    }  # fmt: skip


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_looks_that_few_have(page: LabPage, theme: str) -> None:
    """
    Real money has its address and no play money, budgets say how much is left, an error says first
    what is wrong and then what to do, and a server without our extension is said once.
    """
    answers: dict[str, Any] = {"status": 200, "json": wallet()}
    page.page.route("**/nosana-jupyter/wallet*", lambda route: route.fulfill(**answers))
    page.open()
    page.theme(theme)
    page.panel()
    shown = page.section("wallet")
    expect(shown.locator(".nj-Badge")).to_have_text("mainnet")
    expect(shown.get_by_role("meter", name="Budget: This notebook")).to_have_attribute(
        "aria-valuenow", "20"
    )
    expect(shown).to_contain_text("Used up: new cells are refused until it is raised.")
    expect(shown).to_contain_text("Each cellat most $5")
    expect(shown.get_by_role("button", name="play money")).to_have_count(0)
    shown.get_by_role("button", name="Fund").click()
    expect(shown.get_by_role("img", name="QR code of the address")).to_be_visible()
    expect(shown.locator(".nj-Deposit-address")).to_contain_text(wallet()["address"])
    page.shot(f"wallet-mainnet-{theme.split()[1].lower()}")
    assert not page.violations()

    problem = {"message": "api.mainnet-beta.solana.com does not answer", "money": "", "kind": "",
               "hint": "Try again, or name another: `%nosana config rpc URL`"}  # fmt: skip
    answers["json"] = wallet(problem=problem, address="", up=False)
    page.panel()
    renewed(page)
    expect(shown.locator(".nj-Trouble-message")).to_have_text(problem["message"])
    expect(shown.locator(".nj-Trouble code")).to_have_text("%nosana config rpc URL")
    assert not page.violations()

    def gone(route: Route) -> None:
        route.fulfill(status=404, body="<html>404</html>")

    page.page.unroute("**/nosana-jupyter/wallet*")
    page.page.route("**/nosana-jupyter/*", gone)
    renewed(page)
    panel = page.page.locator(PANEL)
    expect(panel.locator(".nj-Trouble")).to_have_count(1)
    expect(panel).to_contain_text("does not run")
    assert not page.violations()
    page.page.unroute("**/nosana-jupyter/*")
    panel.get_by_role("button", name="Look again").click()
    expect(shown.locator(".nj-Badge")).to_have_text("local")
    page.errors = [each for each in page.errors if "404" not in each]


def renewed(page: LabPage) -> None:
    """Close the wallet and open it: then it is asked for again."""
    head = page.section("wallet").locator("h2 button")
    head.click()
    head.click()
