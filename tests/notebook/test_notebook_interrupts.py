"""Ctrl-C, once and twice, and a job that is stopped from elsewhere."""

from __future__ import annotations

import re

import pytest
from front_ends import Kernel, Shown, Terminal
from test_notebook_front_ends import OURS, receipt_of

pytestmark = [pytest.mark.kernel, pytest.mark.network]

SLEEPER = """%%nosana
import time
kept = 5
print("begun")
try:
    time.sleep(50)
finally:
    print("cleaned up")"""

STUBBORN = """%%nosana
import time
print("begun")
while True:
    try:
        time.sleep(50)
    except KeyboardInterrupt:
        print("not yet")"""

COST = r"nosana: interrupted · \d s on .*stand-in.* · paid [\d.]+ NOS · refunded [\d.]+ NOS"


def settled(front: Kernel | Terminal) -> None:
    """Check that nothing is left open."""
    assert re.search(r"open jobs +none", front.run("%nosana").result["text/plain"])


def judged(shown: Shown) -> None:
    """Check that an interrupt is shown as the host's, with its cost, and not with our stack."""
    assert re.search(COST, shown.traceback)
    assert not OURS.search(shown.traceback)
    assert receipt_of(shown).startswith("nosana: interrupted · ")
    if shown.outputs:
        assert shown.error is not None
        assert shown.error["ename"] == "KeyboardInterrupt"


def test_one_interrupts_the_remote_cell(kernel: Kernel) -> None:
    """
    The cell gets a KeyboardInterrupt, cleans up, and its values are kept.
    """
    ident = kernel.begin(SLEEPER)
    kernel.follow(ident, until="begun\n")
    kernel.interrupt()
    shown = kernel.follow(ident)

    assert "cleaned up\n" in shown.stream("stdout")
    assert re.search(r"Cell In\[\d+\], line 5\n.*\n.*\n----> 5     time.sleep", shown.traceback)
    judged_tail(kernel, shown)
    assert kernel.run("kept").result["text/plain"] == "5"
    settled(kernel)


def test_one_interrupts_an_awaiting_cell(kernel: Kernel) -> None:
    """
    So does a cell that awaits.
    """
    ident = kernel.begin('%%nosana\nimport asyncio\nprint("begun")\nawait asyncio.sleep(50)')
    kernel.follow(ident, until="begun\n")
    kernel.interrupt()
    shown = kernel.follow(ident)

    assert "await asyncio.sleep(50)" in shown.traceback
    judged_tail(kernel, shown)
    settled(kernel)


def test_two_end_the_job(kernel: Kernel) -> None:
    """
    A cell that will not be interrupted is ended with its job.
    """
    ident = kernel.begin(STUBBORN)
    kernel.follow(ident, until="begun\n")
    kernel.interrupt()
    kernel.follow(ident, until="not yet\n")
    kernel.interrupt()
    shown = kernel.follow(ident)

    judged_tail(kernel, shown)
    settled(kernel)
    assert kernel.run("%%nosana\n2 + 2").result["text/plain"] == "4"


@pytest.mark.parametrize("times", [1, 3])
def test_early_ones_take_the_job_back(kernel: Kernel, times: int) -> None:
    """
    Before the cell runs, one is enough; many are not too many. What it cost is told truly.
    """
    for _ in range(4):
        ident = kernel.begin(SLEEPER)
        begun = kernel.follow(ident, until="posting to")
        for _ in range(times):
            kernel.interrupt()
        shown = kernel.follow(ident)

        assert shown.error is not None
        assert shown.error["ename"] == "KeyboardInterrupt"
        assert not OURS.search(shown.traceback)
        posted = any(model["job"] for model in jobs_of(begun) + jobs_of(shown))
        cost = COST if posted else "nosana: no job was posted; nothing was spent"
        assert re.search(cost, shown.traceback)
    settled(kernel)


def test_a_terminal_is_interrupted_too(terminal: Terminal) -> None:
    """
    Ctrl-C in a terminal does the same, once and twice; what it cost is said once.
    """
    terminal.begin(SLEEPER)
    terminal.follow(until="begun\r\n")
    terminal.interrupt()
    shown = terminal.follow()
    assert "cleaned up" in shown.screen
    assert "----> 5     time.sleep(50)" in shown.screen
    assert len(re.findall(COST, shown.screen)) == 1
    assert not OURS.search(shown.screen)
    assert "5" in terminal.run("kept").screen

    terminal.begin(STUBBORN)
    terminal.follow(until="begun\r\n")
    terminal.interrupt()
    terminal.follow(until="not yet\r\n")
    terminal.interrupt()
    shown = terminal.follow()
    assert len(re.findall(COST, shown.screen)) == 1
    assert not OURS.search(shown.screen)
    settled(terminal)


def test_a_job_is_stopped_from_elsewhere(kernel: Kernel, terminal: Terminal) -> None:
    """
    `%nosana extend` in another notebook gives the job more time, and `%nosana stop` ends it; the
    cell says so, and where the money is.
    """
    ident = kernel.begin(SLEEPER)
    begun = kernel.follow(ident, until="begun\n")
    [job] = {data["job"] for data in jobs_of(begun)} - {""}

    open_jobs = terminal.run("%nosana").screen
    longer = terminal.run(f"%nosana extend {job[:8]} 1h 30m").screen
    stopped = terminal.run(f"%nosana stop {job[:8]}").screen
    shown = kernel.follow(ident)

    assert re.search(rf"open jobs +{job}", open_jobs)
    assert re.search(r"time +2 h in all, 90 min of it new\nat most +[\d.]+ NOS more;", longer)
    assert re.search(rf"{job} +stopped", stopped)
    assert shown.error is not None
    assert shown.error["ename"] in ("HostFailed", "JobError")
    assert not OURS.search(shown.traceback)
    assert re.search(r"money: .*[\d.]+ NOS are back", shown.traceback)
    settled(kernel)


def jobs_of(shown: Shown) -> list[dict[str, str]]:
    """Return the models of the job card, as they came."""
    mime = "application/vnd.nosana.job+json"
    return [content["data"][mime] for _, content in shown.messages if mime in str(content)]


def judged_tail(kernel: Kernel, shown: Shown) -> None:
    """Judge outputs that came in several parts: the card was drawn in the first."""
    assert jobs_of(shown)[-1]["text"].startswith("interrupted · ")
    assert re.search(COST, shown.traceback)
    assert not OURS.search(shown.traceback)
    assert shown.error is not None
    assert shown.error["ename"] == "KeyboardInterrupt"
