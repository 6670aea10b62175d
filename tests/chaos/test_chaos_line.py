"""Whole cells behind an RPC that fails, and not their postings alone."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from witnesses import Witness, cell, scene

from nosana_jupyter.client import Client
from nosana_jupyter.market.choosing import Requirements
from nosana_jupyter.network import Network
from nosana_jupyter.rent.session import Order
from nosana_jupyter.units import Seconds

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
from soak_line import FaultyRpc

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network"), pytest.mark.timeout(240)]

SHARE = 0.12
"""Of the questions, six times as many as in a soak."""

ORDER = Order(
    wanted=Requirements(gpu="3070"), timeout=Seconds(300), image="docker.io/library/python:3.12",
    title="behind a line",
)  # fmt: skip


def test_cells_behind_a_line_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells with a job each and cells of a session are right, and so is what they cost."""

    async def story(witness: Witness) -> None:
        honest = witness.client.network
        line = FaultyRpc(honest.rpc, honest.websocket, chance=random.Random(5), share=SHARE)
        async with line.serving() as (rpc, websocket):

            async def reached(*_: object) -> Network:
                return replace(honest, rpc=rpc, websocket=websocket)

            monkeypatch.setattr("nosana_jupyter.network.reached", reached)
            client = await Client.open()
            try:
                for number in range(3):
                    outcome = await client.run(cell(f"x = 7 * {number}"), witness.emit)
                    assert outcome.values == {"x": 7 * number}
                async with client.open_session(ORDER, witness.emit) as session:
                    for number in range(3):
                        ended = await session.run(cell(f"y = 5 * {number}"), witness.emit)
                        assert ended.values == {"y": 5 * number}
            finally:
                await client.close()
        # What could not be settled over that line.
        await witness.client.sweep()
        assert sum(line.met.values()) > 5
        assert len(line.met) > 2

    scene(story, within=200)
