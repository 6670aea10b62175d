"""What the machine does while a cell runs: asked of a driver's program, or of the machine."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from nosana_jupyter.runner import gauging
from nosana_jupyter.wire.messages import Gauge

if TYPE_CHECKING:
    from conftest import Client, Process

PROGRAM = """#!{python}
import sys, time
if "name" in sys.argv[1]:
    print("A, 24576, 550\\nB, 24576, 550")
    raise SystemExit
used = 0
while True:
    used += 1024
    print(f"0, {{used}}, 24576, 50\\n1, 1024, 24576, {second}", flush=True)
    time.sleep(float(sys.argv[-1].partition("=")[2]) / 1000)
"""


def driver(folder: Path, second: str = "[N/A]") -> str:
    """Put a driver's program for two cards onto a path, and return that."""
    path = folder / "bin" / "nvidia-smi"
    path.parent.mkdir()
    path.write_text(PROGRAM.format(python=sys.executable, second=second))
    path.chmod(0o755)
    return str(path.parent)


def test_cards_are_told_each_second(start: Callable[..., Process], tmp_path: Path) -> None:
    """All cards count together, while a cell runs and not after; what has no number is left out."""
    client = start(PATH=driver(tmp_path)).connected()
    with client.open:
        client.run("pass")
        assert client.gauges == []
        ran = client.run("import time; time.sleep(4.5)")
        told = list(client.gauges)
        client.run("pass")

    assert ran.status == "ok"
    assert [type(each) for each in ran.said] == []
    assert 2 <= len(told) <= 5
    assert all(each.card and each.busy == 50 and each.total == 48 for each in told)
    assert [each.used for each in told] == sorted({each.used for each in told})
    assert client.gauges == told


def test_a_machine_without_a_card_is_told(client: Client) -> None:
    """Where no card is, processors and memory are looked at; work is seen in them."""
    client.gauges.clear()
    client.run("import time\nend = time.time() + 3.5\nwhile time.time() < end: pass")
    last = client.gauges[-1]

    assert not last.card
    assert 0 < last.used <= last.total <= 1 << 20
    assert last.busy is not None
    assert 100 / (psutil.cpu_count() or 1) / 3 < last.busy <= 101


def test_no_more_than_one_waits(process: Process) -> None:
    """A client that was away for a while hears how it is, and not all of how it was."""
    first = process.connected()
    first.start("import time; time.sleep(6)", cell="c1")
    first.cut()
    time.sleep(3.2)
    first.connect()
    first.finish()
    first.open.close()

    assert 1 <= len(first.gauges) <= 4


def test_nobody_hears_of_it_who_does_not_wait(process: Process) -> None:
    """A client that comes anew and has not asked for the cell is told nothing of it."""
    first = process.connected()
    first.start("import time; time.sleep(4)", cell="c1")
    other = process.connected()
    with pytest.raises(TimeoutError):
        other.hear(2.5)
    first.open.close()
    other.open.close()

    assert other.gauges == []


class TestGauges:
    def make(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> tuple[gauging.Gauges, list[bool], list[Gauge]]:

        monkeypatch.setattr(gauging, "EVERY", 0.05)
        monkeypatch.setattr(gauging, "IDLE", 4)
        busy, told = [True], list[Gauge]()
        made = gauging.Gauges(lambda: busy[0], told.append)
        threading.Thread(target=made.run, daemon=True).start()
        return made, busy, told

    def test_the_program_ends_where_nothing_runs(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """It costs nothing between cells, and is there again for the next."""
        monkeypatch.setenv("PATH", driver(tmp_path, "70"))
        made, busy, told = self.make(monkeypatch)
        wait_for(lambda: told)
        first = made._process
        busy[0] = False
        assert first is not None
        assert first.wait(20) is not None
        told.clear()
        busy[0] = True
        wait_for(lambda: told)
        second = made._process
        assert second is not None
        busy[0] = False
        second.wait(20)

        assert second.pid != first.pid
        assert told[0].busy == 60
        assert told[0].card

    @pytest.mark.parametrize("text", ["#!/bin/sh\nexit 9\n", "#!/bin/sh\necho no devices\n", "no"])
    def test_a_program_that_fails_is_no_card(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
    ) -> None:
        """A driver's program without a card leaves what the machine does."""
        path = Path(driver(tmp_path)) / "nvidia-smi"
        path.write_text(text)
        monkeypatch.setenv("PATH", str(path.parent))
        _, busy, told = self.make(monkeypatch)
        wait_for(lambda: told)
        busy[0] = False

        assert not told[0].card


def wait_for(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)
