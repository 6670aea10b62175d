"""
A real JupyterLab with our sidebar, and its page in Chromium.

Nothing is installed for it: the built sidebar and the server's configuration are found through
`JUPYTER_PATH` and `JUPYTER_CONFIG_DIR`. Of the page, whatever its console calls an error is kept.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, Locator, Page

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "nosana_jupyter" / "labextension"
AXE = ROOT / "labextension" / "node_modules" / "axe-core" / "axe.min.js"

PATIENCE = 45.0
"""Seconds that anything of a page may take."""

START = 150.0
"""The same for a server and all that it imports, while others read the same disk."""

T = TypeVar("T")

PANEL = "#nosana-jupyter-panel"

FLAGS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps",
]  # fmt: skip

ASK = """async ([path, data]) => {
  const settings = window.jupyterapp.serviceManager.serverSettings;
  const cookie = document.cookie.match(/_xsrf=([^;]+)/);
  const answer = await fetch(settings.baseUrl + path, {
    method: data === null ? 'GET' : 'POST',
    headers: { Authorization: `token ${settings.token}`, 'X-XSRFToken': cookie?.[1] ?? '' },
    body: data === null ? undefined : JSON.stringify(data)
  });
  return [answer.status, await answer.json()];
}"""


class Lab:
    """
    `jupyter lab` on a free port, with a settings folder of its own.

    Args:
        folder: Where its notebooks, settings and log lie.
        env: Its environment, and that of its kernels.
    """

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.root = folder / "notebooks"
        self.token = secrets.token_hex(16)
        self._folder = folder
        self._env = {**env, **self._folders(), "JUPYTER_TOKEN": self.token}
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        # Of another JupyterLab than the one that the tests' own Python has.
        self._python = os.environ.get("NOSANA_TESTS_LAB", sys.executable)
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _folders(self) -> dict[str, str]:
        data, config = self._folder / "share", self._folder / "etc"
        settings = self._folder / "settings" / "@jupyterlab" / "apputils-extension"
        for each in (self.root, data / "labextensions", config, settings):
            each.mkdir(parents=True, exist_ok=True)
        link = data / "labextensions" / "nosana-jupyter"
        if not link.exists():
            link.symlink_to(ASSETS)
        enabled = ROOT / "jupyter-config" / "server-config" / "nosana_jupyter.json"
        (config / "jupyter_server_config.json").write_text(enabled.read_text())
        quiet = {"fetchNews": "false", "checkForUpdates": False}
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
        return {
            "JUPYTER_PATH": str(data),
            "JUPYTER_CONFIG_DIR": str(config),
            "JUPYTER_DATA_DIR": str(self._folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(self._folder / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(self._folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self._folder / "workspaces"),
            "IPYTHONDIR": str(self._folder / "ipython"),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }

    def start(self) -> None:
        """Start it; once more, it has the port that it had."""
        runtime = self._folder / "runtime"
        for old in runtime.glob("jpserver-*.json"):
            old.unlink()
        with (self._folder / "lab.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._python, "-m", "jupyterlab", "--no-browser", "--allow-root",
                 f"--ServerApp.port={self._port}", "--ServerApp.port_retries=0",
                 f"--ServerApp.root_dir={self.root}", "--expose-app-in-browser",
                 "--LabApp.news_url=None",
                 "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"],
                env=self._env, cwd=self.root, stdout=log, stderr=log,
            )  # fmt: skip
        self._port = self._port or eventually(lambda: _port(runtime), START)
        eventually(self._answers, START)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            return httpx.get(f"{self.url}/api", timeout=PATIENCE).is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """`kill -9` the server; its kernels live on, but nobody finds them."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Stop it with its kernels."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def log(self) -> str:
        return (self._folder / "lab.log").read_text(errors="replace")

    def write(self, name: str, cells: Sequence[str]) -> None:
        """Write a notebook."""
        notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
        notebook.metadata["kernelspec"] = {
            "name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python",
        }  # fmt: skip
        nbformat.write(notebook, self.root / name)

    @contextmanager
    def page(self, browser: Browser, *, width: int = 1280, height: int = 900) -> Iterator[LabPage]:
        """Open a browser of one's own, with one page; its console may hold no error at the end."""
        context = browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce",
            permissions=["clipboard-read", "clipboard-write"],
        )  # fmt: skip
        context.set_default_timeout(PATIENCE * 1000)
        page = LabPage(self, context.new_page())
        try:
            yield page
            assert not page.errors, page.errors
        finally:
            context.close()


class LabPage:
    """A page of JupyterLab: `page` is Playwright's."""

    def __init__(self, lab: Lab, page: Page) -> None:
        self.lab = lab
        self.page = page
        self.errors: list[str] = []
        self.asked: list[str] = []
        """Paths below ours that were asked for, with their methods."""
        # What it says when a request is let go of, until somebody reads it.
        lost = page.locator(".jp-Dialog", has_text="Server Connection Error")
        page.add_locator_handler(lost, lambda dialog: dialog.get_by_role("button").last.click())
        page.on("console", lambda said: self._said(said.type, said.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._asks(request.method, request.url))
        page.on("websocket", lambda socket: self._asks("WEBSOCKET", socket.url))

    def _said(self, kind: str, text: str) -> None:
        # Chromium lets go of requests while networks of containers come and go beside it. Of comms
        # that a kernel has with another page, JupyterLab says that it does not know them.
        theirs = ("ERR_NETWORK_CHANGED", "Comm not found")
        if kind == "error" and not any(each in text for each in theirs):
            self.errors.append(text)

    def _asks(self, method: str, url: str) -> None:
        if "/nosana-jupyter/" in url and "/static/" not in url and "/schemas/" not in url:
            path = url.split("/nosana-jupyter/", 1)[1].split("?token")[0]
            self.asked.append(f"{method} {path}")

    def open(self, path: str = "", *, kernel: bool = True) -> None:
        """Open the page of a notebook, or of nothing, and wait until it can be worked with."""
        place = f"tree/{path}" if path else ""
        self.page.goto(f"{self.lab.url}/lab/{place}?reset&token={self.lab.token}")
        self.ready()
        if path and kernel:
            self.page.wait_for_function(
                "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session"
                "?.kernel?.status === 'idle'"
            )

    def ready(self) -> None:
        """Wait until a page that loads has all that was open in it."""
        self.page.wait_for_function("() => window.jupyterapp")
        self.page.evaluate("() => window.jupyterapp.restored.then(() => 1)")
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def command(self, name: str, **arguments: Any) -> None:
        """Execute a command, without waiting for its end."""
        self.page.evaluate(
            "([name, args]) => void window.jupyterapp.commands.execute(name, args)",
            [name, arguments],
        )

    def panel(self) -> Locator:
        """Show the panel; return it."""
        self.command("nosana-jupyter:open")
        panel = self.page.locator(PANEL)
        panel.wait_for()
        return panel

    def section(self, name: str) -> Locator:
        return self.page.locator(f'{PANEL} [data-name="{name}"]')

    def run(self, index: int) -> None:
        """Run a cell of the notebook in front, without waiting for its end."""
        self.page.evaluate(
            """index => {
              const { content, sessionContext } = window.jupyterapp.shell.currentWidget;
              content.activeCellIndex = index;
              content.deselectAll();
              content.mode = 'command';
            }""",
            index,
        )
        self.command("notebook:run-cell")

    def cell(self, index: int) -> Locator:
        return self.page.locator(".jp-Notebook >> visible=true").locator(".jp-Cell").nth(index)

    def ask(self, path: str, data: object = None) -> tuple[int, Any]:
        """Ask the server extension as the page does."""
        status, answer = self.page.evaluate(ASK, [f"nosana-jupyter/{path}", data])
        return status, answer

    def theme(self, name: str) -> None:
        """Change to `JupyterLab Dark`, and back."""
        dark = str("Dark" not in name).lower()
        self.command("apputils:change-theme", theme=name)
        self.page.wait_for_selector(f'body[data-jp-theme-light="{dark}"]', state="attached")

    def violations(self, where: str = PANEL) -> list[str]:
        """Return what axe finds wrong in a part of the page."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("where => axe.run(where)", where)
        return [
            f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
            for each in found["violations"]
            for node in each["nodes"]
        ]

    def shot(self, name: str, locator: Locator | None = None) -> None:
        """Keep a picture where `NOSANA_TESTS_SHOTS` says, for people to look at."""
        if folder := os.environ.get("NOSANA_TESTS_SHOTS"):
            (locator or self.page).screenshot(path=Path(folder) / f"{name}.png")


def eventually(look: Callable[[], T], patience: float = PATIENCE) -> T:
    """Look until there is something to see."""
    deadline = time.monotonic() + patience
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing came of {look}"
        time.sleep(0.05)
    return found


def _port(runtime: Path) -> int:
    for each in runtime.glob("jpserver-*.json"):
        try:
            return int(json.loads(each.read_text())["port"])
        except (ValueError, KeyError):
            continue  # It is being written.
    return 0
