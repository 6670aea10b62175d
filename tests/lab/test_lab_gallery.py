"""The GPUs and Templates sections in a real JupyterLab: what they write into a notebook."""

from __future__ import annotations

from typing import Any

import pytest
from labs import PANEL, PATIENCE, LabPage, eventually
from playwright.sync_api import Locator, expect

pytestmark = [pytest.mark.browser, pytest.mark.network]

LOADS = """%%nosana --timeout 10m --vram 8  # mine
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained("Qwen/Qwen2.5-7B-Instruct", dtype="bfloat16")
model.to("cuda")"""

SOURCE = "index => window.jupyterapp.shell.currentWidget.content.widgets[index].model.sharedModel.getSource()"  # noqa: E501

expect.set_options(timeout=PATIENCE * 1000)


def opened(page: LabPage, name: str, *cells: str, only: str) -> Locator:
    """Open a notebook, and the panel with one section of it open."""
    page.lab.write(name, cells)
    page.open(name)
    closed = [each for each in ("wallet", "gpus", "jobs", "templates") if each != only]
    page.panel()
    for each in closed:
        head = page.section(each).locator("h2 button")
        if head.get_attribute("aria-expanded") == "true":
            head.click()
    return page.section(only)


def source(page: LabPage, index: int) -> str:
    return str(page.page.evaluate(SOURCE, index))


def widths(page: LabPage, *sizes: int) -> None:
    """Set how wide the panel is."""
    for size in sizes:
        page.page.evaluate(
            "([panel, size]) => { document.querySelector(panel).style.maxWidth = `${size}px`; }",
            [PANEL, size],
        )


def test_pick_gpu_for_the_cell(page: LabPage) -> None:
    """
    The selected cell is looked at as it is typed; a press writes a market into its magic line,
    where all else stays, and one undo takes it back.
    """
    gpus = opened(page, "pick.ipynb", LOADS, "x = 1", only="gpus")
    page.cell(0).locator(".cm-content").click()
    expect(gpus.locator(".nj-Estimate-line")).to_contain_text("GiB")
    expect(gpus.locator(".nj-Reasons")).to_contain_text("weights")
    slider = gpus.get_by_role("slider", name="GPU memory")
    needed = slider.get_attribute("aria-valuetext")
    first = gpus.locator(".nj-Market").first
    expect(first).to_contain_text("NOS/h")
    page.shot("gpus")
    assert not page.violations()

    slider.focus()
    slider.press("ArrowRight")
    expect(slider).not_to_have_attribute("aria-valuetext", needed or "")
    wanted = (slider.get_attribute("aria-valuetext") or "").removesuffix(" GiB")
    expect(gpus.get_by_role("button", name=f"Use {wanted} GiB")).to_be_enabled()
    eventually(lambda: float(first.inner_text().split(" GiB")[0].split()[-1]) >= float(wanted))
    gpus.locator(".nj-Market-use").first.click()

    expect(first).to_have_attribute("data-chosen", "true")
    head, _, rest = source(page, 0).partition("\n")
    words = head.split()
    assert words[:4] == ["%%nosana", "--timeout", "10m", "--vram"]
    assert words[4] == wanted
    assert words[5] == "--market"
    assert head.endswith("# mine")
    assert rest == LOADS.partition("\n")[2]
    page.cell(0).locator(".cm-content").click()
    page.page.keyboard.press("Control+z")
    assert source(page, 0) == LOADS

    page.cell(1).locator(".cm-content").click()
    expect(gpus.locator(".nj-Estimate-line")).to_contain_text("needs no GPU memory")
    gpus.get_by_role("button", name="Use any card").click()
    assert source(page, 1) == "%%nosana\nx = 1"
    page.theme("JupyterLab Dark")
    page.cell(0).locator(".cm-content").click()
    expect(gpus.locator(".nj-Reasons")).to_be_visible()
    widths(page, 260)
    page.shot("gpus-dark-narrow")
    assert not page.violations()


def test_hidden_section_looks_at_no_cell(page: LabPage) -> None:
    """While the section is closed, what is typed is not sent; it is when it opens."""
    gpus = opened(page, "hidden.ipynb", "x = 1", only="gpus")
    gpus.locator("h2 button").click()
    page.asked.clear()
    page.cell(0).locator(".cm-content").click()
    page.page.keyboard.press("Control+Home")
    page.page.keyboard.type("y = 2\n")
    page.page.wait_for_timeout(1000)  # Longer than a pause in typing lasts.
    assert not [each for each in page.asked if "needs" in each]

    gpus.locator("h2 button").click()
    expect(gpus.locator(".nj-Estimate-line")).to_contain_text("needs no GPU memory")


def test_template_by_form(page: LabPage) -> None:
    """A form says what is wrong beside its field; what is right goes into the notebook and runs."""
    templates = opened(page, "form.ipynb", "%load_ext nosana_jupyter", only="templates")
    page.run(0)
    expect(page.cell(0).locator(".jp-InputPrompt")).to_have_text("[1]:")
    templates.get_by_role("searchbox").fill("gpu hello")
    expect(templates.locator(".nj-Template")).to_have_count(1)
    page.shot("templates")
    assert not page.violations()
    templates.locator('[data-template="hello-gpu"]').click()
    field = templates.get_by_label("size")
    expect(field).to_have_value("4096")
    field.fill("0")
    insert = templates.get_by_role("button", name="Insert", exact=True)
    insert.click()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    expect(templates).to_contain_text("From 1 to 32768.")
    assert not page.violations()
    page.shot("template-form")

    field.fill("32")
    insert.click()

    expect(templates.get_by_role("status").last).to_contain_text("Nothing runs until you run it")
    cells = page.page.locator(".jp-Notebook .jp-Cell")
    count = cells.count()
    eventually(lambda: source(page, count - 1).startswith("%%nosana"))
    assert "size = 32" in source(page, count - 1)
    page.run(count - 1)
    expect(page.cell(count - 1)).to_contain_text("GFLOPS")
    expect(page.cell(count - 1).locator(".nj-Card-state")).to_have_text("Done")
    page.shot("template-run")


def test_template_saved_shared_and_taken_back(page: LabPage) -> None:
    """
    A cell becomes a template, is shared by its content id, removed, and taken from there again:
    then its author and code come before its form.
    """
    templates = opened(page, "own.ipynb", "%%nosana --vram 8\nprint('mine')", only="templates")
    page.cell(0).locator(".cm-content").click()
    try:
        templates.get_by_role("button", name="Save this cell…").click()
        templates.get_by_label("Title").fill("Of the Gallery")
        expect(templates.get_by_label("Name")).to_have_value("of-the-gallery")
        assert not page.violations()
        templates.get_by_role("button", name="Save").click()
        expect(templates.get_by_role("heading", name="Of the Gallery")).to_be_visible()
        templates.get_by_role("button", name="Share…").click()
        expect(templates).to_contain_text("cannot be taken back")
        templates.get_by_role("button", name="Sign and share").click()
        address = templates.locator(".nj-Address code").inner_text()
        assert address.startswith("ipfs://")
        templates.get_by_role("button", name="Remove…").click()
        templates.get_by_role("button", name="Remove", exact=True).click()
        expect(templates.locator('[data-template="of-the-gallery"]')).to_have_count(0)

        templates.get_by_role("button", name="Import…").click()
        templates.get_by_label("Address").fill(address)
        templates.get_by_role("button", name="Import", exact=True).click()
        expect(templates).to_contain_text("Somebody else made this.")
        expect(templates.locator(".nj-Code pre")).to_contain_text("print('mine')")
        code, form = templates.locator(".nj-Code"), templates.locator(".nj-Form")
        assert top(code) < top(form)
        assert page.page.locator(".jp-Notebook .jp-Cell").count() == 1
        page.shot("template-foreign")
        assert not page.violations()
    finally:
        # The shelf is that of the network, which other tests use.
        page.page.evaluate(REMOVE)


REMOVE = """async () => {
  const { serverSettings } = window.jupyterapp.serviceManager;
  const cookie = document.cookie.match(/_xsrf=([^;]+)/);
  await fetch(`${serverSettings.baseUrl}nosana-jupyter/templates/of-the-gallery`, {
    method: 'DELETE',
    headers: { Authorization: `token ${serverSettings.token}`, 'X-XSRFToken': cookie?.[1] ?? '' }
  });
}"""


def top(locator: Locator) -> float:
    box: Any = locator.bounding_box()
    return float(box["y"])
