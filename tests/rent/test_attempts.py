"""Hosts that fail before a cell begins: each in its way, on a network that runs."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest
from local_networks import LocalNetwork
from strange_host import PAGE, Manner, answer
from strange_runner import Peer, after_hello
from witnesses import HELLO, Witness, cell, scene, stay, strange

from nosana_jupyter import api
from nosana_jupyter import node as node_module
from nosana_jupyter.chain import instructions
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.client import Client
from nosana_jupyter.errors import HostFailed, JobError, NosanaError
from nosana_jupyter.events import Booting, Left, Posted, Running, Settled
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.market.reputation import Reputation
from nosana_jupyter.rent import opening, rental, watch
from nosana_jupyter.wire import messages as say

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network")]


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds in place of minutes."""
    monkeypatch.setenv("NOSANA_ANSWER", "1s")
    monkeypatch.setattr(node_module, "STUBBORN", 0.5)
    monkeypatch.setattr(watch, "GRACE", 0.1)
    monkeypatch.setattr(watch, "EVERY", 0.5)
    monkeypatch.setattr(watch, "RESULTS", 2.0)
    monkeypatch.setattr(opening, "FINISH", 0.2)
    monkeypatch.setattr(rental, "FINISH", 0.2)


async def fine(peer: Peer) -> None:
    """Run the cell, whatever it is."""
    await peer.hear_cell()
    await peer.say(say.Reply("ok", 0.1, values={"x": 1}))
    await stay(peer)


GOOD = after_hello(fine, HELLO)


def failed(**told: Any) -> Manner:
    """Return the manner of a host on which no runner comes, and which says why."""
    return Manner(comes=1e9, state={"status": "failed", **told})


def pull(message: str) -> Manner:
    """Return the manner of a host that cannot pull the image."""
    return failed(exitCode=2, errors=[{"event": "image-pull-error", "message": message}])


def kinds(witness: Witness, *wanted: type) -> list[Any]:
    return [each for each in witness.events if isinstance(each, wanted)]


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        (Manner(says=answer(404, PAGE)), r"has not answered for 1 s; .* answers 404"),
        (Manner(says=answer(502, PAGE)), r"has not answered for 1 s; .* answers 502"),
        (Manner(says=answer(500, PAGE)), r"has not answered for 1 s; .* answers 500"),
        (Manner(says=b""), r"has not answered for 1 s"),
        (Manner(says=answer(401, '{"error": "Invalid signature."}')), "401: Invalid signature"),
        (Manner(says=answer(404, PAGE), dies=True), "has not answered for"),
        (pull("connection reset"), "the image could not be pulled: connection reset"),
        (failed(exitCode=1), "the runner ended with exit code 1"),
        (
            Manner(comes=1e9, flow={"status": "validation-error", "errors": ["no such key"]}),
            "the host does not take the definition: no such key",
        ),
    ],
    ids=["404", "502", "500", "hangs up", "401", "dies", "pull", "exit", "refuses"],
)
def test_the_next_host_is_asked(manner: Manner, why: str) -> None:
    """A host that fails is paid and left; the cell runs on the next, and all is told."""

    async def story(witness: Witness) -> None:
        async with strange(witness.client, GOOD, manner, Manner()):
            outcome = await witness.run(cell())
        [left] = outcome.earlier
        assert outcome.values == {"x": 1}
        assert kinds(witness, Left) == [left]
        assert re.search(why, left.why), left.why
        assert left.node == left.receipt.node == outcome.receipt.node
        assert left.receipt.job != outcome.receipt.job
        first, second = (each.receipt for each in kinds(witness, Settled))
        assert (first, second) == (left.receipt, outcome.receipt)
        assert (first.status, second.status) == ("failed", "done")

    scene(story)


def test_a_runner_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that answers and starts nothing is left after the patience of `boot`."""
    monkeypatch.setenv("NOSANA_BOOT", "2s")

    async def story(witness: Witness) -> None:
        async with strange(witness.client, GOOD, Manner(comes=1e9), Manner()):
            outcome = await witness.run(cell())
        [left] = outcome.earlier
        assert "did not start the runner within 2 s, which are paid" in left.why
        assert 1 <= left.receipt.seconds < 8

    scene(story)


def test_all_hosts_fail() -> None:
    """After three the user hears of the last, how many there were, and what they cost together."""

    async def story(witness: Witness) -> None:
        async with strange(witness.client, GOOD, failed(exitCode=3)):
            with pytest.raises(HostFailed, match="exit code 3") as caught:
                await witness.run(cell())
        assert len(kinds(witness, Posted)) == 3
        assert len(kinds(witness, Left)) == 2
        assert caught.value.hint.startswith("3 attempts on 1 host failed.")
        costs = sum(each.receipt.cost for each in kinds(witness, Left))
        assert f"the 2 attempts before cost {costs / 1e6:.6f} NOS" in caught.value.money
        assert caught.value.receipt == kinds(witness, Settled)[-1].receipt

    scene(story)


def test_the_cap_holds_over_all_hosts() -> None:
    """What a failed host cost counts: where the cap is reached, nobody else is asked."""

    async def story(witness: Witness) -> None:
        quote = await witness.client.quote(Requirements(gpu="3070"), 300)
        async with strange(witness.client, GOOD, Manner(says=b""), Manner()):
            with pytest.raises(NosanaError, match="not answered") as caught:
                await witness.run(cell(max_cost=f"{quote.most / 1e6:.6f}"))
        assert "No other host was asked" in caught.value.hint
        assert len(kinds(witness, Posted)) == 1

    scene(story)


@pytest.mark.parametrize("message", ["manifest unknown", "pull access denied for x"])
def test_an_image_that_nobody_can_pull(message: str) -> None:
    """Where every host would fail alike, one is enough."""

    async def story(witness: Witness) -> None:
        async with strange(witness.client, GOOD, pull(message), Manner()):
            with pytest.raises(JobError, match=f"could not be pulled: {message}") as caught:
                await witness.run(cell())
        assert "name of the image" in caught.value.hint
        assert len(kinds(witness, Posted)) == 1

    scene(story)


def test_a_cell_that_has_begun_is_never_run_again() -> None:
    """What a cell has done cannot be taken back: its host fails, and the user decides."""

    async def hear(peer: Peer) -> None:
        await peer.hear_cell()
        await stay(peer)

    async def story(witness: Witness) -> None:
        dying = Manner(comes=0, state={"status": "failed", "exitCode": 9})
        async with strange(witness.client, after_hello(hear, HELLO), dying) as host:
            with pytest.raises(HostFailed, match="exit code 9"):
                await witness.run(cell())
        assert len(kinds(witness, Posted)) == 1
        assert sum(isinstance(each, say.Execute) for each in host.runner.heard) <= 1

    scene(story)


def test_an_interrupt_asks_nobody_else() -> None:
    """Who has stopped the cell does not get another host."""

    async def story(witness: Witness) -> None:
        witness.at("runner to start", witness.control.interrupt)
        async with strange(witness.client, GOOD, Manner(comes=1e9), Manner()):
            with pytest.raises(asyncio.CancelledError):
                await witness.run(cell())
        assert len(kinds(witness, Posted)) == 1

    scene(story)


def test_a_host_that_quits(session_network: LocalNetwork) -> None:
    """A host that gives a job up on chain is left at once; all of the deposit comes back."""

    async def story(witness: Witness) -> None:
        client = witness.client
        [path] = [
            each
            for each in Path(session_network.home).rglob("*.json")
            if each.parent.name == "host" and "key" in each.name
        ]
        key = Wallet.load(path)
        quitting: list[asyncio.Task[Any]] = []

        async def quit_job(job: str) -> None:
            run = await client.rpc.run_of(job)
            assert run is not None
            wanted = instructions.quit_job(
                client.network.programs, job=job, run=run.address, node=run.node,
                run_payer=run.payer,
            )  # fmt: skip
            await client.rpc.send([wanted], key, [])

        def give_up() -> None:
            [running] = kinds(witness, Running)
            quitting.append(asyncio.ensure_future(quit_job(running.job)))

        witness.at("runner to start", give_up)
        async with strange(client, GOOD, Manner(comes=1e9), Manner()):
            outcome = await witness.run(cell())
        await asyncio.gather(*quitting)
        [left] = outcome.earlier
        assert "gave the job up" in left.why
        assert left.receipt.status == "recovered"
        assert (left.receipt.paid, left.receipt.refunded) == (0, left.receipt.deposit)

    scene(story)


def test_what_is_known_only_from_the_result() -> None:
    """The result is there once, for a moment: what it says of the end is what is told."""
    logs = [{"type": "stderr", "log": "a last word\n", "timestamp": "2026-01-01T00:00:00Z"}]
    state = {
        "status": "failed", "exitCode": 137, "logs": logs,
        "diagnostics": {"state": {"OOMKilled": True}},
    }  # fmt: skip

    async def hear(peer: Peer) -> None:
        await peer.hear_cell()
        await stay(peer)

    async def story(witness: Witness) -> None:
        manner = Manner(state={"status": "failed"}, result={"opStates": [state]})
        async with strange(witness.client, after_hello(hear, HELLO), manner) as host:
            with pytest.raises(HostFailed, match="ran out of memory") as caught:
                await witness.run(cell())
        assert "exit code 137\na last word" in str(caught.value)
        assert host.asked.count("results") >= 3

    scene(story)


def test_a_flow_that_calls_itself_a_success() -> None:
    """A flow says success whatever its operations did: they are what counts."""

    async def story(witness: Witness) -> None:
        manner = failed(exitCode=4)
        manner.flow = {"status": "success"}
        async with strange(witness.client, GOOD, manner, Manner()):
            outcome = await witness.run(cell())
        assert outcome.earlier[0].why == "the runner ended with exit code 4"

    scene(story)


def bar(ident: str, status: str, current: int = 0, total: int = 0) -> dict[str, Any]:
    detail = {"current": current, "total": total} if total else {}
    event = {"id": ident, "status": status, "progressDetail": detail}
    return {"message": {"type": "multi-process-bar-update", "payload": {"event": event}}}


PULL = [
    (0.0, bar("3.12-slim", "Pulling from library/python")),
    (0.0, bar("a", "Pulling fs layer")),
    (0.0, bar("b", "Pulling fs layer")),
    (0.0, bar("c", "Already exists")),
    (0.6, bar("a", "Downloading", 100_000_000, 400_000_000)),
    (0.6, bar("b", "Downloading", 20_000_000, 600_000_000)),
    (0.6, bar("a", "Download complete")),
    (0.6, bar("a", "Extracting", 1, 9)),
    (0.6, bar("a", "Pull complete")),
    (0.7, {"opId": "runner", "type": "container", "message": "Collecting msgspec\x1b[2J\n"}),
    (1.5, {"opId": "runner", "type": "container", "message": "Installed 9 packages\n"}),
]


@pytest.mark.parametrize("cuts", [0, 6])
def test_an_image_that_takes_its_time(cuts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host is waited for as long as it tells what it does, and that is shown, once each."""
    monkeypatch.setattr("nosana_jupyter.rent.boot.PAUSE", 0.1)

    async def story(witness: Witness) -> None:
        began = time.monotonic()
        async with strange(witness.client, GOOD, Manner(frames=PULL, cuts=cuts, comes=8)):
            outcome = await witness.run(cell())
        assert outcome.earlier == ()
        assert time.monotonic() - began > 8
        texts = [each.text for each in kinds(witness, Booting)]
        assert "pulling the image: 42 %, 420.0 MB of 1.0 GB, 2 of 3 layers ready" in texts
        assert texts[-1] == "starting the runner: Installed 9 packages"
        assert "starting the runner: Collecting msgspec" in texts
        assert len(texts) == len(set(texts)) <= 12

    scene(story)


def test_a_host_that_is_quiet_is_asked() -> None:
    """A host that has nothing to say is not one that has gone."""

    async def story(witness: Witness) -> None:
        async with strange(witness.client, GOOD, Manner(quiet=True, comes=4)) as host:
            outcome = await witness.run(cell())
        assert outcome.earlier == ()
        assert "ops" in host.asked

    scene(story)


def test_a_host_that_failed_is_remembered(tmp_path: Path) -> None:
    """The journal knows who failed until he runs a cell."""

    async def story(witness: Witness) -> None:
        client = witness.client
        client.hosts.close()
        client.hosts = Reputation(client.network.name, tmp_path / "hosts.sqlite")
        async with strange(client, GOOD, failed(exitCode=3)):
            with pytest.raises(NosanaError):
                await witness.run(cell())
        node = kinds(witness, Running)[0].node
        assert client.hosts.avoided() == {node}
        assert client.hosts.avoided(time.time() + 1801) == set()
        async with strange(client, GOOD):
            await client.run(cell(), lambda _: None)
        assert client.hosts.avoided() == set()

    scene(story)


def test_a_script_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no card, a line says that a host was left, and why."""

    async def story(witness: Witness) -> None:
        async with strange(witness.client, GOOD, failed(exitCode=3), Manner()):
            await witness.client.run(cell(), api.show)

    scene(story)
    told = capsys.readouterr().err
    assert told == "nosana: the runner ended with exit code 3; asking another host\n"


def test_with_credits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credits pay for each attempt as well: each job is found by a stub of its own."""
    monkeypatch.setenv("NOSANA_PAY", "credits")

    async def story() -> None:
        client = await Client.open()
        try:
            witness = Witness(client)
            async with strange(client, GOOD, failed(exitCode=3), Manner()):
                outcome = await witness.run(cell())
            jobs = [left.receipt.job for left in outcome.earlier] + [outcome.receipt.job]
            accounts = [await client.rpc.job(job) for job in jobs]
            assert len({each.ipfs_job for each in accounts if each}) == 2
            assert {left.receipt.pay for left in outcome.earlier} == {"credits"}
            assert (await client.status()).running == ()
        finally:
            await client.close()

    asyncio.run(asyncio.wait_for(story(), 40))
