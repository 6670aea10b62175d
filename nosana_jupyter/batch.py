"""
A notebook run from its first cell to its last in a kernel of its own, with nobody watching.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import (
    CellExecutionComplete,
    CellExecutionError,
    CellTimeoutError,
    DeadKernelError,
)

from .errors import NetworkError, UsageError
from .money.journal import Entry, Journal, owner_of
from .sanitize import line
from .terminal import shown

MIME = "application/vnd.nosana.job+json"

TWICE = 0.3
"""Seconds between two interrupts that end a job."""

SETTLING = 90
"""Seconds for ending the sessions that a notebook left open."""

FIGURES_EVERY = 30.0
"""Seconds after which a line of state is told again whose figures alone have changed."""

_FIGURES = re.compile(r"[\d.,:]+")

END = "get_ipython().run_line_magic('nosana', 'down --all')"

AUDITS = """
import sys
if (_found := sys.modules.get("nosana_jupyter.portal.aside")) is not None:
    _found.finish({seconds}, lambda text: print(f"nosana: {{text}}", file=sys.stderr))
"""
"""Waits for audits, as a cell of its own: what comes of them then goes to the cells they are of."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A cell of code, as a report has it."""

    number: int
    """Its place among all cells, from 1 on."""

    title: str
    """Its first line."""

    seconds: float = 0.0
    state: Literal["passed", "failed", "skipped"] = "skipped"
    text: str = ""
    """Why it failed."""


class Ended:
    """How a run ended, and what its kernel rented."""

    def __init__(self) -> None:
        self.error = ""
        """Name of what a cell raised; empty if none did."""

        self.text = ""
        self.cell = -1
        """Index of that cell."""

        self.interrupted = False
        self.terminated = False
        """Whether it was SIGTERM that interrupted it."""

        self.ran: list[Ran] = []
        """All its cells of code, with those that it did not come to."""

        self.entries: list[Entry] = []

    @property
    def executed(self) -> int:
        """How many cells ran to their end."""
        return sum(each.state == "passed" for each in self.ran)


class News:
    """What of a line of state is told: other words at once, other figures by and by."""

    def __init__(self) -> None:
        self._words = self._text = ""
        self._at = 0.0

    def new(self, text: str, now: float) -> bool:
        """
        Say whether to tell a text.

        Args:
            text: What the line of state says.
            now: When, in seconds.
        """
        words = _FIGURES.sub("#", text)
        if text == self._text or (words == self._words and now - self._at < FIGURES_EVERY):
            return False
        self._words, self._text, self._at = words, text, now
        return True


class _Client(NotebookClient):
    """Tells on stderr what the outputs say while they come."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._news = News()

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        kind, content = msg["msg_type"], msg["content"]
        if kind == "stream":
            sys.stderr.write(shown(content["text"]))
        card = content.get("data", {}).get(MIME) if isinstance(content.get("data"), dict) else None
        text = line(str(card.get("text", ""))) if isinstance(card, dict) else ""
        if text and self._news.new(text, time.monotonic()):
            prefix = "" if text.startswith("nosana: ") else "nosana: "
            sys.stderr.write(f"{prefix}{text}\n")
        sys.stderr.flush()
        return super().process_message(msg, cell, cell_index)

    async def _async_poll_output_msg(self, parent: str, cell: Any, cell_index: int) -> None:
        """Take what cells that are over show anew, too, which nbclient drops."""
        talk: Any = self.kc
        while True:
            msg = await talk.iopub_channel.get_msg(timeout=None)
            own = msg["parent_header"].get("msg_id") == parent
            if not own and msg["msg_type"] != "update_display_data":
                continue
            try:
                self.process_message(msg, cell, cell_index)
            except CellExecutionComplete:
                return


def read(path: Path) -> Any:
    """
    Read a notebook.

    Raises:
        UsageError: It is none.
    """
    try:
        return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, KeyError, AttributeError, nbformat.reader.NotJSONError) as error:
        raise UsageError(
            f"{path} is no notebook that can be read: {line(str(error))[:200]}",
            hint="Name an .ipynb file.",
        ) from None


def value(text: str) -> object:
    """Return what a parameter is: a literal of Python where it is one, else the text."""
    words = {"true": True, "false": False, "null": None}
    if text in words:
        return words[text]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def run(
    notebook: Any, folder: Path, *, timeout: int | None = None, environment: Mapping[str, str],
    audits: int = 1800,
) -> Ended:  # fmt: skip
    """
    Run all cells of a notebook, which keeps the outputs.

    Args:
        notebook: As `read` returned it.
        folder: In which it runs.
        timeout: Longest run of one cell, in seconds.
        audits: Longest wait for audits of cells that have ended, in seconds.
        environment: What its kernel finds beside what this process has.

    Raises:
        UsageError: There is no such kernel.
        NetworkError: The kernel died.
    """
    return asyncio.run(_run(notebook, folder, timeout, {**os.environ, **environment}, audits))


async def _run(
    notebook: Any, folder: Path, timeout: int | None, environment: Mapping[str, str], audits: int
) -> Ended:
    from jupyter_client.kernelspec import NoSuchKernel

    ended = Ended()
    client = _Client(
        notebook,
        timeout=timeout,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--InteractiveShellApp.extra_extensions=nosana_jupyter"],
    )
    try:
        async with client.async_setup_kernel(env=dict(environment)):
            kernel = client.km
            assert kernel is not None
            owner = owner_of(getattr(kernel.provisioner, "pid", 0) or 0)
            with _interrupting(kernel, ended):
                try:
                    await _cells(client, notebook, ended)
                    if not ended.interrupted and ended.error != "CellTimeout":
                        await _audited(client, notebook, audits)
                finally:
                    await _settle(client)
                    ended.entries = _of(owner)
    except NoSuchKernel as error:
        raise UsageError(f"there is no kernel {error.name!r} here", hint="Install it.") from None
    except DeadKernelError:
        raise NetworkError(
            "the kernel died", hint="%nosana sweep settles what it left behind."
        ) from None
    return ended


async def _cells(client: _Client, notebook: Any, ended: Ended) -> None:
    """Run the cells in order, up to the first that raises; note those after it as skipped."""
    total = len(notebook.cells)
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        ran = Ran(number + 1, line(cell.source.strip().partition("\n")[0])[:80])
        if not (ended.interrupted or ended.error):
            sys.stderr.write(f"[{ran.number}/{total}] {ran.title}\n")
            ran = await _cell(client, cell, ran, ended)
        ended.ran.append(ran)


async def _cell(client: _Client, cell: Any, ran: Ran, ended: Ended) -> Ran:
    """Run one cell; say how it went."""
    began = time.monotonic()
    try:
        await client.async_execute_cell(cell, ran.number - 1)
    except CellTimeoutError:
        ended.error, ended.cell = "CellTimeout", ran.number - 1
        ended.text = f"cell {ran.number} ran longer than {client.timeout} s"
        # A kernel that is busy would not settle what is left open.
        await _press(client.km, 0)
        await _press(client.km, TWICE)
    except CellExecutionError as error:
        ended.error, ended.cell = error.ename, ran.number - 1
        ended.text = _tail(cell) or f"{error.ename}: {error.evalue}"
    failed = bool(ended.error)
    return replace(
        ran, seconds=time.monotonic() - began, state="failed" if failed else "passed",
        text=ended.text if failed else "",
    )  # fmt: skip


async def _audited(client: _Client, notebook: Any, seconds: int) -> None:
    """Wait for the audits of cells that have ended."""
    cell = nbformat.v4.new_code_cell(AUDITS.format(seconds=seconds))  # type: ignore[no-untyped-call]
    client.timeout = None  # It has its own.
    notebook.cells.append(cell)
    try:
        await client.async_execute_cell(cell, len(notebook.cells) - 1, store_history=False)
    except CellExecutionError:
        pass  # Ctrl-C: they are given up.
    finally:
        notebook.cells.pop()


async def _settle(client: _Client) -> None:
    """End the sessions that are left; a kernel that is gone or stuck leaves them to their lease."""
    talk: Any = client.kc
    with contextlib.suppress(TimeoutError, RuntimeError, DeadKernelError):
        asked = talk.execute(
            f"import sys\nif 'nosana_jupyter.sessions.keeping' in sys.modules: {END}",
            silent=True,
            store_history=False,
        )
        async with asyncio.timeout(SETTLING):
            # What answers to a cell that was given up comes first.
            while (await talk.get_shell_msg())["parent_header"].get("msg_id") != asked:
                pass


@contextlib.contextmanager
def _interrupting(kernel: Any, ended: Ended) -> Iterator[None]:
    """Hand Ctrl-C on to the kernel: the first interrupts a cell, the second ends its job."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[Any]] = set()

    def press(times: int) -> None:
        ended.interrupted = True
        ended.terminated |= times > 1
        for _ in range(times):
            tasks.add(loop.create_task(_press(kernel, TWICE * len(tasks) if times > 1 else 0)))

    loop.add_signal_handler(signal.SIGINT, press, 1)
    loop.add_signal_handler(signal.SIGTERM, press, 2)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)


async def _press(kernel: Any, after: float) -> None:
    await asyncio.sleep(after)
    done = kernel.interrupt_kernel()
    if asyncio.iscoroutine(done):
        await done


def _of(owner: str) -> list[Entry]:
    """Return the jobs that a process posted, oldest first."""
    if not owner:
        return []
    journal = Journal()
    try:
        return journal.of(owner)
    finally:
        journal.close()


def _tail(cell: Any) -> str:
    """Return the last traceback of a cell as text."""
    found = [each for each in cell.outputs if each.output_type == "error"]
    return shown("\n".join(found[-1].traceback)) if found else ""


def write(notebook: Any, path: Path) -> None:
    """
    Write a notebook, whole or not at all.

    Raises:
        UsageError: It cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        nbformat.write(notebook, draft)  # type: ignore[no-untyped-call]
        draft.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint="Name another with --output."
        ) from None
