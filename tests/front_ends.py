"""Front ends that run the same cells: a kernel's client, nbclient, a bare client, a terminal."""

from __future__ import annotations

import ast
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import nbclient
import nbformat
import pexpect
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

PATIENCE = 60.0
"""Seconds that any one cell may take."""

CARD = "application/vnd.nosana.job+json"

ANSI = re.compile(r"\x1b\[[0-9;:?]*[A-Za-z]")

BARE = frozenset(
    "status execute_input stream display_data update_display_data execute_result error "
    "clear_output".split()
)
"""All that a front end without widgets and extensions knows."""

Data = dict[str, Any]


@dataclass
class Shown:
    """What a front end shows under a cell, once it has ended."""

    outputs: list[Data] = field(default_factory=list)
    """In nbformat's form."""

    messages: list[tuple[str, Data]] = field(default_factory=list)
    """Kinds and contents as they came, where the front end tells."""

    screen: str = ""
    """All of it as text, where there is nothing but text."""

    count: int = 0

    def stream(self, name: str) -> str:
        """Return one stream's text."""
        texts = [each["text"] for each in self.outputs if each.get("name") == name]
        return "".join(texts) or self.screen

    @property
    def displays(self) -> list[Data]:
        """What is displayed, but for the job card."""
        found = [each["data"] for each in self.outputs if each["output_type"] == "display_data"]
        return [data for data in found if CARD not in data]

    @property
    def cards(self) -> list[Data]:
        """The job cards."""
        found = [each["data"] for each in self.outputs if each["output_type"] == "display_data"]
        return [data for data in found if CARD in data]

    @property
    def result(self) -> Data:
        """The last expression."""
        for each in self.outputs:
            if each["output_type"] == "execute_result":
                return dict(each["data"])
        return {"text/plain": self.screen}

    @property
    def error(self) -> Data | None:
        """What was raised."""
        found = [each for each in self.outputs if each["output_type"] == "error"]
        return found[0] if found else None

    @property
    def traceback(self) -> str:
        """The traceback as text without colours."""
        return plain("\n".join(self.error["traceback"]) if self.error else self.screen)

    @property
    def text(self) -> str:
        """Everything that can be read."""
        parts = [self.screen]
        for each in self.outputs:
            parts.append(each.get("text", ""))
            parts.append(each.get("data", {}).get("text/plain", ""))
            parts.append("\n".join(each.get("traceback", [])))
        return plain("\n".join(parts))


def plain(text: str) -> str:
    """Return text without colours."""
    return ANSI.sub("", text)


def environment(home: str, folder: str) -> dict[str, str]:
    """Return an environment in which nothing is read from the user's own folders."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NOSANA")}
    return {
        **kept,
        "NOSANA_JUPYTER_HOME": home,
        # Engine or not, what is tested is the same.
        "NOSANA_EXECUTOR": "process",
        "IPYTHONDIR": f"{folder}/ipython",
        "JUPYTER_CONFIG_DIR": f"{folder}/config",
        "JUPYTER_DATA_DIR": f"{folder}/data",
        "JUPYTER_RUNTIME_DIR": f"{folder}/runtime",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONWARNINGS": "default",
        "COLUMNS": "200",
        "TERM": "xterm",
    }


class Kernel:
    """
    A real kernel, and a front end of the simplest kind: it applies what it gets to a list of
    outputs.

    Args:
        env: The kernel's environment.
        bare: Fail on anything that a front end without widgets and extensions does not know.
    """

    def __init__(self, env: dict[str, str], *, bare: bool = False) -> None:
        self.bare = bare
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(env=env, cwd=env["IPYTHONDIR"].rpartition("/")[0])
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)
        self._by_id: dict[str, list[Data]] = {}

    def run(self, source: str) -> Shown:
        """Run a cell to its end."""
        return self.follow(self.begin(source))

    def begin(self, source: str) -> str:
        """Start a cell; return its message's id."""
        return str(self.client.execute(source, allow_stdin=False, stop_on_error=False))

    def follow(self, ident: str, *, until: str = "") -> Shown:
        """Take what comes for a cell, to its end or until a text is among it."""
        shown = Shown()
        clear = False
        deadline = time.monotonic() + PATIENCE
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.1, deadline - time.monotonic()))
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != ident:
                continue
            if self.bare:
                assert kind in BARE, f"{kind}: {content}"
            shown.messages.append((kind, content))
            match kind:
                case "status" if content["execution_state"] == "idle":
                    break
                case "status" | "execute_input":
                    shown.count = content.get("execution_count", shown.count)
                    continue
                case "clear_output":
                    clear = True
                    if not content["wait"]:
                        shown.outputs.clear()
                        clear = False
                    continue
                case "update_display_data":
                    for output in self._by_id.get(content["transient"]["display_id"], []):
                        output["data"] = content["data"]
                case _:
                    if clear:
                        shown.outputs.clear()
                        clear = False
                    self._add(shown, kind, content)
            if until and until in shown.text:
                break
        return shown

    def _add(self, shown: Shown, kind: str, content: Data) -> None:
        last = shown.outputs[-1] if shown.outputs else {}
        if kind == "stream" and last.get("name") == content["name"]:
            last["text"] += content["text"]
            return
        if self.bare and kind == "display_data":
            assert "text/plain" in content["data"] or "image/png" in content["data"]
            assert not any("widget" in mime for mime in content["data"])
        output = {"output_type": kind, **content}
        if ident := content.get("transient", {}).get("display_id"):
            self._by_id.setdefault(ident, []).append(output)
        shown.outputs.append(output)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.manager.interrupt_kernel()

    def close(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


class Executed:
    """
    nbclient, as nbconvert and CI use it. Keeps one kernel over its cells.

    Args:
        env: The kernel's environment.
    """

    def __init__(self, env: dict[str, str]) -> None:
        self.notebook = nbformat.v4.new_notebook()
        self.client = nbclient.NotebookClient(
            self.notebook, timeout=int(PATIENCE), kernel_name="python3", allow_errors=True,
            store_widget_state=False,
        )  # fmt: skip
        self.client.create_kernel_manager()
        self.client.start_new_kernel(env=env, cwd=env["IPYTHONDIR"].rpartition("/")[0])
        self.client.start_new_kernel_client()

    def run(self, source: str) -> Shown:
        """Run a cell to its end."""
        cell = nbformat.v4.new_code_cell(source)
        self.notebook.cells.append(cell)
        done = self.client.execute_cell(cell, len(self.notebook.cells) - 1, store_history=True)
        nbformat.validate(self.notebook)
        return Shown(outputs=list(done["outputs"]), count=done["execution_count"])

    def close(self) -> None:
        """End the kernel."""
        self.client._cleanup_kernel()


class Terminal:
    """
    `ipython --simple-prompt` in a pseudo-terminal.

    Args:
        env: Its environment.
    """

    def __init__(self, env: dict[str, str]) -> None:
        self.count = 0
        self.child: pexpect.spawn[str] = pexpect.spawn(
            sys.executable,
            ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=nocolor",
             "--no-confirm-exit"],
            env={**env, "MPLBACKEND": "agg"}, encoding="utf-8", echo=False, timeout=PATIENCE,
            dimensions=(50, 200), cwd=env["IPYTHONDIR"].rpartition("/")[0],
        )  # fmt: skip
        self._prompt()

    def run(self, source: str) -> Shown:
        """Type a cell, or the statements of plain Python; return what the last of it shows."""
        for part in self._parts(source):
            self.begin(part)
            shown = self.follow()
        return shown

    def begin(self, source: str) -> None:
        """Type a cell of one statement."""
        assert "\n\n" not in source, "an empty line ends a cell"
        lines = source.splitlines()
        if source.startswith("%%"):
            lines += ["", ""]
        elif len(lines) > 1:
            lines += [""]
        self.child.sendline(lines[0])
        for line in lines[1:]:
            self.child.expect_exact(["...: "])
            self.child.sendline(line)

    def follow(self, *, until: str = "") -> Shown:
        """Return what is written up to the next prompt, or up to a text."""
        if until:
            self.child.expect_exact([until])
            return Shown(screen=(self.child.before or "") + until)
        return self._prompt()

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.child.sendintr()

    def close(self) -> None:
        """End it."""
        self.child.close(force=True)

    def _parts(self, source: str) -> list[str]:
        if source.startswith("%") or source.endswith("?"):
            return [source]
        return [ast.get_source_segment(source, node) or "" for node in ast.parse(source).body]

    def _prompt(self) -> Shown:
        self.child.expect([r"\r?\nIn \[(\d+)\]: |^In \[(\d+)\]: "])
        count = int(self.child.match.group(1) or self.child.match.group(2))
        text = (self.child.before or "").replace("\r\n", "\n")
        return Shown(screen=plain(text), count=count - 1)


def opened(kind: str, env: dict[str, str]) -> Iterator[Kernel | Executed | Terminal]:
    """Open a front end, and close it."""
    made: Kernel | Executed | Terminal
    match kind:
        case "kernel":
            made = Kernel(env)
        case "bare":
            made = Kernel(env, bare=True)
        case "nbclient":
            made = Executed(env)
        case _:
            made = Terminal(env)
    try:
        yield made
    finally:
        made.close()
