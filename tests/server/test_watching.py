"""One look for all tabs, none without any, and nothing that piles up for a slow one."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from nosana_jupyter.board import Live
from nosana_jupyter.board.writing import write
from nosana_jupyter.money.journal import here, owner_of
from nosana_jupyter.server.desk import Desk
from nosana_jupyter.server.scene import MANY, Scene
from nosana_jupyter.server.views import Job
from nosana_jupyter.server.watching import Listener, Watch, differences

seen: list[tuple[str, str, int]] = []
"""What was opened: what it was, which, and on which thread."""

WATCHED = {"open", "os.scandir", "sqlite3.connect", "socket.connect", "subprocess.Popen"}

_hears = threading.Event()


def hear(event: str, details: tuple[Any, ...]) -> None:
    if _hears.is_set() and event in WATCHED:
        seen.append((event, str(details[0]), threading.get_ident()))


sys.addaudithook(hear)


@pytest.fixture
def desk(home: Path, tmp_path: Path) -> Desk:
    """A desk of a server without kernels, whose network does not run."""
    home.mkdir()
    return Desk(str(tmp_path), {})


def live(number: int, text: str = "running") -> Live:
    now = time.time()
    return Live(
        cell=f"{number:016x}", network="local", title=f"cell {number}", state="running", text=text,
        since=now, created=now, updated=now, owner=owner_of(os.getpid()), place=here(),
    )  # fmt: skip


async def until(what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


class Tab:
    """What one tab knows by what it was told, as fast as it lets itself be told."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.told = 0
        self.free = asyncio.Event()
        self.free.set()

    async def write(self, text: bytes) -> None:
        await self.free.wait()
        told = msgspec.json.decode(text)
        self.told += 1
        if told["type"] == "snapshot":
            self.jobs = {each["cell"] or each["job"]: each for each in told["jobs"]}
        elif told["type"] == "changed":
            self.jobs[told["job"]["cell"] or told["job"]["job"]] = told["job"]
        elif told["type"] == "gone":
            self.jobs.pop(told["cell"] or told["job"], None)


def test_nothing_goes_on_while_nobody_listens(desk: Desk) -> None:
    """
    Before a tab listens, and after the last has gone, there is no task and no timer, and no file,
    database or address is opened.
    """

    async def main() -> None:
        own = asyncio.current_task()
        loop = asyncio.get_running_loop()
        watch = desk.watch
        for _ in range(2):
            assert asyncio.all_tasks() == {own}
            tabs = [Tab(), Tab()]
            listeners = [watch.join(tab.write) for tab in tabs]
            await until(lambda tabs=tabs: all(tab.told for tab in tabs))
            assert len(asyncio.all_tasks()) == 4  # One look, and one line for each tab.
            for each in listeners:
                watch.leave(each)
            await until(lambda: asyncio.all_tasks() == {own})
        await desk.run(time.sleep, 0)  # What a thread was still at is over.
        seen.clear()
        _hears.set()
        await asyncio.sleep(1.5)  # Three looks, if there were any.
        _hears.clear()
        assert seen == []
        waiting = [each for each in loop._scheduled if not each.cancelled()]  # type: ignore[attr-defined]
        assert waiting == []
        await desk.close()

    asyncio.run(main())


def test_the_loop_reads_nothing(desk: Desk, home: Path) -> None:
    """Whatever is opened to look at a thousand cells is opened on other threads than the loop's."""
    for number in range(1000):
        write(live(number), home / "board")

    async def main() -> None:
        tab = Tab()
        seen.clear()
        _hears.set()
        listener = desk.watch.join(tab.write)
        await until(lambda: len(tab.jobs) == 1000)
        await asyncio.to_thread(lambda: write(live(3, "slower"), home / "board"))
        await until(lambda: tab.jobs[f"{3:016x}"]["text"] == "slower")
        _hears.clear()
        desk.watch.leave(listener)
        await desk.close()

    asyncio.run(main())
    ours = [(event, what) for event, what, thread in seen if thread == threading.get_ident()]
    assert ours == []
    assert any(event == "os.scandir" for event, _, _ in seen)
    assert any(event == "sqlite3.connect" for event, _, _ in seen)


def test_two_tabs_agree(desk: Desk, home: Path) -> None:
    """Tabs that began at different times know the same, and so does one that reads slowly."""

    async def main() -> None:
        board = home / "board"
        write(live(1), board)
        early, slow, late = Tab(), Tab(), Tab()
        listeners = [desk.watch.join(early.write), desk.watch.join(slow.write)]
        await until(lambda: early.jobs and slow.jobs)
        slow.free.clear()
        for number in range(2, 6):
            write(live(number), board)
            await until(lambda number=number: len(early.jobs) == number)
        (board / f"{1:016x}.json").unlink()
        listeners.append(desk.watch.join(late.write))
        await until(lambda: len(early.jobs) == 4 and early.jobs == late.jobs)
        assert slow.jobs != early.jobs
        slow.free.set()
        await until(lambda: slow.jobs == early.jobs)
        for each in listeners:
            desk.watch.leave(each)
        await desk.close()

    asyncio.run(main())


KEYS = [f"{number:x}" for number in range(8)]
SCENES = st.lists(st.dictionaries(st.sampled_from(KEYS), st.integers(0, 3)), max_size=12)


def scene(found: dict[str, int]) -> Scene:
    jobs = {
        key: Job(
            job="", cell=key, state="running", text=str(text), title="", network="local", market="",
            gpu="", node="", notebook="", created=0.0,
        )
        for key, text in found.items()
    }  # fmt: skip
    return Scene(network="local", up=True, jobs=jobs)


@given(SCENES, st.lists(st.booleans(), max_size=12))
def test_a_slow_tab_ends_up_with_the_truth(found: list[dict[str, int]], reads: list[bool]) -> None:
    """Whatever happens between two messages that a tab takes, it knows how it ended."""

    async def main(desk: Desk) -> None:
        watch = Watch(desk)
        watch.seen.set()
        tab = Tab()
        listener = Listener(watch, tab.write)
        for number, each in enumerate(found):
            tab.free.set() if number < len(reads) and reads[number] else tab.free.clear()
            before, watch.scene = watch.scene, scene(each)
            listener.tell(list(differences(before, watch.scene)))
            await asyncio.sleep(0)
        tab.free.set()
        wanted = {key: str(text) for key, text in (found[-1] if found else {}).items()}
        deadline = time.monotonic() + 20
        while {key: job["text"] for key, job in tab.jobs.items()} != wanted or not tab.told:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.001)
        listener.task.cancel()

    desk = Desk(".", {})
    asyncio.run(main(desk))
    asyncio.run(desk.close())


def test_nothing_piles_up(desk: Desk) -> None:
    """For a tab that takes nothing no more is kept than for one that is told the whole anew."""

    async def main() -> None:
        watch = Watch(desk)
        watch.seen.set()
        tab = Tab()
        tab.free.clear()
        listener = Listener(watch, tab.write)
        for number in range(300):
            cells = {f"{each:x}": number for each in range(1000)}
            before, watch.scene = watch.scene, scene(cells)
            listener.tell(list(differences(before, watch.scene)))
            assert len(listener._due) <= MANY
            if number % 50 == 0:
                await asyncio.sleep(0)
        tab.free.set()
        await until(lambda: len(tab.jobs) == 1000 and tab.jobs["0"]["text"] == "299")
        assert tab.told < 10
        listener.task.cancel()
        await desk.close()

    asyncio.run(main())
