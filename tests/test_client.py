"""The path of a cell on a real network: stopped at each step, asked about, and lied to."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import msgspec
import numpy as np
import pytest
from strange_host import Manner
from strange_runner import Peer, Script, after_hello
from witnesses import HELLO, Witness, cell, scene, stay, strange

from nosana_jupyter import client as client_module
from nosana_jupyter.client import Client
from nosana_jupyter.errors import (
    FundsError,
    HostFailed,
    NetworkError,
    NosanaError,
    RemoteProtocolError,
)
from nosana_jupyter.events import Event, Posted, Quoted, Running, Said
from nosana_jupyter.line import patience
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.market.markets import Quote
from nosana_jupyter.money.consent import Consent
from nosana_jupyter.money.journal import Journal
from nosana_jupyter.network import Network
from nosana_jupyter.wire import messages as say

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network")]

STUBBORN = """
import time
while True:
    try:
        print("begun", flush=True)
        time.sleep(30)
    except KeyboardInterrupt:
        print("not yet", flush=True)
"""


class TestInterrupts:
    @pytest.mark.parametrize("step", ["finding out", "Quoted"])
    def test_before_it_is_posted(self, step: str) -> None:
        """Nothing is posted, and nothing was spent."""

        async def story(witness: Witness) -> None:
            witness.at(step, witness.control.interrupt)
            with pytest.raises(asyncio.CancelledError):
                await witness.run(cell())
            assert not [each for each in witness.events if isinstance(each, Posted)]

        scene(story)

    def test_before_it_has_begun(self) -> None:
        """An interrupt that comes while the network is being opened counts."""

        async def story(witness: Witness) -> None:
            witness.control.interrupt()
            with pytest.raises(asyncio.CancelledError):
                await witness.run(cell())
            assert witness.events == []

        scene(story)

    @pytest.mark.parametrize(
        "step",
        [
            "Posted",
            "taking the job",
            "Running",
            "handing the job",
            "runner to start",
            "sending data",
        ],
    )
    def test_on_its_way(self, step: str) -> None:
        """The job is taken back or ended, wherever it is, and what is not used comes back."""

        async def story(witness: Witness) -> None:
            witness.at(step, witness.control.interrupt)
            data = np.random.default_rng(1).random(2_000_000)
            began = time.monotonic()
            try:
                await witness.run(cell("x = int(data.sum())", {"data": data}))
            except asyncio.CancelledError:
                assert witness.receipt.status in ("interrupted", "refunded")
                assert witness.receipt.paid + witness.receipt.refunded == witness.receipt.deposit
            else:
                assert step == "taking the job"  # It may have been taken before anybody looked.
                assert witness.acts
            assert time.monotonic() - began < 15

        scene(story)

    def test_while_it_runs(self) -> None:
        """The cell gets a KeyboardInterrupt and cleans up; its values come back."""

        async def story(witness: Witness) -> None:
            witness.at("begun", witness.control.interrupt)
            outcome = await witness.run(
                cell(
                    "import time\nx = 1\ntry:\n    print('begun', flush=True)\n"
                    "    time.sleep(50)\nfinally:\n    print('cleaned up')"
                )
            )
            errors = [each.message for each in witness.events if isinstance(each, Said)]

            assert outcome.status == "interrupted"
            assert outcome.values == {"x": 1}
            assert [each.ename for each in errors if isinstance(each, say.Error)] == [
                "KeyboardInterrupt"
            ]
            assert "cleaned up" in witness.text()
            assert witness.receipt.status == "interrupted"

        scene(story)

    def test_a_second_one_ends_the_job(self) -> None:
        """A cell that will not be interrupted is ended with its job."""

        async def story(witness: Witness) -> None:
            witness.at("begun", witness.control.interrupt)
            witness.at("not yet", witness.control.abandon)
            with pytest.raises(asyncio.CancelledError):
                await witness.run(cell(STUBBORN))
            assert witness.receipt.status == "interrupted"
            assert witness.receipt.seconds < 30

        scene(story)


def real(client: Client) -> None:
    """Let the network be one whose money is worth something."""
    client.network = msgspec.structs.replace(client.network, real_money=True)
    client.consent = Consent(client.network, client.settings)


def test_status_says_where_a_cell_runs() -> None:
    """While a cell runs, its job is listed with its host and the time it has left."""

    async def story(witness: Witness) -> None:
        begun = asyncio.Event()
        witness.at("begun", begun.set)
        running = asyncio.ensure_future(witness.run(cell(STUBBORN)))
        await begun.wait()
        status = await witness.client.status()
        [entry] = status.running
        place = status.places[entry.intent.job]
        assert place.node == next(e.node for e in witness.events if isinstance(e, Running))
        assert abs(place.began - time.time()) < 20
        assert place.ends - place.began == 300
        witness.control.abandon()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await witness.client.status()).places == {}

    scene(story)


class TestConsent:
    def test_it_is_asked_once_with_the_amount(self) -> None:
        """The first spend asks, with all that it may cost; the next one does not."""

        async def story(witness: Witness) -> None:
            real(witness.client)
            asked: list[tuple[Quote, Network]] = []

            async def confirm(quote: Quote, network: Network) -> bool:
                assert isinstance(witness.events[-1], Quoted)
                asked.append((quote, network))
                return True

            await witness.run(cell(), confirm=confirm)
            await witness.client.run(cell(), lambda _: None, confirm=confirm)
            [(quote, network)] = asked
            assert quote.most == quote.deposit + quote.fee
            assert quote.deposit == witness.receipt.deposit
            assert network.name == "local"

        scene(story)

    def test_two_cells_at_once_are_one_question(self) -> None:
        """While the user is asked, other cells wait for the answer."""

        async def story(witness: Witness) -> None:
            real(witness.client)
            asked = 0

            async def confirm(*_: object) -> bool:
                nonlocal asked
                asked += 1
                await asyncio.sleep(0.5)
                return True

            cells = [witness.client.run(cell(), lambda _: None, confirm=confirm) for _ in range(2)]
            assert [each.status for each in await asyncio.gather(*cells)] == ["ok", "ok"]
            assert asked == 1

        scene(story)

    def test_no_is_no(self) -> None:
        """Nothing is spent where the user says no, or nobody can be asked."""

        async def story(witness: Witness) -> None:
            real(witness.client)

            async def confirm(*_: object) -> bool:
                return False

            for answer in (confirm, None):
                with pytest.raises(FundsError, match=r"NOS on local was not confirmed") as caught:
                    await witness.run(cell(), confirm=answer)
                assert "Nothing was spent" in str(caught.value)
                assert "--yes" in caught.value.hint
            assert not [each for each in witness.events if isinstance(each, Posted)]

        scene(story)

    def test_a_question_can_be_taken_back(self) -> None:
        """An interrupt while the user is asked ends the cell; the next one asks again."""

        async def story(witness: Witness) -> None:
            real(witness.client)

            async def never(*_: object) -> bool:
                witness.control.interrupt()
                await asyncio.sleep(60)
                return True

            async def yes(*_: object) -> bool:
                return True

            with pytest.raises(asyncio.CancelledError):
                await witness.run(cell(), confirm=never)
            outcome = await witness.client.run(cell(), lambda _: None, confirm=yes)
            assert outcome.status == "ok"

        scene(story)

    def test_a_setting_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`confirm = yes` goes on without a question, for CI."""
        monkeypatch.setenv("NOSANA_CONFIRM", "yes")

        async def story(witness: Witness) -> None:
            real(witness.client)
            await witness.run(cell())

        scene(story)


class TestBeforeAnythingIsSpent:
    def test_caps(self) -> None:
        """A cap in NOS or in dollars refuses what may cost more."""

        async def story(witness: Witness) -> None:
            quote = await witness.client.quote(Requirements(gpu="3070"), 300)
            most = quote.most
            price = quote.usd_per_nos
            for cap in (f"{(most - 1) / 1e6:.6f}", f"{(most - 1) / 1e6:.6f} NOS"):
                with pytest.raises(FundsError, match="cap"):
                    await witness.run(cell(max_cost=cap))
            enough = f"{most / 1e6:.6f}"
            same = await witness.client.quote(Requirements(gpu="3070"), 300, max_cost=enough)
            assert same.most == most
            assert price is not None
            with pytest.raises(FundsError, match="cap"):
                await witness.run(cell(max_cost=f"${float(price) * most / 1e6 / 2:.8f}"))
            await witness.run(cell(max_cost=f"${float(price) * most / 1e6 * 2:.8f}"))

        scene(story)

    def test_a_plan_spends_nothing(self) -> None:
        """The plan names what would travel, through whom, what is needed, and what it may cost."""

        async def story(witness: Witness) -> None:
            namespace: dict[str, Any] = {}
            exec("def total(extra):\n    return frame.sum() + extra", namespace)
            namespace |= {"frame": np.ones(1000), "extra": 2, "unread": [1] * 1000}
            what = cell("import pandas\nresult = total(extra)", namespace)
            plan = await witness.client.plan(what)
            rows = {row.name: row for row in plan.rows}

            assert set(rows) == {"total", "frame", "extra"}
            assert rows["frame"].via == "function total"
            assert 8000 <= rows["frame"].size < 9000
            assert "array" in rows["frame"].type
            assert any(each.startswith("pandas==") for each in plan.packages)
            assert any(each.startswith("numpy==") for each in plan.packages)
            assert plan.returns == ("result",)
            assert plan.quote.deposit == plan.quote.price * 300
            assert witness.events == []

        scene(story)


# Hosts that misbehave.


async def unasked(peer: Peer) -> None:
    await peer.hear_cell()
    await peer.say(say.Reply("ok", 0.1, values={"os": 1}))
    await stay(peer)


async def not_plain(peer: Peer) -> None:
    await peer.hear_cell()
    await peer.say(say.Reply("ok", 0.1, values={"x": ["pickle", b"cos\nsystem\n"]}))
    await stay(peer)


async def huge(peer: Peer) -> None:
    await peer.hear_cell()
    await peer.say(say.Chunk(0, 1 << 50, 0, bytes(say.CHUNK)))
    await stay(peer)


async def wrong(peer: Peer) -> None:
    await peer.say(say.Installed(True, ""))
    await stay(peer)


async def garbage(peer: Peer) -> None:
    await peer.hear_cell()
    await peer.octets(b"\xc1garbage")
    await stay(peer)


async def gone(peer: Peer) -> None:
    if peer.number == 1:
        await peer.hear_cell()
    await asyncio.sleep(0.05)


class TestStrangers:
    @pytest.fixture(autouse=True)
    def _one_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is said of a host is said of the first that is asked."""
        monkeypatch.setenv("NOSANA_ATTEMPTS", "1")

    @pytest.mark.parametrize(
        ("script", "kind", "said"),
        [
            (unasked, RemoteProtocolError, "nobody asked for"),
            (not_plain, RemoteProtocolError, "unknown tag"),
            (huge, RemoteProtocolError, "more comes than"),
            (wrong, RemoteProtocolError, "no place"),
            (garbage, RemoteProtocolError, "unreadable"),
            (gone, HostFailed, "hangs up again and again"),
        ],
    )
    def test_a_runner_that_breaks_the_rules(
        self,
        script: Script,
        kind: type[NosanaError],
        said: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """
        A clear error within seconds; the job is ended, and where the money went is told.
        """
        monkeypatch.setattr(patience, "HOLLOW", 4)
        monkeypatch.setenv("NOSANA_ANSWER", "4s")

        async def story(witness: Witness) -> None:
            began = time.monotonic()
            async with strange(witness.client, after_hello(script, HELLO)):
                with pytest.raises(kind, match=said) as caught:
                    await witness.run(cell())
            assert time.monotonic() - began < 15
            receipt = witness.receipt
            assert receipt.status == "failed"
            assert receipt.seconds < 15
            assert "are back in the wallet" in caught.value.money
            assert f"{receipt.refunded // 1_000_000}." in caught.value.money

        scene(story)

    def test_an_endless_stream(self) -> None:
        """A host that never stops talking is stopped like any other."""

        async def endless(peer: Peer) -> None:
            await peer.hear_cell()
            while True:
                await peer.say(say.Stream("stdout", "y" * 10_000))

        async def story(witness: Witness) -> None:
            heard = 0

            def emit(event: Event) -> None:
                nonlocal heard
                witness.events += [] if isinstance(event, Said) else [event]
                heard += isinstance(event, Said)
                if heard == 500:
                    witness.control.abandon()

            async with strange(witness.client, after_hello(endless, HELLO)):
                with pytest.raises(asyncio.CancelledError):
                    await witness.client.run(cell(), emit, control=witness.control)
            assert witness.receipt.status == "interrupted"

        scene(story)

    def test_another_python(self) -> None:
        """A host with another Python is left before anything was sent to it."""
        heard: list[Any] = []

        async def listen(peer: Peer) -> None:
            heard.append(peer.runner)
            await stay(peer)

        async def story(witness: Witness) -> None:
            namespace: dict[str, Any] = {}
            exec("def helper():\n    return 1", namespace)
            hello = msgspec.structs.replace(HELLO, python="3.99.0")
            async with strange(witness.client, after_hello(listen, hello)):
                with pytest.raises(NosanaError, match=r"Python +3\.\d+\.\d+ +3\.99\.0") as caught:
                    await witness.run(cell("x = helper()", namespace))
            assert caught.value.money
            polite = say.Bye | say.Lease
            assert not [each for each in heard[0].heard if not isinstance(each, polite)]

        scene(story)

    def test_a_host_that_says_it_is_over(self) -> None:
        """A host whose runner has ended, as it says itself, is not waited for."""
        state = {
            "status": "failed",
            "exitCode": 137,
            "logs": [],
            "errors": [{"message": "\x1b[2J!"}],
        }

        async def hear(peer: Peer) -> None:
            await peer.hear_cell()
            await stay(peer)

        async def story(witness: Witness) -> None:
            async with strange(witness.client, after_hello(hear, HELLO), Manner(state=state)):
                with pytest.raises(HostFailed) as caught:
                    await witness.run(cell())
            assert "the process of the runner was killed (SIGKILL" in str(caught.value)
            assert "\x1b" not in str(caught.value)
            assert caught.value.money

        scene(story)

    def test_measures_that_are_none(self) -> None:
        """A time that is not a number leaves a receipt that can be read again."""

        async def script(peer: Peer) -> None:
            await peer.hear_cell()
            await peer.say(say.Reply("ok", math.nan, peak_memory=math.inf))
            await stay(peer)

        async def story(witness: Witness) -> None:
            async with strange(witness.client, after_hello(script, HELLO)):
                outcome = await witness.run(cell())
            assert outcome.receipt.cell_seconds == 0
            assert outcome.receipt in await witness.client.receipts(5)

        scene(story)


def test_what_was_opened_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the chain cannot be opened, the journal does not stay open."""
    closed: list[bool] = []

    class Watched(Journal):
        def close(self) -> None:
            super().close()
            closed.append(True)

    def refuse(_: Network) -> None:
        raise NetworkError("no chain")

    monkeypatch.setattr(client_module, "Journal", Watched)
    monkeypatch.setattr(client_module, "Rpc", refuse)
    with pytest.raises(NetworkError, match="no chain"):
        asyncio.run(Client.open())
    assert closed == [True]
