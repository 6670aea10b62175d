"""The client's own link to a real runner: cuts, fresh kernels, take-overs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import cloudpickle
import pytest
from fault_line import FaultLine

from nosana_jupyter.errors import HostFailed, TakenOver
from nosana_jupyter.events import Event, Said
from nosana_jupyter.line import conversation
from nosana_jupyter.line.hearing import Bookmark, Ended
from nosana_jupyter.line.link import Link
from nosana_jupyter.travel.load import Load
from nosana_jupyter.wire.messages import DisplayData, Hello, Stream

Process = Any


def load(code: str, *returns: str) -> Load:
    return Load(
        code=code, count=1, header=cloudpickle.dumps({}), buffers=[], has_code=(), packages=(),
        extras=(), modules=(), sources=(), returns=returns, explicit=False, environment={},
    )  # fmt: skip


@asynccontextmanager
async def linked(process: Process, port: int = 0) -> AsyncIterator[tuple[Link, Hello]]:
    """Come anew to a runner."""
    url = f"ws://127.0.0.1:{port or process.port}/"
    async with Link(url, process.key, process.token, process.job, first=20) as link:
        yield link, await conversation.greet(link)


def text(events: list[Event]) -> str:
    said = (each.message for each in events if isinstance(each, Said))
    return "".join(each.text for each in said if isinstance(each, Stream))


def numbers(count: int) -> str:
    return "".join(f"{n}\n" for n in range(count))


def run(story: Callable[[], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        async with asyncio.timeout(60):
            return await story()

    return asyncio.run(whole())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def test_two_thousand_messages_and_many_cuts(process: Process) -> None:
    """However often the line is cut, each of 2,000 outputs is heard once and in order."""
    chance = random.Random(5)

    async def story() -> tuple[list[Event], Ended, int]:
        events: list[Event] = []
        async with (
            FaultLine(process.port).serving() as proxy,
            linked(process, proxy.port) as (link, _),
        ):
            code = "for n in range(2000): display(n)\nvalue = bytes(3_000_000)"
            cell = asyncio.ensure_future(
                conversation.execute(link, load(code, "value"), events.append)
            )
            while not cell.done():
                await asyncio.sleep(chance.random() * 0.05)
                proxy.cut()
            return events, await cell, link.connections

    events, ended, connections = run(story)
    said = [each.message for each in events if isinstance(each, Said)]
    shown = [int(each.data["text/plain"]) for each in said if isinstance(each, DisplayData)]
    assert shown == list(range(2000))
    assert ended.values["value"] == bytes(3_000_000)
    assert connections > 2


def test_a_fresh_kernel_goes_on(process: Process) -> None:
    """Who was killed in the middle of a cell gets all of it in a fresh kernel, and the values."""

    async def story() -> tuple[str, Ended]:
        events: list[Event] = []
        code = "import time\nfor n in range(50):\n    print(n)\n    time.sleep(0.02)\nx = n"
        mark = Bookmark()
        async with linked(process) as (link, _):
            cell = asyncio.ensure_future(
                conversation.execute(link, load(code, "x"), events.append, mark)
            )
            await until(lambda: "9\n" in text(events))
            cell.cancel()
        events.clear()
        async with linked(process) as (link, hello):
            (known,) = hello.cells
            assert (known.cell, known.running, known.released) == (mark.cell, True, False)
            ended = await conversation.attach(
                link, Bookmark(cell=mark.cell), events.append, returns=["x"]
            )
        async with asyncio.timeout(20):
            while not await released():
                await asyncio.sleep(0.05)
        return text(events), ended

    async def released() -> bool:
        async with linked(process) as (_, hello):
            return hello.cells[0].released

    said, ended = run(story)
    assert said == numbers(50)
    assert ended.values == {"x": 49}


def test_a_bookmark_goes_on_where_it_was(process: Process) -> None:
    """A link that is lost for good leaves a bookmark, from which nothing comes twice."""

    async def story() -> str:
        events: list[Event] = []
        mark = Bookmark()
        code = (
            "import time\nh = display(0, display_id=True)\nfor n in range(300):\n"
            "    print(n)\n    h.update(n)\n    time.sleep(0.003)"
        )
        async with linked(process) as (link, _):
            cell = asyncio.ensure_future(
                conversation.execute(link, load(code), events.append, mark)
            )
            await until(lambda: "20\n" in text(events))
            cell.cancel()
        for _ in range(3):
            async with linked(process) as (link, _):
                goal = len(events) + 4
                cell = asyncio.ensure_future(conversation.attach(link, mark, events.append))
                await until(lambda goal=goal: len(events) >= goal)  # type: ignore[misc]
                cell.cancel()
        async with linked(process) as (link, _):
            await conversation.attach(link, mark, events.append)
        return text(events)

    assert run(story) == numbers(300)


def test_taken_over_and_back(process: Process) -> None:
    """The client in whose place another comes gives up with an error that says so, and for good."""

    async def story() -> str:
        events: list[Event] = []
        mark = Bookmark()
        code = "import time\nfor n in range(40):\n    print(n)\n    time.sleep(0.02)"
        async with linked(process) as (first, _):
            cell = asyncio.ensure_future(
                conversation.execute(first, load(code), list[Event]().append, mark)
            )
            await until(lambda: mark.heard > 2)
            async with linked(process) as (second, _):
                with pytest.raises(TakenOver, match="taken over by another"):
                    await cell
                other = asyncio.ensure_future(
                    conversation.attach(second, Bookmark(cell=mark.cell), list[Event]().append)
                )
                async with linked(process) as (third, _):
                    await conversation.attach(third, Bookmark(cell=mark.cell), events.append)
                    with pytest.raises(TakenOver):
                        await other
                    assert (first.connections, second.connections, third.connections) == (1, 1, 1)
        return text(events)

    assert run(story) == numbers(40)


def test_a_cell_that_is_not_known(process: Process) -> None:
    """A cell of which nothing is kept is named, and the session goes on."""

    async def story() -> Ended:
        async with linked(process) as (link, _):
            with pytest.raises(HostFailed, match="keeps nothing of cell 0123456789abcdef"):
                await conversation.attach(
                    link, Bookmark(cell="0123456789abcdef"), list[Event]().append
                )
            return await conversation.execute(link, load("1"), list[Event]().append)

    assert run(story).status == "ok"
