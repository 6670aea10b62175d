"""A price of NOS that jumps between the quote and the posting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from file_server import FileServer, serving
from rpc_node import PRICE, town
from test_settling import CID, HOUR, Block

from nosana_jupyter.errors import FundsError
from nosana_jupyter.market import rates
from nosana_jupyter.market.markets import Market, Quote
from nosana_jupyter.money.journal import Journal
from nosana_jupyter.units import GiB, MicroNos, Seconds


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as found:
        yield found
    rates._known.clear()
    rates._agreed.clear()


def test_nothing_is_posted_over_a_cap_in_dollars(
    home: Path, tmp_path: Path, server: FileServer
) -> None:
    """
    The price doubles while the user is asked: no intent is written and nothing is sent. What the
    cap still covers goes its way.
    """

    async def scene() -> None:
        async with town() as place:
            network = msgspec.structs.replace(place.network, api=server.base, rates=())
            block = Block(place, Journal(tmp_path / "journal.sqlite"))
            block.jobs.network = network
            server.put("/markets/price", json.dumps({"price": 0.5}))
            rate = await rates.current(network)
            assert rate is not None
            quote = Quote(
                market=Market(
                    address=str(place.market), slug="test", name="test", kind="OTHER", gpus=(),
                    vram=GiB(8), price=MicroNos(PRICE), fee_percent=Decimal(0),
                    usd_per_hour=Decimal(0),
                ),
                timeout=Seconds(HOUR), rate=rate, cap="$0.25",
            )  # fmt: skip
            assert quote.most * rate.usd < 250_000 < quote.most * rate.usd * 2
            server.put("/markets/price", json.dumps({"price": 1.0}))
            rates._known.clear()
            late = replace(quote, rate=replace(rate, at=rate.at - rates.FRESH))
            with pytest.raises(FundsError, match="the price of NOS has changed"):
                await block.jobs.post(late, CID)
            assert place.node.count("sendTransaction") == 0
            assert block.jobs.journal.unsettled(network.name) == []
            assert block.nos() == block.before

            server.put("/markets/price", json.dumps({"price": 0.5}))
            rates._known.clear()
            await block.jobs.settle(await block.jobs.post(late, CID))
            assert place.node.count("sendTransaction") == 2
            block.jobs.journal.close()

    asyncio.run(scene())
