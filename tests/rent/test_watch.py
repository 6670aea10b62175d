"""Witnesses of a job: what they say ends a cell, and their silence does not."""

from __future__ import annotations

import asyncio

import pytest
from witnesses import Witness, cell, scene

from nosana_jupyter.chain import transport
from nosana_jupyter.rent import watch

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network")]

UNREACHABLE = "http://127.0.0.1:9"


def test_a_cell_goes_on_without_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the chain does not answer for a while, a cell that runs is not ended for it."""
    monkeypatch.setattr(watch, "EVERY", 0.1)
    monkeypatch.setattr(transport, "RETRIES", (0.01,))

    async def story(witness: Witness) -> None:
        rpc = witness.client.rpc
        good = rpc._line
        begun = asyncio.Event()
        witness.at("begun", begun.set)
        what = cell("import time\nprint('begun', flush=True)\ntime.sleep(2)\nx = 1")
        running = asyncio.ensure_future(witness.run(what))
        await begun.wait()
        rpc._line = transport.Transport(UNREACHABLE)
        await asyncio.sleep(1)
        assert not running.done()
        await rpc._line.close()
        rpc._line = good
        outcome = await running
        assert outcome.values == {"x": 1}
        assert outcome.receipt.status == "done"

    scene(story)
