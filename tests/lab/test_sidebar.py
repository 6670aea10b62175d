"""The sidebar in a real JupyterLab, beside a local network: as a user clicks and reads."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest
from labs import ASSETS, PANEL, PATIENCE, Lab, LabPage, eventually
from playwright.sync_api import Browser, Locator, expect

pytestmark = [pytest.mark.browser, pytest.mark.network]

WAITS = """%%nosana --timeout 10m
import time
print("work has begun")
while True:
    time.sleep(0.1)"""

CELLS = ["%load_ext nosana_jupyter", WAITS]

expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture
def notebook(page: LabPage, name: str) -> Iterator[LabPage]:
    """A notebook whose second cell runs on a host until it is stopped; what it leaves is ended."""
    page.lab.write(name, CELLS)
    page.open(name)
    page.panel()
    page.run(0)
    expect(page.cell(0).locator(".jp-InputPrompt")).to_have_text("[1]:")
    yield page
    _, found = page.ask("jobs")
    for job in found["running"]:
        page.ask(f"jobs/{job['job'] or job['cell']}/stop", {"end": bool(job["job"])})
    eventually(lambda: not page.ask("jobs")[1]["running"])


def running(page: LabPage) -> Locator:
    """Run the cell; return its job, once its host works on it."""
    page.run(1)
    job = page.section("jobs").locator(".nj-Job")
    expect(job.locator(".nj-JobSign")).to_have_attribute("data-kind", "works")
    expect(page.cell(1)).to_contain_text("work has begun")
    return job


def address(job: Locator) -> str:
    return job.get_attribute("data-job") or ""


def test_sidebar_is_light() -> None:
    """The whole sidebar is less than 150 kB as it is sent, with React from JupyterLab itself."""
    scripts = list((ASSETS / "static").glob("*.js"))
    if not scripts:
        pytest.skip("the sidebar is not built: make labextension")
    sent = sum(len(gzip.compress(each.read_bytes())) for each in scripts)

    assert sent < 150_000
    assert not [each for each in scripts if b"react.production" in each.read_bytes()]


def test_first_paint(page: LabPage) -> None:
    """
    The panel is painted within 300 ms of the command that opens it; a kernel is not needed. What
    counts is how long the page itself was at work: how busy the machine is says nothing of it.
    """
    page.open()
    chromium = page.page.context.new_cdp_session(page.page)
    chromium.send("Performance.enable", {"timeDomain": "threadTicks"})

    def at_work() -> float:
        found = chromium.send("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in found if each["name"] == "TaskDuration")

    before = at_work()
    page.page.evaluate(
        """async panel => {
          await window.jupyterapp.commands.execute('nosana-jupyter:open');
          while (document.querySelectorAll(`${panel} section`).length < 4)
            await new Promise(requestAnimationFrame);
          await new Promise(requestAnimationFrame);
        }""",
        PANEL,
    )

    assert at_work() - before < 0.3


def test_fund(page: LabPage) -> None:
    """The faucet of a local network is one press away, and the new balance shows."""
    page.open()
    page.panel()
    wallet = page.section("wallet")
    expect(wallet.locator(".nj-Badge")).to_have_text("local")
    before = page.ask("wallet")[1]["nos"]

    wallet.get_by_role("button", name="Add 10 NOS of play money").click()

    amount = f"{(before + 10_000_000) / 1e6:,.0f} NOS"
    expect(wallet.locator(".nj-Money-main dd").first).to_have_text(amount)
    assert page.ask("wallet")[1]["nos"] == before + 10_000_000


def test_watch_stop_and_receipt(notebook: LabPage) -> None:
    """
    A cell shows what it does and costs while it runs; Stop interrupts it though its kernel is busy,
    and its receipt stands in the history.
    """
    job = running(notebook)
    name = address(job)
    cost = job.locator(".nj-Job-cost > span").first
    first = cost.inner_text()
    expect(cost).not_to_have_text(first)
    job.get_by_text("Log", exact=False).first.click()
    expect(job.locator("pre")).to_contain_text("work has begun")

    job.get_by_role("button", name="Stop").click()

    expect(job).to_have_count(0)
    expect(notebook.cell(1)).to_contain_text("KeyboardInterrupt")
    past = notebook.section("jobs").locator(f'.nj-Past[data-job="{name}"]')
    past.get_by_role("button").first.click()
    expect(past.locator("dl")).to_contain_text("interrupted")
    assert not notebook.violations()


def test_reload_mid_job(notebook: LabPage) -> None:
    """A page that is loaded again shows the job as it goes on, and stops it."""
    job = running(notebook)
    name, page = address(job), notebook.page
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    page.reload()
    notebook.ready()
    notebook.panel()

    expect(job).to_have_attribute("data-job", name)
    job.get_by_role("button", name="Stop").click()
    expect(job).to_have_count(0)


def test_kernel_restart_mid_job(notebook: LabPage) -> None:
    """
    A job whose kernel was restarted is still there, Attach brings it into the notebook, and the
    card of the cell that began it follows it to its end.
    """
    job = running(notebook)
    name = address(job)
    notebook.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )

    expect(job.locator(".nj-JobSign")).to_have_attribute("data-kind", "alone")
    expect(job).to_have_attribute("data-job", name)
    notebook.run(0)
    expect(notebook.cell(0).locator(".jp-InputPrompt")).to_have_text("[1]:")
    job.get_by_role("button", name="Attach").click()

    attached = notebook.page.locator(".jp-Cell", has_text=f"%nosana attach {name}")
    expect(attached.locator(".jp-OutputArea-output", has_text="work has begun")).to_be_visible()
    expect(job.locator(".nj-JobSign")).to_have_attribute("data-kind", "works")
    began = notebook.page.locator(".jp-Cell", has_text="%%nosana --timeout")
    card = began.locator(".nj-Card-state")
    expect(card).to_have_text("Running")

    job.get_by_role("button", name="Stop").click()
    expect(job).to_have_count(0)
    # Nothing is left of its kernel, and nobody else draws it.
    began.scroll_into_view_if_needed()
    expect(card).to_have_text("Interrupted")
    assert notebook.ask(f"jobs/{name}")[1]["state"] == "interrupted"


def test_two_tabs_agree(notebook: LabPage, browser: Browser) -> None:
    """What one tab sees the other sees, and what one stops is over in both."""
    job = running(notebook)
    with notebook.lab.page(browser) as other:
        other.open()
        other.panel()
        same = other.section("jobs").locator(".nj-Job")
        expect(same).to_have_attribute("data-job", address(job))

        same.get_by_role("button", name="Stop").click()

        expect(job).to_have_count(0)
        expect(same).to_have_count(0)


def test_hidden_panel_asks_nothing(notebook: LabPage) -> None:
    """A hidden panel asks for nothing while jobs come and go, and knows all when it is shown."""
    notebook.command("application:toggle-left-area")
    expect(notebook.page.locator(PANEL)).to_be_hidden()
    notebook.asked.clear()

    notebook.run(1)
    expect(notebook.page.locator(".nj-Status")).to_contain_text("1 job")
    expect(notebook.cell(1)).to_contain_text("work has begun")
    asked = list(notebook.asked)
    notebook.panel()

    assert asked == []
    expect(notebook.section("jobs").locator(".nj-Job")).to_have_count(1)


def test_server_restart(lab: Lab, browser: Browser) -> None:
    """While the server is away the panel keeps what it showed and says so; then it goes on."""
    with lab.page(browser) as page:
        page.open()
        page.panel()
        money = page.section("wallet").locator(".nj-Money-main")
        expect(money).to_be_visible()

        lab.kill()
        lost = page.page.locator(".nj-Lost")
        expect(lost).to_contain_text("does not answer")
        expect(money).to_be_visible()
        lab.start()

        expect(lost).to_have_text("")
        expect(money).to_be_visible()
        page.errors.clear()  # That nobody answered stands in the console, rightly.


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_for_everyone(page: LabPage, theme: str) -> None:
    """axe finds nothing wrong in the panel, and all of it can be reached by keyboard."""
    page.open()
    page.theme(theme)
    panel = page.panel()
    expect(page.section("wallet").locator(".nj-Money-main")).to_be_visible()
    expect(panel.locator(".nj-Waiting")).to_have_count(0)

    assert not page.violations()

    page.command("nosana-jupyter:open", section="wallet")
    expect(page.section("wallet").locator("h2 button")).to_be_focused()
    page.page.keyboard.press("Enter")
    expect(page.section("wallet").locator(".nj-Section-body")).to_be_hidden()
    page.page.keyboard.press("Enter")
    page.page.keyboard.press("Tab")
    expect(page.section("wallet").get_by_role("button", name="Copy the address")).to_be_focused()


def test_setting_quiets_the_status_bar(page: LabPage) -> None:
    """Without the item of the status bar, and with the panel hidden, no connection is open."""
    page.open()
    expect(page.page.locator(".nj-Status")).to_be_visible()
    set_to = """async value => {
      const settings = window.jupyterapp.serviceManager.settings;
      await settings.save('nosana-jupyter:plugin', JSON.stringify({ statusBar: value }));
    }"""
    page.page.evaluate(set_to, False)
    try:
        page.open()
        page.asked.clear()
        page.command("application:toggle-left-area")
        page.page.wait_for_timeout(1500)

        assert page.asked == []
    finally:
        page.page.evaluate(set_to, True)
