"""What is waited for is said: each step is held until its words have been told."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gates import Gate, chain_held
from local_networks import LocalNetwork
from strange_host import Manner
from strange_runner import Peer, Script, after_hello
from witnesses import HELLO, Witness, cell, scene, strange
from witnesses import stay as stay_for_good

from nosana_jupyter.events import Event, Waiting
from nosana_jupyter.line.control import Control
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.rent import opening, rental
from nosana_jupyter.rent.session import TURN, Order
from nosana_jupyter.rent.standing import Terms
from nosana_jupyter.sessions.keeping import Keeping
from nosana_jupyter.units import Seconds
from nosana_jupyter.wire import messages as say
from nosana_jupyter.wire.pieces import bits, count

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network")]

MOST = max(2, os.cpu_count() or 2)
"""Jobs that the network's host takes at once."""

ORDER = Order(
    wanted=Requirements(gpu="3070"),
    timeout=Seconds(300),
    image="docker.io/library/python:3.11-slim",
    title="words",
)


@pytest.fixture(scope="module")
def session_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """A network with one host: that which all share gets more where results are compared."""
    network = LocalNetwork(tmp_path_factory.mktemp("lone"))
    network.start()
    yield network
    network.stop()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strange hosts never close a job: it is ended by us at once."""
    monkeypatch.setattr(opening, "FINISH", 0.2)
    monkeypatch.setattr(rental, "FINISH", 0.2)


def told(witness: Witness, pattern: str) -> asyncio.Event:
    """Return what is set once words that fit have been told."""
    event = asyncio.Event()

    def fits(each: Event) -> bool:
        return bool(re.fullmatch(pattern, getattr(each, "text", "")))

    witness.acts.append((fits, event.set))
    return event


async def passed(event: asyncio.Event) -> None:
    """Wait at a gate, and not for ever."""
    async with asyncio.timeout(15):
        await event.wait()


def gated(
    pattern: str, runner: Callable[[asyncio.Event], Script], *, within: float = 40, **what: Any
) -> list[str]:
    """Run a cell on a runner that holds a step until words are told; return all that were."""
    words: list[str] = []

    async def story(witness: Witness) -> None:
        gate = told(witness, pattern)
        async with strange(witness.client, after_hello(runner(gate), HELLO), Manner()):
            outcome = await witness.run(cell(**what))
        assert (outcome.status, outcome.earlier) == ("ok", ())
        assert gate.is_set()
        words.extend(each.text for each in witness.events if isinstance(each, Waiting))

    scene(story, within=within)
    return words


async def run_cell(peer: Peer) -> None:
    await peer.hear_cell()
    await peer.say(say.Reply("ok", 0.1, values={"x": 1}))
    await stay_for_good(peer)


def test_the_delivery() -> None:
    """A host that takes its time over the definition is what is waited for."""

    async def story(witness: Witness) -> None:
        gate = told(witness, "handing the job to the host")
        async with strange(witness.client, after_hello(run_cell, HELLO), Manner(takes=gate)):
            assert (await witness.run(cell())).status == "ok"
        assert gate.is_set()

    scene(story)


def bar(ident: str, status: str, current: int = 0, total: int = 0) -> dict[str, Any]:
    detail = {"current": current, "total": total} if total else {}
    event = {"id": ident, "status": status, "progressDetail": detail}
    return {"message": {"type": "multi-process-bar-update", "payload": {"event": event}}}


def test_the_image() -> None:
    """How much of the image is there, in percent, in bytes and in layers."""
    frames = [
        (0.0, bar("3.12-slim", "Pulling from library/python")),
        (0.0, bar("a", "Already exists")),
        (0.0, bar("b", "Downloading", 430_000_000, 1_000_000_000)),
    ]

    async def story(witness: Witness) -> None:
        gate = told(witness, "pulling the image: 43 %, 430\\.0 MB of 1\\.0 GB, 1 of 2 layers ready")
        manner = Manner(frames=frames, opens=gate)
        async with strange(witness.client, after_hello(run_cell, HELLO), manner):
            assert (await witness.run(cell())).status == "ok"
        assert gate.is_set()

    scene(story)


def test_packages() -> None:
    """Which package is on its way, and of how many."""

    def runner(gate: asyncio.Event) -> Script:
        async def script(peer: Peer) -> None:
            while True:
                match await peer.hear():
                    case say.Check(distributions=names):
                        await peer.say(say.Checked(dict.fromkeys(names)))
                    case say.Install():
                        log = "to install: torch==2.9, six==1.17\nDownloading torch (812.0MiB)\n"
                        await peer.say(say.Stream("stdout", log))
                        await passed(gate)
                        await peer.say(say.Installed(True, ""))
                    case say.Execute():
                        break
            await peer.say(say.Reply("ok", 0.1, values={"x": 1}))
            await stay_for_good(peer)

        return script

    words = gated(
        r"installing packages on the host: 1 of 2, torch 2\.9 \(812\.0MiB\)",
        runner, pip=("nosana-test-none==1.0",),
    )  # fmt: skip
    at = words.index("comparing packages with those of the host")
    assert words[at + 1] == "installing packages on the host: nosana-test-none==1.0"


def test_an_upload() -> None:
    """How much has arrived, how fast, and how long the rest may take; also where a line lags."""

    def runner(gate: asyncio.Event) -> Script:
        async def script(peer: Peer) -> None:
            chunks = 0
            while True:
                # What is not confirmed is on its way.
                match await peer.hear(confirm=chunks < 30 or gate.is_set()):
                    case say.Check(distributions=names):
                        await peer.say(say.Checked(dict.fromkeys(names, np.__version__)))
                    case say.Have(buffers=buffers):
                        whole = sum(count(each.size) for each in buffers)
                        await peer.say(say.Missing(bits(range(whole), whole)))
                    case say.Chunk():
                        chunks += 1
                        if chunks == 60:
                            await passed(gate)
                    case say.Execute():
                        break
            await peer.say(say.Reply("ok", 0.1, values={"x": 1}))
            await stay_for_good(peer)

        return script

    data = np.random.default_rng(1).random(2_000_000)
    words = gated(
        r"sending data: \d+\.\d MB of 16\.0 MB, \d+\.\d MB/s, [\d.]+ s left",
        runner, source="x = len(data)", namespace={"data": data},
    )  # fmt: skip
    assert "comparing the data with what the host has" in words
    # Nobody is told that the cell runs while its data is on its way.
    late = [each for each in words if each.startswith("sending data: ")][-1]
    assert words.index("", words.index(late)) > words.index(late)


def test_a_line_that_is_cut() -> None:
    """A host that cannot be reached while the cell runs is said to be sought, until it is found."""

    def runner(gate: asyncio.Event) -> Script:
        async def script(peer: Peer) -> None:
            await peer.hear_cell()
            peer.line.transport.abort()

        async def whole(peer: Peer) -> None:
            if peer.number == 1:
                await peer.shake()
                await peer.say(HELLO)
                await script(peer)
                return
            await passed(gate)
            await peer.shake()
            await peer.acknowledge()
            await peer.say(say.Reply("ok", 0.1, values={"x": 1}))
            await stay_for_good(peer)

        return whole

    async def story(witness: Witness) -> None:
        gate = told(witness, "the line to the runner is down: .+")
        async with strange(witness.client, runner(gate), Manner()):
            assert (await witness.run(cell())).status == "ok"
        assert gate.is_set()
        words = [each.text for each in witness.events if isinstance(each, Waiting)]
        down = [each for each in words if "is down" in each][-1]
        assert words[words.index(down) + 1] == ""

    scene(story)


@pytest.mark.parametrize("card", ["3070", "3090"])
def test_a_host(card: str) -> None:
    """
    Who waits in a queue hears the place in it, and that their own jobs keep the hosts.

    Where a host stands in for all cards, that holds whatever cards they asked for.
    """

    async def story(witness: Witness) -> None:
        queued = rf"waiting for a host of nvidia-{card}[-a-z]*: none is free, next in line; "
        gate = told(witness, queued + f"{MOST} run jobs of yours, see %nosana jobs.*")
        async with AsyncExitStack() as stack:
            for _ in range(MOST):
                await stack.enter_async_context(witness.client.open_session(ORDER, lambda _: None))
            waits = asyncio.ensure_future(witness.run(replace(cell(), gpu=card)))
            await passed(gate)
        assert (await waits).status == "ok"
        words = [each.text for each in witness.events if isinstance(each, Waiting)]
        assert any(
            re.fullmatch(rf"waiting for a host of nvidia-{card}[-a-z]*: none is free", each)
            for each in words
        )

    scene(story)


def test_another_cell_of_the_session(tmp_path: Path) -> None:
    """A cell that has to wait for one that runs says so."""
    go = tmp_path / "go"
    source = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"

    async def story(witness: Witness) -> None:
        gate = told(witness, re.escape(TURN))
        async with witness.client.open_session(ORDER, lambda _: None) as session:
            begun = asyncio.Event()
            first = asyncio.ensure_future(
                session.run(cell(source), lambda _: None, begins=lambda _: begun.set())
            )
            await passed(begun)
            second = asyncio.ensure_future(session.run(cell("y = 2"), witness.emit))
            await passed(gate)
            go.touch()
            assert ((await first).status, (await second).values) == ("ok", {"y": 2})

    scene(story)


def test_more_time_for_a_session() -> None:
    """A cell that needs more time than its session has waits for the chain, and says so."""
    gate = Gate(b"sendTransaction", "asking for more time for the session: waiting for the chain")

    async def story(witness: Witness) -> None:
        client = witness.client
        keeping = Keeping(asyncio.get_running_loop().create_task)
        terms = Terms(name="main", order=ORDER, most=Seconds(1200), idle=Seconds(60))
        kept = await keeping.up(client, terms, lambda _: None, Control(), None)
        async with chain_held(client, gate):
            witness.at(f"Waiting {gate.says}", gate.said.set)
            asked = replace(cell("y = 3", detach=True), timeout=Seconds(60))
            await kept.run(asked, witness.emit, Control())
            assert not gate.said.is_set()  # It has time enough.
            longer = replace(asked, timeout=Seconds(900))
            assert (await kept.run(longer, witness.emit, Control())).values == {"y": 3}
        await keeping.down("main")

    scene(story)
