"""
A notebook run from its first cell to its last in a kernel of its own, with nobody watching.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from .errors import NetworkError, UsageError
from .journal import Entry, Journal, owner_of
from .sanitize import line, terminal

MIME = "application/vnd.nosana.job+json"

PARAMETERS = "parameters"
INJECTED = "injected-parameters"

SETTLING = 90
"""Seconds for ending the sessions that a notebook left open."""

END = "get_ipython().run_line_magic('nosana', 'down --all')"


class Ended:
    """How a run ended, and what its kernel rented."""

    def __init__(self) -> None:
        self.error = ""
        """Name of what a cell raised; empty if none did."""

        self.text = ""
        self.cell = -1
        """Index of that cell."""

        self.interrupted = False
        self.executed = 0
        self.entries: list[Entry] = []


class _Client(NotebookClient):
    """Tells on stderr what the outputs say while they come."""

    said = ""

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        kind, content = msg["msg_type"], msg["content"]
        if kind == "stream":
            sys.stderr.write(terminal(content["text"]))
        card = content.get("data", {}).get(MIME) if isinstance(content.get("data"), dict) else None
        if isinstance(card, dict) and (text := line(str(card.get("text", "")))) != self.said:
            self.said = text
            prefix = "" if text.startswith("nosana: ") else "nosana: "
            sys.stderr.write(f"{prefix}{text}\n")
        sys.stderr.flush()
        return super().process_message(msg, cell, cell_index)


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


def inject(notebook: Any, parameters: Mapping[str, object]) -> None:
    """
    Put a cell with parameters below the one tagged `parameters`, or at the top.

    Raises:
        UsageError: One has no name that Python knows.
    """
    for name in parameters:
        if not name.isidentifier():
            raise UsageError(f"parameter {name!r} is no name", hint="Write -p NAME VALUE.")
    if not parameters:
        return
    source = "\n".join(
        ["# Parameters", *(f"{name} = {each!r}" for name, each in parameters.items())]
    )
    made = nbformat.v4.new_code_cell(source, metadata={"tags": [INJECTED]})  # type: ignore[no-untyped-call]
    if notebook.nbformat_minor < 5:
        made.pop("id", None)
    cells = [each for each in notebook.cells if INJECTED not in _tags(each)]
    at = next((number + 1 for number, each in enumerate(cells) if PARAMETERS in _tags(each)), 0)
    notebook.cells = [*cells[:at], made, *cells[at:]]


def run(
    notebook: Any, folder: Path, *, timeout: int | None = None, environment: Mapping[str, str]
) -> Ended:
    """
    Run all cells of a notebook, which keeps the outputs.

    Args:
        notebook: As `read` returned it.
        folder: In which it runs.
        timeout: Longest run of one cell, in seconds.
        environment: What its kernel finds beside what this process has.

    Raises:
        UsageError: There is no such kernel.
        NetworkError: The kernel died.
    """
    return asyncio.run(_run(notebook, folder, timeout, {**os.environ, **environment}))


async def _run(
    notebook: Any, folder: Path, timeout: int | None, environment: Mapping[str, str]
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
    """Run the cells in order, up to the first that raises."""
    total = len(notebook.cells)
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if ended.interrupted:
            return
        first = line(cell.source.strip().partition("\n")[0])[:80]
        sys.stderr.write(f"[{number + 1}/{total}] {first}\n")
        try:
            await client.async_execute_cell(cell, number)
            ended.executed += 1
        except CellTimeoutError:
            ended.error, ended.cell = "TimeoutError", number
            ended.text = f"cell {number + 1} ran longer than {client.timeout} s"
            return
        except CellExecutionError as error:
            ended.error, ended.cell = error.ename, number
            ended.text = _tail(cell) or f"{error.ename}: {error.evalue}"
            return


async def _settle(client: _Client) -> None:
    """End the sessions that are left; a kernel that is gone or stuck leaves them to their lease."""
    talk: Any = client.kc
    with contextlib.suppress(TimeoutError, RuntimeError, DeadKernelError):
        talk.execute(
            f"import sys\nif 'nosana_jupyter.keeping' in sys.modules: {END}",
            silent=True,
            store_history=False,
        )
        await talk.get_shell_msg(timeout=SETTLING)


@contextlib.contextmanager
def _interrupting(kernel: Any, ended: Ended) -> Iterator[None]:
    """Hand Ctrl-C on to the kernel: the first interrupts a cell, the second ends its job."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[Any]] = set()

    def press(times: int) -> None:
        ended.interrupted = True
        for _ in range(times):
            tasks.add(loop.create_task(_press(kernel, 0.3 * len(tasks) if times > 1 else 0)))

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
    return terminal("\n".join(found[-1].traceback)) if found else ""


def _tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


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
