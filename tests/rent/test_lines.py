"""A line that is cut, held up, torn or refused: nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from fault_line import FaultLine, faulty
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from witnesses import Witness, cell, scene

from nosana_jupyter.chain import transport
from nosana_jupyter.errors import HostFailed, SessionLost
from nosana_jupyter.events import Waiting
from nosana_jupyter.line import link, patience
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.rent import watch
from nosana_jupyter.rent.session import Order
from nosana_jupyter.rent.standing import Terms
from nosana_jupyter.sessions.keeping import Keeping
from nosana_jupyter.units import Seconds

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network")]

ORDER = Order(
    wanted=Requirements(gpu="3070"), timeout=Seconds(300),
    image="docker.io/library/python:3.11-slim", title="line test",
)  # fmt: skip

UNREACHABLE = "http://127.0.0.1:9"


def counting(gate: Path) -> str:
    """Return a cell that counts until there is a file."""
    return f"""
import os, time
n = 0
while not os.path.exists({str(gate)!r}):
    print("line", n, flush=True)
    n += 1
    time.sleep(0.01)
"""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notice sooner what a user would be told later."""
    monkeypatch.setattr(patience, "NOTICE", 0.3)
    monkeypatch.setattr(watch, "EVERY", 0.2)
    monkeypatch.setattr(watch, "PAUSE", 0.3)
    monkeypatch.setattr(link, "PING", 0.5)
    monkeypatch.setattr(transport, "RETRIES", (0.01,))


def heard(witness: Witness) -> list[int]:
    return [int(each) for each in re.findall(r"^line (\d+)$", witness.text(), re.M)]


def told(witness: Witness) -> list[str]:
    return [each.text for each in witness.events if isinstance(each, Waiting)]


async def more(witness: Witness) -> None:
    """Wait until more is heard."""
    before = len(heard(witness))
    async with asyncio.timeout(20):
        while len(heard(witness)) <= before:
            await asyncio.sleep(0.02)


async def saying(witness: Witness, text: str) -> None:
    """Wait until a state line says so."""
    async with asyncio.timeout(20):
        while not any(text in each for each in told(witness)):
            await asyncio.sleep(0.02)


async def strangers(line: FaultLine, url: str) -> None:
    """Come to the runner as others would: with nothing, noise, and our own first words."""
    for word in (b"", b"x" * 500, line.first[-200:]):
        try:
            async with connect(url, proxy=None) as other:
                if word:
                    await other.send(word)
                await asyncio.sleep(0.1)
        except (OSError, WebSocketException):
            continue


def test_all_that_befalls_a_line(tmp_path: Path) -> None:
    """
    Cut, reset in the middle of a frame, stalled, refused for longer than the patience while the
    host says that it runs, and joined by strangers: a session's cell arrives whole.
    """

    async def story(witness: Witness) -> None:
        async with (
            faulty(witness.client) as line,
            witness.client.open_session(ORDER, witness.emit) as session,
        ):
            session.link.patience._seconds = 0.5
            gate = tmp_path / "gate"
            running = asyncio.ensure_future(session.run(cell(counting(gate)), witness.emit))
            await more(witness)
            line.cut()
            await more(witness)
            line.tears = 700
            await more(witness)
            await strangers(line, session.url)
            await more(witness)
            line.refuse("runner")
            await asyncio.sleep(1.5)
            assert "its host says that it runs" in told(witness)[-1]
            line.refuses = ""
            await more(witness)
            assert told(witness)[-1] == ""
            line.stalls = True
            await asyncio.sleep(1.5)
            line.stalls = False
            await more(witness)
            gate.touch()
            ended = await running
            assert heard(witness) == list(range(ended.values["n"]))
            assert line.opened >= 5
            assert (await session.run(cell("x = 2"), witness.emit)).values == {"x": 2}
        assert witness.receipt.status == "done"

    scene(story)


def test_a_machine_without_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers, not the chain either, the line is our own: the cell is not given up."""
    monkeypatch.setattr(watch, "DEAF", 0.5)

    async def story(witness: Witness) -> None:
        async with (
            faulty(witness.client) as line,
            witness.client.open_session(ORDER, witness.emit) as session,
        ):
            session.link.patience._seconds = 1
            gate = tmp_path / "gate"
            running = asyncio.ensure_future(session.run(cell(counting(gate)), witness.emit))
            await more(witness)
            rpc = witness.client.rpc
            good, rpc._line = rpc._line, transport.Transport(UNREACHABLE)
            line.refuse("runner host")
            await saying(witness, "until this machine is online")
            await asyncio.sleep(1)
            assert not running.done()
            bad, rpc._line = rpc._line, good
            await bad.close()
            line.refuses = ""
            await more(witness)
            gate.touch()
            ended = await running
            assert heard(witness) == list(range(ended.values["n"]))

    scene(story)


def test_a_host_that_alone_is_silent(tmp_path: Path) -> None:
    """Where the chain answers, and neither host nor runner, the host is given up, and paid."""

    async def story(witness: Witness) -> None:
        async def lost(line: FaultLine) -> None:
            async with witness.client.open_session(ORDER, witness.emit) as session:
                session.link.patience._seconds = 1
                what = cell(counting(tmp_path / "gate"))
                running = asyncio.ensure_future(session.run(what, witness.emit))
                await more(witness)
                line.refuse("runner host")
                await running

        async with faulty(witness.client) as line:
            with pytest.raises(HostFailed, match="has not answered for"):
                await lost(line)
        assert "its host does not answer either" in " ".join(told(witness))
        assert witness.receipt.status == "failed"

    scene(story)


def test_a_lease_that_lapsed_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A cell that ended while nobody heard it is heard to its end from what its runner left. The next
    one of its session is told why that is over.
    """
    monkeypatch.setenv("NOSANA_LEASE", "3s")
    gate = tmp_path / "gate"

    async def away(witness: Witness, line: FaultLine) -> None:
        await more(witness)
        line.refuse("runner host")
        gate.touch()
        await asyncio.sleep(4.5)  # The lease, and the runner's end.
        line.refuses = ""

    async def story(witness: Witness) -> None:
        async with faulty(witness.client) as line:
            what = cell(counting(gate))
            keeping = Keeping(asyncio.get_running_loop().create_task)
            terms = Terms(name="main", order=ORDER, most=Seconds(600), idle=Seconds(60))
            kept = await keeping.up(witness.client, terms, witness.emit, witness.control, None)
            running = kept.run(what, witness.emit, witness.control)
            outcome, _ = await asyncio.gather(running, away(witness, line))
            assert heard(witness) == list(range(outcome.values["n"]))
            assert kept.task is not None
            await kept.task
            with pytest.raises(SessionLost, match="heard nothing of this machine for 3 s"):
                await kept.run(cell("x = 1"), witness.emit, witness.control)
            keeping.close()

    scene(story)
