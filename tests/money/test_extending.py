"""More time for a cell that runs: its host and its kernel see it in time."""

from __future__ import annotations

import asyncio

import pytest

from nosana_jupyter.client import Client
from nosana_jupyter.events import Cell, Event, Running
from nosana_jupyter.units import Seconds

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("network")]

LONG = "import time\nfor i in range(60):\n    time.sleep(.1)\nlast = i"
"""Six seconds of work."""


def test_a_running_cell_is_given_more_time() -> None:
    """A cell that would have run out of its time ends well, and is paid for what it took."""

    async def scene() -> None:
        client, other = await Client.open(), await Client.open()
        extending: list[asyncio.Task[object]] = []

        def hear(event: Event) -> None:
            if isinstance(event, Running):
                more = other.extend(event.job, Seconds(600))
                extending.append(asyncio.ensure_future(more))

        try:
            cell = Cell(source=LONG, namespace={}, timeout=Seconds(4), gpu="3070")
            outcome = await client.run(cell, hear)
            (extended,) = await asyncio.gather(*extending)
        finally:
            await client.close()
            await other.close()

        receipt = outcome.receipt
        assert outcome.values["last"] == 59
        assert receipt.status == "done"
        assert receipt.deposit == 604 * receipt.price
        assert 5 <= receipt.seconds <= 60
        assert receipt.signatures["extend"] == getattr(extended, "signature", "")
        assert (receipt.unexplained, receipt.unexplained_sol) == (0, 0)

    asyncio.run(scene())
