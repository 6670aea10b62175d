"""A browser, and a JupyterLab beside a local network."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator

import pytest
from labs import ASSETS, AXE, FLAGS, Lab, LabPage
from local_networks import LocalNetwork
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """
    Chromium, without a window.

    It lives as long as a module: as long as it does, a loop runs in this thread.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium is installed")
    if not (ASSETS / "package.json").exists() or not AXE.exists():
        pytest.skip("the sidebar is not built: make labextension")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, chromium_sandbox=False, args=FLAGS
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lab(session_network: LocalNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab with our sidebar, beside the network that tests share."""
    lab = Lab(tmp_path_factory.mktemp("lab"), session_network.environment)
    yield lab
    lab.stop()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """The name of a notebook, of this attempt alone: its kernel outlives its page."""
    return f"{request.node.name}-{secrets.token_hex(4)}.ipynb"


@pytest.fixture
def page(lab: Lab, browser: Browser, request: pytest.FixtureRequest) -> Iterator[LabPage]:
    """A page of a browser of its own; how it looks when its test is over is kept."""
    with lab.page(browser) as page:
        yield page
        page.shot(re.sub(r"\W+", "-", request.node.name).strip("-").lower())
