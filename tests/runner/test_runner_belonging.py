"""Output belongs to the cell that caused it, also when the cell is over."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from nosana_jupyter.wire.messages import Attach, Hello, Late, Stream

Client = Any


def late(ran: Any) -> dict[str, str]:
    """Return what was said late, by cell."""
    found: dict[str, str] = {}
    for each in ran.of(Late):
        output = each.output
        text = output.text if isinstance(output, Stream) else str(output.data["text/plain"])
        found[each.cell] = found.get(each.cell, "") + text
    return found


def _name() -> str:
    """Return a cell's name. The runner tells again what one of a known name has said."""
    return os.urandom(8).hex()


a = pytest.fixture(_name, name="a")
b = pytest.fixture(_name, name="b")
c = pytest.fixture(_name, name="c")


STARTS = {
    "thread": "threading.Thread(target=work).start()",
    "subclass": ("class Mine(threading.Thread):\n    def run(self): work()\nMine().start()"),
    "of a thread": (
        "threading.Thread(target=lambda: threading.Thread(target=work).start()).start()"
    ),
    "timer": "threading.Timer(0.01, work).start()",
    "pool": "ThreadPoolExecutor().submit(work)",
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
def test_threads_speak_for_their_cell(client: Client, start: str, a: str, b: str, c: str) -> None:
    """
    What a thread says after its cell's end is the cell's own, and not the next one's.
    """
    first = client.run(
        "import threading, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "go, over = threading.Event(), threading.Event()\n"
        "def work():\n"
        "    print('early')\n"
        "    go.wait(10)\n"
        "    print('late')\n"
        "    display('shown')\n"
        "    over.set()\n"
        f"{start}\n"
        "time.sleep(0.1)",
        cell=a,
    )
    second = client.run("print('second'); go.set(); over.wait(10); time.sleep(0.2)", cell=b)
    third = client.run("print('third')", cell=c)

    assert first.text() == "early\n"
    assert second.text() == "second\n"
    assert third.text() == "third\n"
    assert {**late(second), **late(third)} == {a: "late\n'shown'"}


def test_a_pool_speaks_for_who_asks_it(client: Client, a: str, b: str) -> None:
    """
    Threads of a pool outlive cells: what they do for a cell is that cell's.
    """
    client.run(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor(1)\n"
        "pool.submit(print, 'one').result()",
        cell=a,
    )
    second = client.run("pool.submit(print, 'two').result()", cell=b)

    assert second.text() == "two\n"
    assert late(second) == {}


def test_tasks_speak_for_their_cell(client: Client, a: str, b: str, c: str) -> None:
    """
    So do tasks that go on while a later cell awaits.
    """
    client.run(
        "import asyncio\n"
        "async def work():\n"
        "    await asyncio.sleep(0.1)\n"
        "    print('late')\n"
        "task = asyncio.create_task(work())\n"
        "await asyncio.sleep(0)",
        cell=a,
    )
    second = client.run("await task; print('second')", cell=b)
    third = client.run("", cell=c)

    assert second.text() == "second\n"
    assert {**late(second), **late(third)} == {a: "late\n"}


def test_what_nobody_hears_is_bounded(client: Client, a: str, b: str, c: str) -> None:
    """
    A thread that goes on and on fills no memory, and holds nothing up.
    """
    client.run(
        "import threading\nover = threading.Event()\n"
        "def work():\n"
        "    for _ in range(3000): print('x' * 999)\n"
        "    over.set()\n"
        "threading.Timer(0.1, work).start()",
        cell=a,
    )
    client.run("pass", cell=b)
    ran = client.run("over.wait(20)", cell=c)

    assert ran.status == "ok"
    assert 0 < len(late(ran)[a]) <= 3_000_000


LIVE = {
    "thread": "threading.Timer(0.2, speak).start()",
    "task": "task = asyncio.create_task(sleep(0.2))",
    "callback": "asyncio.get_running_loop().call_later(0.2, speak)",
    "logger": "threading.Timer(0.2, logging.getLogger('x').warning, ['late']).start()",
    "child": "subprocess.Popen(['sh', '-c', 'sleep 0.2; echo late'])",
}


@pytest.mark.parametrize("start", LIVE.values(), ids=LIVE.keys())
def test_what_is_late_is_heard_at_once(client: Client, start: str, a: str, b: str) -> None:
    """
    Between cells what a cell has left behind is heard as it speaks, and once; also by who comes
    anew and asks for that cell.
    """
    client.run(
        "import asyncio, logging, subprocess, threading\n"
        "def speak(): print('late')\n"
        "async def sleep(seconds):\n"
        "    await asyncio.sleep(seconds)\n"
        "    speak()\n"
        f"print('early')\n{start}",
        cell=a,
    )
    said = ""
    while not said.endswith("late\n"):
        heard = client.hear()
        assert isinstance(heard, Late)
        if heard.cell != a:
            continue  # Of an earlier test, whose runner this is too.
        said += heard.output.text
    second = client.run("print('second')", cell=b)

    assert said == "late\n"
    assert second.text() == "second\n"
    assert late(second) == {}


def test_a_client_that_comes_anew_hears_it_once(process: Any, a: str, b: str) -> None:
    """
    What was said late while nobody was there is with its cell, if that is asked for; else it is
    told with what comes next.
    """
    first = process.connected()
    first.run("import threading\ngo = threading.Event()\nprint('early')", cell="")
    for cell, word in ((a, "late"), (b, "other")):
        work = f"lambda: (go.wait(10), print('{word}'))"
        first.run(f"print('early')\nthreading.Thread(target={work}).start()", cell=cell)
    first.run("threading.Timer(0.2, go.set).start()")
    first.cut()
    deadline = time.monotonic() + 10
    counts = {a: 1}
    while counts[a] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
        second = process.client()
        second.connect()
        hello = second.hear()
        assert isinstance(hello, Hello)
        counts = {each.cell: each.outputs for each in hello.cells}
    second.say(Attach(a))
    again = second.finish()
    told = late(second.run("pass"))
    while not told.get(b, "").endswith("\n"):  # `print` writes the end of a line by itself.
        assert time.monotonic() < deadline
        for cell, text in late(second.run("pass")).items():
            told[cell] = told.get(cell, "") + text

    assert again.text() == "early\nlate\n"
    assert late(again) == {}
    assert told == {b: "other\n"}
