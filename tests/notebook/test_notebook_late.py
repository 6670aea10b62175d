"""What cells leave behind speaks between cells too: at once, under its own cell, within bounds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from front_ends import PATIENCE, Data, Shown, environment, plain
from lab_server import LabKernel, LabServer, environment_of_server

pytestmark = [pytest.mark.kernel, pytest.mark.network]


@pytest.fixture(scope="module")
def lab(notebook_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabKernel]:
    """A kernel behind a server, with a session."""
    folder = tmp_path_factory.mktemp("late")
    (folder / "ipython").mkdir()
    (folder / "root").mkdir()
    env = environment_of_server(environment(str(notebook_home), str(folder)))
    server = LabServer(env, folder / "root")
    kernel = server.open()
    try:
        kernel.run("%load_ext nosana_jupyter")
        assert kernel.run("%nosana up late").error is None
        yield kernel
        assert "refunded" in kernel.run("%nosana down").text
    finally:
        kernel.close()
        server.close()


class Page:
    """What a page shows: each cell's outputs, whenever they come."""

    def __init__(self, lab: LabKernel) -> None:
        self._lab = lab
        self.cells: dict[str, Shown] = {}
        self.idle: set[str] = set()
        self._clearing: set[str] = set()

    def begin(self, source: str, *, stop: bool = False) -> Shown:
        ident = str(self._lab.client.execute(source, stop_on_error=stop))
        self.cells[ident] = Shown(screen=ident)
        return self.cells[ident]

    def run(self, source: str) -> Shown:
        cell = self.begin(source)
        self.until(lambda: cell.screen in self.idle)
        return cell

    def until(self, done: object) -> None:
        """Take what comes until a condition holds."""
        assert callable(done)
        deadline = time.monotonic() + PATIENCE
        while not done():
            message = self._lab.client.get_iopub_msg(timeout=max(0.1, deadline - time.monotonic()))
            cell = self.cells.get(message["parent_header"].get("msg_id", ""))
            if cell is not None:
                self._take(cell, message["msg_type"], message["content"])

    def _take(self, cell: Shown, kind: str, content: Data) -> None:
        if kind == "status":
            if content["execution_state"] == "idle":
                self.idle.add(cell.screen)
        elif kind == "clear_output":
            self._clearing.add(cell.screen)
        elif kind == "update_display_data":
            for output in self._lab._by_id.get(content["transient"]["display_id"], []):
                output["data"] = content["data"]
        elif kind != "execute_input":
            if cell.screen in self._clearing:
                self._clearing.discard(cell.screen)
                cell.outputs.clear()
            self._lab._add(cell, kind, content)


@pytest.fixture
def page(lab: LabKernel) -> Page:
    return Page(lab)


def test_it_is_live(page: Page) -> None:
    """
    Threads, tasks, loggers and children go on, and are seen while the kernel is idle, or busy with
    a local cell: under the cell they are from.
    """
    first = page.run(
        "%%nosana\n"
        "import asyncio, logging, subprocess, threading\n"
        "async def work():\n"
        "    await asyncio.sleep(0.2)\n"
        "    print('a task')\n"
        "    display('shown')\n"
        "task = asyncio.create_task(work())\n"
        "threading.Timer(0.2, print, ['a thread']).start()\n"
        "threading.Timer(0.2, logging.warning, ['a logger']).start()\n"
        "child = subprocess.Popen(['sh', '-c', 'sleep 0.4; echo a child'])"
    )
    said = ("a task", "a thread", "a logger", "a child")
    page.until(lambda: all(each in first.text for each in said) and first.displays)

    go = "threading.Timer(0.2, print, ['meanwhile']).start()"
    second = page.run(f"%%nosana\n{go}")
    local = page.begin("import time\ntime.sleep(1.5)\nprint('local')")
    page.until(lambda: "meanwhile" in second.text)
    assert local.screen not in page.idle
    page.until(lambda: local.screen in page.idle)

    assert local.stream("stdout") == "local\n"
    assert all(first.text.count(each) == 1 for each in said)
    assert second.text.count("meanwhile") == 1


def test_a_burst_of_a_thread(page: Page, lab: LabKernel) -> None:
    """
    100,000 lines of a thread: head and tail under its cell, all of it in a file beside the
    notebook; other cells run, and show what is theirs.
    """
    first = page.run(
        "%%nosana\nimport threading\n"
        "def work():\n"
        "    for i in range(100_000): print('x' * 65, i)\n"
        "threading.Timer(0.1, work).start()"
    )
    second = page.run("%%nosana\nprint('second')")
    third = page.run("print('third')")
    page.until(lambda: any("nosana-output" in each.get("text/html", "") for each in first.displays))

    assert second.stream("stdout") == "second\n"
    assert third.stream("stdout") == "third\n"
    line = "x" * 65
    head, _, tail = first.stream("stdout").partition("\n[…]\n")
    assert len(head) == 2_000_000
    assert head.startswith(f"{line} 0\n{line} 1\n")
    assert tail.rstrip().endswith(f"{line} 99999")
    [found] = (lab.server.root / "work/nosana-output").glob("*.txt")
    assert found.read_text() == "".join(f"{line} {i}\n" for i in range(100_000))


def test_a_thread_clears_what_it_shows(page: Page) -> None:
    """
    `clear_output(wait)` in a loop inside a thread leaves the last turn, also after its cell.
    """
    first = page.run(
        "%%nosana\nimport threading, time\nfrom IPython.display import clear_output\n"
        "def work():\n"
        "    for i in range(30):\n"
        "        clear_output(wait=True)\n"
        "        print('turn', i)\n"
        "        time.sleep(0.02)\n"
        "    print('over')\n"
        "threading.Thread(target=work).start()\n"
        "time.sleep(0.2)"
    )
    page.until(lambda: "over" in first.text)

    assert first.stream("stdout") == "turn 29\nover\n"


def test_a_display_of_an_earlier_cell(page: Page) -> None:
    """A later cell of the session updates what an earlier one has displayed, where it is."""
    first = page.run("%%nosana\nhandle = display('before', display_id=True)")
    second = page.run("%%nosana\nhandle.update('after')")
    local = page.run("print('local')")

    assert [each["text/plain"] for each in first.displays] == ["'after'"]
    assert second.displays == []
    assert local.stream("stdout") == "local\n"


def interrupted(page: Page, lab: LabKernel, source: str, until: str) -> Shown:
    """Interrupt a cell once it has said something."""
    shown = page.begin(f"%%nosana\n{source}")
    page.until(lambda: until in shown.text)
    lab.interrupt()
    page.until(lambda: shown.screen in page.idle)
    assert shown.error is not None
    assert shown.error["ename"] == "KeyboardInterrupt"
    return shown


def test_a_burst_that_is_interrupted(page: Page, lab: LabKernel) -> None:
    """What a cell had said by then is there, from its first line on, and the session goes on."""
    shown = interrupted(
        page,
        lab,
        "n = 0\nwhile True:\n    print(n)\n    n += 1",
        "\n999\n",
    )
    lines = shown.stream("stdout").partition("\n[…]\n")[0].splitlines()
    assert lines[:1000] == [str(n) for n in range(1000)]
    assert page.run("%%nosana\nprint('on')").stream("stdout") == "on\n"


def test_a_bar_that_is_interrupted(page: Page, lab: LabKernel) -> None:
    """A progress bar stays as it was, on a line of its own, and the traceback follows."""
    shown = interrupted(
        page,
        lab,
        "import time\nfrom tqdm import tqdm\nfor i in tqdm(range(1000)):\n    time.sleep(0.02)",
        "10/1000",
    )
    bar = shown.stream("stderr").replace("\r\n", "\n")
    assert bar.startswith(("\r  0%", "  0%"))
    assert bar.endswith("\n")
    assert "/1000 [" in bar.rpartition("\r")[2]
    assert "KeyboardInterrupt" in shown.traceback
    assert "time.sleep(0.02)" in shown.traceback


def test_c_and_python_take_turns(page: Page) -> None:
    """What a C library writes and flushes comes before what Python writes next, on both streams."""
    shown = page.run(
        "%%nosana\nimport ctypes, sys\nlibc = ctypes.CDLL(None)\n"
        "for i in range(20):\n"
        "    libc.puts(b'c %d' % i); libc.fflush(None)\n"
        "    print('python', i)\n"
        "    print('error', i, file=sys.stderr)"
    )
    said = "".join(f"c {i}\npython {i}\n" for i in range(20))
    assert shown.stream("stdout").startswith(said)
    assert shown.stream("stderr") == "".join(f"error {i}\n" for i in range(20))


def test_a_group_through_rich(page: Page) -> None:
    """rich draws a group with the notes in it, and what it has caused, which names the failure."""
    shown = page.run(
        "%%nosana --pip rich\nfrom rich.traceback import install\n_ = install(width=100)\n"
        "inner = ValueError('inner')\ninner.add_note('a note')\n"
        "group = ExceptionGroup('many', [inner, TypeError('other')])\n"
        "try:\n    raise group\nexcept ExceptionGroup as error:\n"
        "    raise RuntimeError('top') from error"
    )
    text = plain(shown.text)
    said = ("ExceptionGroup: many", "ValueError: inner", "a note",
            "TypeError: other", "direct cause", "RuntimeError: top")  # fmt: skip
    assert [each for each in said if each not in text] == []
    assert shown.error is not None
    assert shown.error["ename"] == "RuntimeError"


def test_what_waits_behind_a_failure_is_aborted(page: Page, lab: LabKernel) -> None:
    """
    "Run all": when the first of some cells raises, the rest never reach the host, as in Jupyter.
    """
    before = page.run("%%nosana\nran = ['first']")
    assert before.error is None
    failing = page.begin("%%nosana\nimport time\ntime.sleep(0.5)\n1 / 0", stop=True)
    rest = [page.begin(f"%%nosana\nran.append({n})", stop=True) for n in range(3)]
    page.until(lambda: {each.screen for each in (failing, *rest)} <= page.idle)
    assert failing.error is not None
    assert [each.outputs for each in rest] == [[], [], []]
    assert page.run("%%nosana\nprint(ran)").stream("stdout") == "['first']\n"
