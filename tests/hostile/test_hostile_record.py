"""What a host has said that no runner says is in its record, on a network that runs."""

from __future__ import annotations

import time

import pytest
from strange_runner import Peer, Script, after_hello
from witnesses import HELLO, Witness, cell, scene, stay, strange

from nosana_jupyter.errors import HostFailed, RemoteProtocolError, Unsealed
from nosana_jupyter.line.control import Control
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.market.reputation import LIE
from nosana_jupyter.rent import noting
from nosana_jupyter.rent.session import Order
from nosana_jupyter.units import Seconds
from nosana_jupyter.wire import messages as say

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network")]


def answering(reply: say.AnyMessage) -> Script:
    async def script(peer: Peer) -> None:
        await peer.hear_cell()
        await peer.say(reply)
        await stay(peer)

    return after_hello(script, HELLO)


def test_a_liar_is_left_for_a_day() -> None:
    """A cell that it answers with what nobody asked for fails; its record says why, for good."""

    async def story(witness: Witness) -> None:
        hosts = witness.client.hosts
        lying = answering(say.Reply("ok", 0.1, values={"print": 1}))
        async with strange(witness.client, lying):
            with pytest.raises(RemoteProtocolError, match="nobody asked for") as caught:
                await witness.run(cell())
        assert caught.value.money
        node = witness.receipt.node
        record = hosts.of(node)
        assert (record.lied, record.failed, record.differed) == (1, 0, 0)
        assert "nobody asked for: ['print']" in record.why
        hosts.ran(node)
        assert node in hosts.avoided(time.time() + LIE - 60)
        assert node not in hosts.avoided(time.time() + LIE + 60)

    scene(story)


def test_who_is_on_the_way_is_not_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that do not open may be anybody's: that is no lie of the host's."""
    monkeypatch.setenv("NOSANA_PATIENCE", "1s")

    async def script(peer: Peer) -> None:
        await peer.shake()
        if peer.number == 1:
            await peer.say(HELLO)
            await peer.hear_cell()
        await peer.line.send(b"noise" * 20)
        await stay(peer)

    async def story(witness: Witness) -> None:
        async with strange(witness.client, script):
            with pytest.raises((HostFailed, Unsealed)):
                await witness.run(cell())
        assert witness.client.hosts.of(witness.receipt.node).lied == 0

    scene(story)


def test_a_lie_to_who_comes_back() -> None:
    """A session that is taken up again, by another kernel as well, is heard with the same ears."""

    async def script(peer: Peer) -> None:
        await peer.shake()
        peer.runner.sent = peer.runner.received = 0  # Each client has a conversation of its own.
        await peer.say(HELLO)
        await peer.hear_cell()
        await peer.say(say.Reply("ok", 0.1, values={"print": 1}))
        await stay(peer)

    async def story(witness: Witness) -> None:
        client, node = witness.client, ""
        order = Order(wanted=Requirements(gpu="3070"), timeout=Seconds(300), image="python")
        async with strange(client, script):
            async with client.open_session(order, witness.emit) as session:
                node = session.job.node
                record = noting._single(session, cell())
                keys = session.key.secret(), session.token
                session.job.released = True

            async def come_back() -> None:
                control = Control()
                async with client.reopen(record, keys, witness.emit, control) as again:
                    again.kept = False
                    await again.run(cell(), witness.emit, control)

            with pytest.raises(RemoteProtocolError, match="nobody asked for"):
                await come_back()
        assert (client.hosts.of(node).lied, witness.receipt.node) == (1, node)
        client.hosts._db.execute("delete from reputation where node = ?", (node,))

    scene(story)
