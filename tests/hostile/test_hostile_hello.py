"""Hosts that say they have a card, and those that have none: left before they are sent any data."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from strange_runner import Peer
from witnesses import HELLO, Witness, cell, scene, stay, strange

from nosana_jupyter.errors import HostFailed
from nosana_jupyter.events import Left
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.market.markets import Market
from nosana_jupyter.rent import claims
from nosana_jupyter.units import GiB, MicroNos
from nosana_jupyter.wire import messages as say

CARD = "NVIDIA GeForce RTX 4070 Ti"


def hello(*cards: tuple[str, float]) -> say.Hello:
    return msgspec.structs.replace(HELLO, gpus=[say.Gpu(name, memory) for name, memory in cards])


def market(slug: str = "nvidia-4070", *gpus: str, vram: float = 12) -> Market:
    from decimal import Decimal

    return Market(
        address="a", slug=slug, name=slug, kind="PREMIUM", vram=GiB(vram), price=MicroNos(1),
        gpus=gpus or ("NVIDIA GeForce RTX 4070", CARD), fee_percent=Decimal(10),
        usd_per_hour=Decimal(0),
    )  # fmt: skip


def test_honest_hosts() -> None:
    """Drivers keep some memory, names are long and short: none of that is a lie."""
    none = Requirements()
    claims.check(hello((CARD, 11.99)), market(), none)
    claims.check(hello((CARD, 11.99)), market(), Requirements(gpu="4070 ti", vram=GiB(12)))
    claims.check(hello(("NVIDIA A40", 44.9)), market("nvidia-a40", "NVIDIA A40", vram=48), none)
    hundred = market("nvidia-2x-h100", "NVIDIA H100 80GB HBM3", vram=80)
    claims.check(hello(("NVIDIA H100 PCIe", 79.6), ("NVIDIA H100 PCIe", 79.6)), hundred, none)
    claims.check(HELLO, market(), none, stand_in="this machine's CPU")


@pytest.mark.parametrize(
    "cards",
    [
        [(CARD, 6.0)],
        [(CARD, math.nan)],
        [(CARD, math.inf)],
        [(CARD, -12.0)],
        [(CARD, 1e308)],
        [("NVIDIA GeForce RTX 3060", 12.0)],
        [("", 12.0)],
        [("\x1b]0;4070\x07\u202e", 12.0)],
        [(CARD, 12.0), ("NVIDIA GeForce GT 710", 12.0)],
    ],
)
def test_another_card(cards: list[tuple[str, float]]) -> None:
    """Less memory, impossible memory, another card, or one of several: the host is told apart."""
    with pytest.raises(claims.NotAsTold, match="and nvidia-4070 promises RTX 4070, 12 GiB") as told:
        claims.check(hello(*cards), market(), Requirements())
    assert str(told.value).isprintable()


def test_fewer_cards() -> None:
    """A host of two cards has two."""
    two = market("nvidia-2x-4070")
    with pytest.raises(claims.NotAsTold):
        claims.check(hello((CARD, 12.0)), two, Requirements())


def test_what_the_cell_asks_for() -> None:
    """The market may have other cards than the one that a cell wants: that is no lie."""
    with pytest.raises(HostFailed, match="and not 4070 ti"):
        claims.check(
            hello(("NVIDIA GeForce RTX 4070", 12.0)), market(), Requirements(gpu="4070 ti")
        )
    with pytest.raises(claims.NotAsTold):
        claims.check(hello((CARD, 12.0)), market(), Requirements(vram=GiB(16)))


@pytest.mark.network
@pytest.mark.usefixtures("network")
def test_the_next_host_is_asked() -> None:
    """A liar, and one without a card, are paid for seconds, noted, and sent nothing."""
    card = "NVIDIA GeForce RTX 3070"
    hellos = [hello((card, 4.0)), HELLO, hello((card, 8.0))]
    met: list[str] = []
    heard: dict[str, list[Any]] = {}

    async def script(peer: Peer) -> None:
        job = peer.runner.job
        if job not in met:
            met.append(job)
        peer.runner.heard = heard[job] = []
        await peer.shake()
        await peer.say(hellos[len(met) - 1])
        if len(met) == 3:
            await peer.hear_cell()
            await peer.say(say.Reply("ok", 0.1, values={"x": 1}))
            await stay(peer)
        await stay(peer)

    async def story(witness: Witness) -> None:
        hosts, client = witness.client.hosts, witness.client
        node = ""
        client.network = msgspec.structs.replace(client.network, stand_in="")
        try:
            async with strange(client, script):
                outcome = await witness.run(cell())
            lefts = [each for each in witness.events if isinstance(each, Left)]
            node = lefts[0].node
            assert outcome.values == {"x": 1}
            assert [each.why.partition(",")[0] for each in lefts] == [
                "the host says that it has NVIDIA GeForce RTX 3070 with 4 GiB",
                "the host shows no card",
            ]
            polite = say.Bye | say.Lease
            assert [
                each for job in met[:2] for each in heard[job] if not isinstance(each, polite)
            ] == []
            assert len(met) == 3
            assert all(each.receipt.paid < outcome.receipt.deposit / 2 for each in lefts)
            records = {hosts.of(each.node) for each in lefts}
            assert sum(each.lied for each in records) == 1
            assert sum(each.failed for each in records) == 1
        finally:
            hosts._db.execute("delete from reputation where node = ?", (node,))

    scene(story)


def test_a_driver_that_is_too_old_is_left() -> None:
    """
    A driver that does not know the CUDA of the cell's packages is found before data is sent.
    """
    old = msgspec.structs.replace(HELLO, gpus=[say.Gpu(CARD, 12.0, "515.43.04")])

    with pytest.raises(HostFailed, match=r"driver is 515\.43\.04, .* for CUDA 12\.4, .* 525"):
        claims.check(old, market(), Requirements(), cuda="12.4")
    claims.check(old, market(), Requirements(), cuda="11.8")
    claims.check(old, market(), Requirements(), cuda="")
    claims.check(hello((CARD, 12.0)), market(), Requirements(), cuda="13.0")


def test_a_list_may_add_up_the_cards_of_a_host() -> None:
    """
    Eight cards of 80 GiB are what a market of 640 promises, and seven are not.
    """
    card = ("NVIDIA H100 80GB HBM3", 79.6)
    eight = market("nvidia-8x-h100", "NVIDIA H100 80GB HBM3", vram=640)

    claims.check(hello(*[card] * 8), eight, Requirements(vram=GiB(500)))
    with pytest.raises(claims.NotAsTold):
        claims.check(hello(*[card] * 7), eight, Requirements())
