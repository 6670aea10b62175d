"""The board: what is under way, as other processes see it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pool_work
import pytest
from local_networks import LocalNetwork

from nosana_jupyter import Executor, board
from nosana_jupyter.board import Live, reading, writing
from nosana_jupyter.board.story import RAW, Log, Samples, Story
from nosana_jupyter.events import Booting, Cell, Said, Sampled, Waiting
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.money.journal import here, owner_of
from nosana_jupyter.portal import shared
from nosana_jupyter.rent.session import Order
from nosana_jupyter.rent.standing import Terms
from nosana_jupyter.units import GiB, Seconds
from nosana_jupyter.wire.messages import Error, Stream

pytestmark = pytest.mark.usefixtures("home")


def wait_for(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Return the first true thing that is seen."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)
    return found


def live(**changes: Any) -> Live:
    now = time.time()
    values: dict[str, Any] = {
        "cell": os.urandom(8).hex(), "network": "local", "title": "x = 1", "state": "running",
        "text": "running", "since": now, "created": now, "updated": now,
        "owner": owner_of(os.getpid()), "place": here(), "timeout": Seconds(60),
    }  # fmt: skip
    return Live(**values | changes)


def gone() -> str:
    """Return the owner of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = owner_of(child.pid)
    child.communicate(b"\n")
    return owner


WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from board.test_board import live
from nosana_jupyter.board import writing
from msgspec.structs import replace
one = live(title=sys.argv[1])
for number in range(300):
    writing.write(replace(one, lines=number, log="x" * number * 20))
input()
"""


class TestReading:
    def test_two_processes_write_and_none_is_read_half(self) -> None:
        """Whoever reads sees whole entries at all times, each process's own, in order."""
        code = WRITER.format(tests=str(Path(__file__).parents[1]))
        argv = [sys.executable, "-c", code]
        pipes = {"stdin": subprocess.PIPE, "text": True}
        both = [subprocess.Popen([*argv, name], **pipes) for name in ("a", "b")]  # type: ignore[call-overload]
        seen: dict[str, int] = {}
        reads = 0
        while seen != {"a": 299, "b": 299}:
            for each in board.read():
                assert each.lines >= seen.get(each.title, 0)
                assert each.log == "x" * each.lines * 20
                seen[each.title] = each.lines
            reads += 1
            assert all(each.poll() is None for each in both), "a writer failed"

        for each in both:
            each.communicate("\n")
        assert reads > 2
        # They had no job: nothing is left of them.
        assert board.read() == []
        assert list(board.folder().iterdir()) == []

    def test_what_has_not_changed_is_not_read_again(self) -> None:
        """A look every half second costs no more than the names of the files."""
        paths = [writing.write(live()) for _ in range(20)]
        first = board.read()
        for path in paths:  # Whoever reads one again finds no entry in it.
            status = path.stat()
            path.write_bytes(b"x" * status.st_size)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

        assert board.read() == first

    def test_an_entry_is_for_its_user_alone(self) -> None:
        """Others of the machine read neither the log nor that there is one."""
        path = writing.write(live())

        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_who_is_gone_is_told(self) -> None:
        """The job of a kernel that died is at work without one, and is no longer its kernel's."""
        writing.write(live(owner=gone(), job="J" * 44, began=time.time()))

        (found,) = board.read()

        assert (found.state, found.owner, found.text) == ("detached", "", reading.LOST)

    @pytest.mark.parametrize(
        "changes",
        [
            {"job": ""},
            {"job": "J" * 44, "began": 1e9},
            {"state": "ended", "ended": 1e9},
            {"state": "detached", "job": "J" * 44, "began": 1e9},
        ],
    )
    def test_what_is_over_goes(self, changes: dict[str, Any]) -> None:
        """Nothing stays of what had no job, or whose paid time is over, or ended a while ago."""
        path = writing.write(live(**{"owner": gone(), **changes}))

        assert board.read() == []
        assert not path.exists()

    def test_an_end_can_be_seen_for_a_while(self) -> None:
        """How a cell ended is there though its kernel is gone since."""
        writing.write(live(owner=gone(), state="ended", end="done", ended=time.time()))

        assert [each.end for each in board.read()] == ["done"]

    def test_foreign_files_are_left_alone(self, tmp_path: Path) -> None:
        """What is no entry, or leads elsewhere, is neither shown nor removed."""
        writing.write(live())
        (tmp_path / "real.json").write_bytes((next(board.folder().glob("*.json"))).read_bytes())
        (board.folder() / "link.json").symlink_to(tmp_path / "real.json")
        (board.folder() / "new.json").write_text('{"version": 9}')
        (board.folder() / "half.json").write_text('{"cell": "')

        assert len(board.read()) == 1
        assert len(list(board.folder().iterdir())) == 4


class TestStory:
    def test_the_log_keeps_its_end(self) -> None:
        """Of much that is said the end is kept, in whole lines, and all lines are counted."""
        log = Log()
        for number in range(20_000):
            log.add(f"\x1b[31mline {number}\x1b[0m\n")
        log.add("half")

        assert log.lines == 20_001
        assert log.tail().endswith("line 19999\nhalf")
        assert log.tail().startswith("line ")
        assert len(log.tail()) <= board.TAIL

    def test_a_bar_is_its_last_state(self) -> None:
        """What was written over is not shown, and cannot fill the log."""
        log = Log()
        for number in range(3 * RAW // 10):
            log.add(f"\rat {number % 1000:03}")

        assert log.tail() == f"at {(3 * RAW // 10 - 1) % 1000:03}"

    @pytest.mark.parametrize("text", ["x" * RAW, "x\r" * RAW, "\x1b[3" * RAW, "\r" * RAW])
    def test_no_text_takes_long(self, text: str) -> None:
        """Whatever a host says, the end of it is there in a moment, on the thread of all cells."""
        log = Log()
        log.add(text)
        began = time.process_time()
        log.tail()

        assert time.process_time() - began < 0.1

    def test_samples_are_thinned(self) -> None:
        """A long cell has no more samples than a short one, from its beginning on, and its peak."""
        samples = Samples()
        for number in range(5000):
            samples.add(Sampled(used=GiB(number % 7), total=GiB(8), busy=float(number)))
        kept = samples.all()

        assert len(kept) <= board.SAMPLES
        assert kept[0].busy == 0
        assert kept[-1].busy is not None
        assert kept[-1].busy > 4900
        assert samples.peak == 6

    def test_words_are_of_one_line(self) -> None:
        """What a host makes us wait for commands no terminal."""
        story = Story("x = 1")
        story.take(Waiting("a\x1b[2J\nb" * 1000, 0.5))

        assert "\x1b" not in story.live().text
        assert len(story.live().text) <= 300
        assert story.live().share == 0.5

    def test_a_boot_begins_once_the_job_has_a_host(self) -> None:
        """What a host says of its preparations is no state of a cell that nobody has."""
        story = Story()
        story.take(Booting("pulling", "pulling the image: 28 %", 0.28))

        assert (story.live().state, story.live().share) == ("preparing", 0.28)

    def test_why_it_failed_is_said(self) -> None:
        """The end of a cell that raised names what it raised."""
        story = Story()
        story.take(Said(Stream("stdout", "hello\n")))
        story.take(Said(Error("ValueError", "no\nsuch", ["ValueError: no", "such"])))
        story.end("failed")

        found = story.live()
        assert (found.state, found.end, found.text) == ("ended", "failed", "ValueError: no such")
        assert found.log == "hello\nValueError: no\nsuch\n"


@pytest.fixture
def net(home: Path, network: LocalNetwork) -> LocalNetwork:
    """The shared network, with nothing on its board."""
    for each in board.folder().glob("*"):
        each.unlink()
    return network


def cell(source: str, **options: Any) -> Cell:
    return Cell(source=source, namespace={}, timeout=Seconds(60), **options)


def of(title: str, state: str = "") -> Live | None:
    """Return what the board says of a cell, in a state."""
    found = [each for each in board.read() if each.title == title and state in ("", each.state)]
    return found[0] if found else None


SECRET = "correct-horse-battery-staple"
HALF = 14
PIECES = [each.encode() for each in (SECRET[:HALF], SECRET[HALF:])]

LEAVER = """
import os, time
from nosana_jupyter import board
from nosana_jupyter.events import Cell
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.portal import shared
from nosana_jupyter.rent.session import Order
from nosana_jupyter.rent.standing import Terms

SPELL = '''
import os, time
def spell(times):
    for _ in range(times):
        print(os.environ["PASS"][:14], flush=True)
        print(os.environ["PASS"][14:], flush=True)
        time.sleep(0.1)
'''

def cell(source, **more):
    return Cell(source=source, namespace={}, timeout=60, session="left", **more)

order = Order(wanted=Requirements(), timeout=120, image="", title="left")
for _ in shared().up(Terms(name="left", order=order, most=240, idle=60)):
    pass
for _ in shared().run(cell(SPELL + "spell(8)", secrets={"PASS": os.environ["PASS"]})):
    pass
going = shared().run(cell("spell(60)", detach=True))
while not any(each.lines > 1 for each in board.read() if each.title == "spell(60)"):
    time.sleep(0.02)
"""
"""What another process does, and leaves a cell behind that goes on."""


@pytest.mark.usefixtures("net")
class TestOnANetwork:
    def test_a_cell_is_seen_from_its_beginning_to_its_end(self) -> None:
        """Another process sees the job, its host and price, what it says, and how it ended."""
        title = "for i in range(60):"
        states: list[str] = []
        run = shared().run(cell(f"import time\n{title}\n    print(i)\n    time.sleep(0.05)\n"))
        while not run.future.done():
            states += [each.state for each in board.read() if each.title == title]
            time.sleep(0.01)
        for _ in run:
            pass
        found = of(title, "ended")

        assert found is not None
        order = [each for each in dict.fromkeys(states) if each != "ended"]
        assert order[-2:] == ["starting", "running"]
        assert found.job == run.outcome.job
        assert found.end == "done"
        assert found.lines == 60
        assert found.log.endswith("58\n59\n")
        assert found.price > 0
        assert found.most > found.price
        assert found.network == "local"
        assert found.cost == run.outcome.receipt.spent  # type: ignore[union-attr]
        assert found.owner == owner_of(os.getpid())
        assert 1 <= len(found.samples) <= 5
        assert not found.samples[-1].card

    def test_an_error_and_a_secret(self) -> None:
        """
        What kind of error ended a cell is named; of one that was given a secret no word is kept, as
        pieces that hide it may show it once they are put together.
        """
        secret = "correct-horse-battery"
        source = "import os\nprint('it is', os.environ['PASS'], flush=True)\n1 / 0"
        run = shared().run(cell(source, secrets={"PASS": secret}))
        for _ in run:
            pass
        found = of("print('it is', os.environ['PASS'], flush=True)", "ended")

        assert found is not None
        assert found.text == "ZeroDivisionError"
        assert (found.log, found.lines > 1) == ("", True)
        for path in board.folder().glob("*"):
            assert secret.encode() not in path.read_bytes()

    def test_a_session_that_was_given_a_secret(
        self, net: LocalNetwork, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        Nothing that later cells say is kept, nor what another process hears of them, and no piece
        of the secret is in any file of the product; where it is known it is hidden there, too.
        """
        monkeypatch.setenv("PASS", SECRET)
        first = subprocess.run(
            [sys.executable, "-c", LEAVER], env={**net.environment, "PASS": SECRET},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert first.returncode == 0, first.stderr
        portal = shared()
        said: list[str] = []

        def hear(run: Any) -> None:
            for event in run:
                if isinstance(event, Said) and isinstance(event.message, Stream):
                    said.append(event.message.text)

        hear(portal.attach("left"))
        assert wait_for(lambda: of("spell(60)", "ended")).lines > 1
        hear(portal.run(cell("spell(8)\nprint('whole', os.environ['PASS'])", session="left")))
        later = wait_for(lambda: of("spell(8)", "ended"))
        held = [
            path
            for path in net.home.rglob("*")
            if path.is_file() and any(piece in path.read_bytes() for piece in PIECES)
        ]
        for _ in portal.down("left"):
            pass

        assert later.lines > 1
        assert later.log == ""
        assert "whole •••\n" in "".join(said)
        assert SECRET[:HALF] in "".join(said)
        assert held == []

    def test_a_cell_that_is_over_at_once_leaves_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody could have looked at it, so nothing of it is written; a longer one is."""
        monkeypatch.setattr(writing, "SOON", 1.5)  # Of a machine that is busy.
        portal = shared()
        order = Order(wanted=Requirements(), timeout=Seconds(120), image="", title="quick")
        terms = Terms(name="quick", order=order, most=Seconds(240), idle=Seconds(60))
        up = portal.up(terms)
        for _ in up:
            pass
        for _ in portal.run(cell("warm = 1", session="quick")):
            pass
        for each in board.folder().glob("*"):
            each.unlink()
        for number in range(5):
            for _ in portal.run(cell(f"x = {number}", session="quick")):
                pass
        quick = list(board.folder().glob("*"))
        run = portal.run(cell("import time\nlonger = time.sleep(3)", session="quick"))
        seen = wait_for(lambda: of("longer = time.sleep(3)", "running"))
        for _ in run:
            pass
        for _ in portal.down("quick"):
            pass

        assert quick == []
        assert (seen.session, seen.job) == ("quick", run.outcome.job)
        assert of("longer = time.sleep(3)", "ended") is not None

    def test_a_crew_has_one_entry(self) -> None:
        """All hosts of an executor stand on the board as one, with how far they are."""
        with Executor(2, progress=False) as executor:
            results = executor.map(pool_work.slowly, range(150))
            seen = wait_for(lambda: of("slowly(…) on up to 2 hosts", "running"))
            assert len(list(results)) == 150
        ended = of("slowly(…) on up to 2 hosts", "ended")

        assert "of 150 items" in seen.text
        assert ended is not None
        assert ended.text.startswith("150 of 150 items, ")
