"""Cells that outlive their kernel: killed, restarted, taken over, left behind and detached."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import psutil
import pytest
from front_ends import CARD, PATIENCE, Kernel, Shown, environment
from lab_server import LabKernel, LabServer, environment_of_server

from nosana_jupyter.money.journal import Journal
from nosana_jupyter.rent.logbook import Logbook

pytestmark = [pytest.mark.kernel, pytest.mark.network]

Fresh = Callable[..., Kernel]

LONG = """%%nosana
import base64, time
from IPython.display import Image, display
from tqdm import tqdm
def double(x):
    return 2 * x
display(Image(data=base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)))
moving = display("before", display_id=True)
for i in tqdm(range(60)):
    print("line", i, flush=True)
    time.sleep(0.03)
moving.update("after")
answer = double(21)"""

GATED = """%%nosana
import os, time
print("said", flush=True)
while not os.path.exists(gate):
    time.sleep(0.05)
kept = 5
print("end")"""


@pytest.fixture
def fresh(notebook_home: Path, tmp_path: Path) -> Iterator[Fresh]:
    """Start kernels on one network, each with a variable or two of its own."""
    with ExitStack() as opened:
        started = 0

        def start(**variables: str) -> Kernel:
            nonlocal started
            started += 1
            folder = tmp_path / str(started)
            (folder / "ipython").mkdir(parents=True)
            kernel = Kernel(environment(str(notebook_home), str(folder)) | variables)
            opened.callback(kernel.close)
            kernel.run("%load_ext nosana_jupyter")
            return kernel

        yield start


@pytest.fixture(autouse=True)
def _over(notebook_home: Path, tmp_path: Path) -> Iterator[None]:
    """End what a test has left that went wrong: its job keeps the host from all others."""
    yield
    with closing(Journal(notebook_home / "journal.sqlite")) as journal:
        left = [each.intent.job for each in journal.unsettled("local")]
    for job in left:
        subprocess.run(
            [sys.executable, "-m", "nosana_jupyter.cli", "stop", job],
            env=environment(str(notebook_home), str(tmp_path)), timeout=120, check=False,
        )  # fmt: skip


def kill(kernel: Kernel) -> None:
    """Kill a kernel, with no time to say anything."""
    provisioner = kernel.manager.provisioner
    assert provisioner is not None
    os.kill(provisioner.pid, signal.SIGKILL)  # type: ignore[attr-defined]


def numbers(shown: Shown) -> list[int]:
    return [int(each) for each in re.findall(r"^line (\d+)$", shown.stream("stdout"), re.M)]


def judged(shown: Shown) -> None:
    """Check that all of the long cell is there, once and in order, and is settled."""
    assert shown.error is None, shown.traceback
    assert numbers(shown) == list(range(60))
    assert "60/60" in shown.stream("stderr")
    assert sum("image/png" in each for each in shown.displays) == 1
    # What was said of the wait is empty by now.
    texts = [each["text/plain"] for each in shown.displays if "image/png" not in each]
    assert [each for each in texts if each][:1] == ["'after'"]
    assert shown.cards[-1]["text/plain"].startswith("nosana: done · ")


def test_a_killed_kernel(fresh: Fresh, kernel: Kernel) -> None:
    """Another one is told of its cell, and brings all of it back: outputs, values, functions."""
    first = fresh()
    first.follow(first.begin(LONG), until="line 9\n")
    kill(first)
    second = kernel
    assert "%nosana attach brings it back" in second.run("%nosana").text
    judged(second.run("%nosana attach"))
    assert second.run("answer, double(4)").result["text/plain"] == "(42, 8)"
    assert re.search(r"open jobs +none", second.run("%nosana").text)
    gone = second.run("%nosana attach")
    assert "nothing to attach to" in gone.text


@pytest.mark.parametrize(
    ("does", "end", "name"),
    [("while True:\n    time.sleep(0.05)", "interrupted", "KeyboardInterrupt"),
     ("while not os.path.exists(gate):\n    time.sleep(0.05)\n1 / 0", "failed",
      "ZeroDivisionError")],
)  # fmt: skip
def test_one_that_ends_badly(
    fresh: Fresh, kernel: Kernel, notebook_home: Path, tmp_path: Path,
    does: str, end: str, name: str,
) -> None:  # fmt: skip
    """A cell that is taken up and interrupted, or raises, ends so for card, journal and receipt."""
    gate = tmp_path / "gate"
    first = fresh()
    first.run(f"gate = {str(gate)!r}")
    # What it says is nowhere in its source, which a card may show before it runs.
    source = f"%%nosana\nimport os, time\nprint('sa', 'id', sep='')\n{does}"
    first.follow(first.begin(source), until="said")
    kill(first)

    ident = kernel.begin("%nosana attach")
    shown = kernel.follow(ident, until="said")
    if end == "interrupted":
        kernel.interrupt()
    else:
        gate.touch()
    assert (kernel.follow(ident).error or {})["ename"] == name

    card = shown.cards[-1]
    job = card[CARD]["job"]
    assert card[CARD]["end"] == end
    assert card["text/plain"].startswith(f"nosana: {end} · ")
    assert re.search(rf"status +{end}\b", kernel.run(f"%nosana receipts {job}").text)
    with closing(Journal(notebook_home / "journal.sqlite")) as journal:
        entry = journal.find(job)
    assert entry is not None
    assert entry.receipt is not None
    assert entry.receipt.status == end


def test_a_restarted_server(notebook_home: Path, tmp_path: Path) -> None:
    """So does a kernel of a Jupyter server that was killed with all its kernels."""
    (tmp_path / "ipython").mkdir()
    env = environment_of_server(environment(str(notebook_home), str(tmp_path)))
    (tmp_path / "root").mkdir()
    before = LabServer(env, tmp_path / "root")
    kernel = before.open()
    kernel.run("%load_ext nosana_jupyter")
    kernel.follow(kernel.begin(LONG), until="line 9\n")
    children = psutil.Process(before._process.pid).children(recursive=True)
    before._process.kill()
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive
    kernel.client.close()  # type: ignore[attr-defined]
    before.close()

    after = LabServer(env, tmp_path / "root")
    try:
        kernel = after.open()
        kernel.run("%load_ext nosana_jupyter")
        judged(kernel.run("%nosana attach"))
        kernel.close()
    finally:
        after.close()


def test_an_orderly_end(notebook_home: Path, tmp_path: Path) -> None:
    """
    A kernel that is restarted, and a server that is told to stop, interrupt what runs before they
    say why: a cell of a session goes on all the same, and so does its session.
    """
    (tmp_path / "ipython").mkdir()
    (tmp_path / "root").mkdir()
    env = environment_of_server(environment(str(notebook_home), str(tmp_path)))
    before = LabServer(env, tmp_path / "root")
    kernel = prepared(before, tmp_path)
    kernel.run("%nosana up orderly")
    kernel.follow(kernel.begin(GATED), until="said\n")
    before.api.post(f"/api/kernels/{kernel.ident}/restart").raise_for_status()
    kernel.client.close()  # type: ignore[attr-defined]

    kernel = prepared(before, tmp_path, kernel.ident)
    shown = kernel.run("%nosana").text
    assert "nobody follows it: %nosana attach brings it back, or %nosana sweep ends it" in shown
    kernel.follow(kernel.begin("%nosana attach"), until="said\n")
    before._process.terminate()
    before._process.wait(PATIENCE)
    kernel.client.close()  # type: ignore[attr-defined]
    before.close()

    after = LabServer(env, tmp_path / "root")
    try:
        kernel = prepared(after, tmp_path)
        attached = kernel.begin("%nosana attach")
        first = kernel.follow(attached, until="said\n")
        (tmp_path / "gate").touch()
        shown = kernel.follow(attached)
        assert first.stream("stdout") == "said\n"
        assert shown.error is None, shown.traceback
        assert shown.stream("stdout").startswith("end\n")
        assert kernel.run("kept").result["text/plain"] == "5"
        assert "refunded" in kernel.run("%nosana down").text
        kernel.close()
    finally:
        after.close()


def prepared(server: LabServer, folder: Path, ident: str = "") -> LabKernel:
    """Open a kernel, or one again; machines that test have no time, so it takes some."""
    kernel = LabKernel(server, ident) if ident else server.open()
    kernel.run("%load_ext nosana_jupyter")
    kernel.run(f"gate = {str(folder / 'gate')!r}")
    kernel.run("from nosana_jupyter.notebook import interrupts\ninterrupts.LONGEST = 2")
    kernel.run("interrupts.MOMENT = 2")
    return kernel


def test_two_kernels(fresh: Fresh, kernel: Kernel) -> None:
    """Who attaches takes over; the cell of the other ends with words, and settles nothing."""
    first, second = fresh(), kernel
    running = first.begin(LONG)
    first.follow(running, until="line 9\n")
    [job] = re.findall(r"open jobs +(\w{32,44}) ", second.run("%nosana").text)
    judged(second.run(f"%nosana attach {job[:8]}"))
    left = first.follow(running)
    assert left.error is not None
    assert left.error["ename"] == "TakenOver"
    assert "taken over by another notebook" in left.text


def test_a_lease_that_lapsed(
    fresh: Fresh, kernel: Kernel, notebook_home: Path, tmp_path: Path
) -> None:
    """What a runner left, sealed, when nobody came back to it, is shown by who attaches."""
    first, second = fresh(NOSANA_LEASE="2s"), kernel
    first.run(f"gate = {str(tmp_path / 'gate')!r}")
    first.follow(first.begin(GATED), until="said\n")
    [job] = re.findall(r"open jobs +(\w{32,44}) ", second.run("%nosana").text)
    kill(first)
    (tmp_path / "gate").touch()
    ended(notebook_home, job)
    shown = second.run("%nosana attach")
    assert shown.error is None, shown.traceback
    assert shown.stream("stdout") == "said\nend\n"
    assert second.run("kept").result["text/plain"] == "5"
    assert re.search(r"open jobs +none", second.run("%nosana").text)


def ended(home: Path, job: str) -> None:
    """Wait until the runner of a job has gone."""
    book = Logbook(home / "journal.sqlite")
    record = book.find(job)
    book.close()
    assert record is not None
    deadline = time.monotonic() + PATIENCE
    url = record.url.replace("ws", "http", 1).rstrip("/") + "/health"
    while True:
        try:
            if not httpx.get(url, timeout=5).is_success:
                return
        except httpx.TransportError:
            return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_detached(kernel: Kernel) -> None:
    """
    The handle comes at once; who attaches sees all of it, again and again; Ctrl-C only lets it go
    for who looks; errors and values come as from any cell.
    """
    kernel.run("seconds = 0.05")
    made = kernel.run(
        "%%nosana --detach\nimport time\nfor i in range(40):\n    print('line', i, flush=True)\n"
        "    time.sleep(seconds)\nkept = 7\nraise KeyError('late')"
    )
    assert "%nosana attach" in made.result["text/plain"]
    assert kernel.run("handle = _").error is None
    looking = kernel.begin("%nosana attach --peek")
    shown = kernel.follow(looking, until="line 5\n")
    kernel.interrupt()
    kernel.follow(looking)
    assert "let go; the cell goes on" in shown.cards[-1]["text/plain"]
    for ask in ("%nosana attach", "handle.attach()"):
        shown = kernel.run(ask)
        assert numbers(shown) == list(range(40))
        assert shown.error is not None
        assert shown.error["ename"] == "KeyError"
        assert kernel.run("kept").result["text/plain"] == "7"
    assert "it raised" in kernel.run("handle").result["text/plain"]


def test_a_handle_stops_what_it_stands_for(kernel: Kernel) -> None:
    """A job of its own is ended and settled, with its receipt; in a session the cell alone is."""
    begun = "while not handle._run.begun: import time; time.sleep(0.05)"
    long = "%%nosana --detach --timeout 2m\nimport time\ntime.sleep(100)"
    kernel.run(long)
    kernel.run(f"handle = _\n{begun}")
    kernel.run("stopped = handle.stop()")
    assert kernel.run("stopped.status").result["text/plain"] in ("'stopped'", "'interrupted'")
    assert re.search(r"open jobs +none", kernel.run("%nosana").text)
    kernel.run("%nosana up hand --idle 60s")
    try:
        kernel.run(long)
        kernel.run(f"handle = _\n{begun}")
        assert kernel.run("handle.stop() is None").result["text/plain"] == "True"
        assert kernel.run("handle.wait(60).status").result["text/plain"] == "'interrupted'"
    finally:
        assert "refunded" in kernel.run("%nosana down").text


def test_detached_in_a_session(fresh: Fresh) -> None:
    """A kernel that ends leaves the cell and its session; another one takes both up."""
    first = fresh()
    first.run("%nosana up left --idle 60s")
    first.run(
        "%%nosana --detach\nimport time\nfor i in range(40):\n    print('line', i, flush=True)\n"
        "    time.sleep(0.05)\nx = 41"
    )
    first.client.stop_channels()
    first.manager.shutdown_kernel()
    second = fresh()
    swept = second.run("%nosana sweep").text
    assert "Left alone, being detached" in swept
    shown = second.run("%nosana attach")
    assert shown.error is None, shown.traceback
    assert numbers(shown) == list(range(40))
    assert "session left is open" in shown.text
    assert second.run("%%nosana\ny = x + 1\ny").result["text/plain"] == "42"
    assert "refunded" in second.run("%nosana down").text
