"""Data on its way to a runner: once, within memory, over lines that are slow or cut."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec
import numpy as np
import pytest
from runner.conftest import Process
from strange_runner import HELLO, Peer, Runner, after_hello, linked, load, run

from nosana_jupyter.errors import HostFailed, RemoteProtocolError
from nosana_jupyter.events import Event, Listed, Waiting
from nosana_jupyter.line import conversation, transfer
from nosana_jupyter.line.conversation import Ended
from nosana_jupyter.line.link import Link
from nosana_jupyter.wire import messages as say
from nosana_jupyter.wire import pieces


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    runner = Process(tmp_path)
    yield runner
    runner.stop()


class Counted:
    """A link that counts the bytes of data that go over it."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.data = 0
        send = link.send

        async def counting(message: say.AnyMessage) -> None:
            if isinstance(message, say.Chunk):
                self.data += len(message.data)
            await send(message)

        link.send = counting  # type: ignore[method-assign]

    async def cell(self, code: str, values: dict[str, Any], *returns: str) -> Ended:
        """Run a cell as a session does."""
        buffers: list[memoryview] = []
        header = cloudpickle.dumps(
            values, protocol=5, buffer_callback=lambda each: buffers.append(each.raw())
        )
        self.data = 0
        await transfer.upload(self.link, buffers, lambda _: None, unpacks=["zlib"])
        sent = load(code, header=header, buffers=buffers, returns=returns, explicit=True)
        return await conversation.execute(self.link, sent, lambda _: None)


@asynccontextmanager
async def joined(process: Process, port: int = 0) -> AsyncIterator[Counted]:
    """Give a line to a real runner, that of a client which comes anew."""
    url = f"ws://127.0.0.1:{port or process.port}/"
    async with Link(url, process.key, process.token, process.job) as link:
        await conversation.greet(link)
        yield Counted(link)


@asynccontextmanager
async def slow_line(port: int, rate: float) -> AsyncIterator[tuple[int, list[int]]]:
    """Give a port from which a runner is reached at so many bytes a second, and what passed."""
    passed = [0]

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause: float
    ) -> None:
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(1 << 14):
                    passed[0] += len(data)
                    writer.write(data)
                    await writer.drain()
                    await asyncio.sleep(len(data) * pause)
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        up, down = pump(reader, inner_writer, 1 / rate), pump(inner_reader, writer, 1 / rate)
        await asyncio.gather(up, down)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 14)
    try:
        yield server.sockets[0].getsockname()[1], passed
    finally:
        server.close()


def test_unchanged_data_costs_nothing(process: Process) -> None:
    """A second cell gets the array again, unharmed by the first, and no byte of it is sent."""
    array = np.random.default_rng(0).random(1_000_000)

    async def story() -> None:
        async with joined(process) as line:
            first = await line.cell("b = a + 1; a[:] = 0", {"a": array}, "b")
            assert line.data == array.nbytes
            assert (first.values["b"] == array + 1).all()
            again = await line.cell("b = a + 1", {"a": array}, "b")
            assert line.data == array.nbytes, "a cell has written to every page of it"
            assert (again.values["b"] == array + 1).all()
            again = await line.cell("b = a + 2", {"a": array, "other": 1}, "b")
            assert line.data == 0
            assert (again.values["b"] == array + 2).all()
            array[5] = -1
            again = await line.cell("b = a[5]", {"a": array}, "b")
            assert line.data == pieces.PIECE
            assert again.values["b"] == -1

    process.wait_listening()
    run(story, within=60)


def test_an_upload_goes_on_where_it_was_cut(process: Process) -> None:
    """A kernel that is killed while it sends, and comes again, sends the rest."""
    data = np.random.default_rng(0).bytes(8 << 20)

    async def story() -> None:
        async with joined(process) as line:
            large = pieces_of(line.link, data)
            await line.link.send(say.Have([large], line.link.names.key))
            await line.link.receive()
            for begin in range(0, 5 << 20, say.CHUNK):
                part = data[begin : begin + say.CHUNK]
                await line.link.send(say.Chunk(0, len(data), begin, part))
            while line.link.waiting:
                await asyncio.sleep(0.01)
        async with joined(process) as line:
            ended = await line.cell("n = len(d)", {"d": np.frombuffer(data, "u1")}, "n")
            assert line.data == 3 << 20
            assert ended.values["n"] == len(data)

    process.wait_listening()
    run(story, within=60)


def pieces_of(link: Link, data: bytes) -> say.Large:
    return say.Large(len(data), link.names.ids(memoryview(data)))


def test_a_slow_line_gets_packed_chunks(process: Process) -> None:
    """What compresses takes less of a slow line, up and down; what does not goes as it is."""

    async def story() -> None:
        async with slow_line(process.port, 8e6) as (port, passed), joined(process, port) as line:
            plain = np.arange(2_000_000)
            ended = await line.cell("t = int(a.sum())", {"a": plain}, "t")
            assert ended.values["t"] == plain.sum()
            assert passed[0] < 0.8 * plain.nbytes
            passed[0] = 0
            hard = np.random.default_rng(0).random(300_000)
            ended = await line.cell("t = float(a[7])", {"a": hard}, "t")
            assert ended.values["t"] == hard[7]
            assert hard.nbytes <= passed[0] < 1.05 * hard.nbytes
            passed[0] = 0
            ended = await line.cell(f"import numpy\nb = numpy.arange({len(plain)})", {}, "b")
            assert (ended.values["b"] == plain).all()
            assert passed[0] < 0.8 * plain.nbytes

    process.wait_listening()
    run(story, within=60)


def test_data_that_changes_meanwhile_is_sent_as_it_was_named() -> None:
    """A thread that writes to an array while it is sent does not tear what the host knows of it."""
    data = bytearray(2 << 20)
    heard: list[say.AnyMessage] = []

    async def script(peer: Peer) -> None:
        while not isinstance(message := await peer.hear(), say.Execute):
            heard.append(message)
            if isinstance(message, say.Have):
                data[sum(isinstance(each, say.Have) for each in heard)] = 1
                await peer.say(say.Missing(b"\xff" * 4))
        await peer.stay()

    async def story() -> None:
        async with linked(Runner(after_hello(script))) as link:
            await conversation.greet(link)
            await transfer.upload(link, [memoryview(data)], lambda _: None)
            names = link.names
            while link.waiting:
                await asyncio.sleep(0.01)
        asked = [each for each in heard if isinstance(each, say.Have)][-1].buffers[0]
        came = b"".join(each.data for each in heard if isinstance(each, say.Chunk))[-len(data) :]
        assert names.ids(memoryview(came)) == asked.ids

    run(story)


def test_progress_is_told_for_what_takes_long() -> None:
    """More than a moment's worth of data says how far it is, how fast, and what was there."""

    async def script(peer: Peer) -> None:
        have = await peer.hear()
        assert isinstance(have, say.Have)
        await peer.say(say.Missing(b"\xff" * 20 + bytes(9)))
        while True:
            await peer.hear()
            await asyncio.sleep(0.02)

    events: list[Event] = []

    async def story() -> None:
        async with linked(Runner(after_hello(script))) as link:
            await conversation.greet(link)
            data = memoryview(bytearray(232 * pieces.PIECE))
            await transfer.upload(link, [data], events.append)
            while link.waiting > 2:
                await asyncio.sleep(0.01)

    run(story)
    told = [each.text for each in events if isinstance(each, Waiting)]
    assert len(told) <= 20
    assert told.pop(0) == "comparing the data with what the host has"
    assert all(" of 10.5 MB" in each for each in told)
    assert all(each.endswith("; 4.7 MB were there already") for each in told)


def test_little_data_is_not_asked_about() -> None:
    """What is sent before the runner could answer is sent without a question or a word."""

    async def script(peer: Peer) -> None:
        await peer.stay()

    runner = Runner(after_hello(script))
    events: list[Event] = []

    async def story() -> None:
        async with linked(runner) as link:
            await conversation.greet(link)
            await transfer.upload(link, [memoryview(bytes(1000))] * 3, events.append)
            while link.waiting:
                await asyncio.sleep(0.01)

    run(story)
    assert [type(each) for each in runner.heard] == [say.Chunk] * 3
    assert events == []


@pytest.mark.parametrize(
    "answer", [say.Missing(b""), say.Missing(b"\xff" * 99), say.Installed(True, "")]
)
def test_a_runner_that_misses_other_things(answer: say.AnyMessage) -> None:
    """An answer that is none ends the conversation."""

    async def script(peer: Peer) -> None:
        await peer.hear()
        await peer.say(answer)
        await peer.stay()

    async def story() -> None:
        async with linked(Runner(after_hello(script))) as link:
            await conversation.greet(link)
            await transfer.upload(link, [memoryview(bytes(1 << 20))], lambda _: None)

    with pytest.raises(RemoteProtocolError):
        run(story)


def test_much_data_is_listed_before_it_is_sent() -> None:
    """What takes its time begins with a table of what goes, and what is there already does not."""
    missing = b"\xff" * 100

    async def script(peer: Peer) -> None:
        nonlocal missing
        while True:
            if isinstance(await peer.hear(), say.Have):
                await peer.say(say.Missing(missing))
                missing = bytes(100)

    events: list[Event] = []

    async def story() -> None:
        async with linked(Runner(after_hello(script))) as link:
            await conversation.greet(link)
            data = memoryview(bytearray(800 * pieces.PIECE))
            for _ in range(2):
                await transfer.upload(link, [data], events.append, table=lambda: "x  52 MB")

    run(story)
    assert [each.text for each in events if isinstance(each, Listed)] == ["x  52 MB\n"]


def test_a_host_without_room_is_told_before_anything_is_sent() -> None:
    """More than the host's memory is refused before it is sent."""
    cell = load(buffers=[memoryview(bytes(2 << 20))])
    conversation.check_room(HELLO, cell)
    with pytest.raises(HostFailed, match=r"the cell reads 2\.1 MB, and the host has 0\.0 GiB"):
        conversation.check_room(msgspec.structs.replace(HELLO, memory=0.001), cell)


PEAK = """
import asyncio, sys
from pathlib import Path
import numpy as np
sys.path[:0] = {tests!r}
from runner.conftest import Process
from test_transfer import joined

def peak(pid="self"):
    text = Path(f"/proc/{{pid}}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) << 10

async def story():
    array = np.full(75_000_000, 1.5)
    array[::1000] = np.arange(75_000)
    async with joined(process) as line:
        await line.cell("import numpy; t = 1", {{}}, "t")
        there, here = peak(process.process.pid), peak()
        ended = await line.cell("t = float(a[-1000])", {{"a": array}}, "t")
        assert ended.values["t"] == 74_999
        print(peak() - here, peak(process.process.pid) - there, array.nbytes)

process = Process(Path({folder!r}))
try:
    process.wait_listening()
    asyncio.run(story())
finally:
    process.stop()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_data_is_in_memory_once(tmp_path: Path) -> None:
    """To ship 600 MB takes a tenth of it here, and there no more than itself and a tenth."""
    code = PEAK.format(
        tests=[str(each) for each in Path(__file__).parents[:2]], folder=str(tmp_path)
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr[-2000:]
    here, there, size = map(int, out.stdout.split())

    assert here < 0.1 * size
    assert there < 1.1 * size


def test_much_that_comes_is_told_of() -> None:
    """What comes back in a moment is no news; of more is said how much is there, and how fast."""
    events: list[Event] = []
    arrivals = transfer.Arrivals(events.append)
    arrivals.note(1000)
    arrivals.note(9_000_000)
    arrivals.done()
    assert not events
    deadline = time.monotonic() + 5
    while not events and time.monotonic() < deadline:
        arrivals.note(20_000_000)
    arrivals.done()

    first, last = [each.text for each in events if isinstance(each, Waiting)]
    assert re.fullmatch(r"fetching what the cell made: 20\.0 MB so far, [\d.]+ [kM]B/s", first)
    assert last == ""
