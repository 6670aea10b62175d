"""Queues of real markets: joined, left, and let be when they refuse."""

from __future__ import annotations

import pytest
from host_world import MARKET, World, awaited

from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.host.decide import Leave, Work
from nosana_jupyter.host.queues import BATCH_JOIN, Queues
from nosana_jupyter.local.catalogue import CATALOGUE

pytestmark = pytest.mark.network

OTHERS = [each.address for each in CATALOGUE[1 : BATCH_JOIN + 4]]


@awaited
async def test_many_queues_are_joined_and_left(universe: World) -> None:
    """More than fit a transaction; what was said is what the chain says."""
    node = Wallet.load(universe.machine.key)
    async with universe.rpc() as rpc:
        queues = Queues(rpc, node, OTHERS)
        await queues.look()
        assert queues.open == frozenset(OTHERS)
        await queues.change([Work(market) for market in OTHERS])
        assert queues.stale
        await queues.look()
        joined = queues.queued
        # Once more: it is there already, which is no reason to stay away.
        await queues.change([Work(OTHERS[0])])
        queues.left(OTHERS[1])
        without = queues.queued
        await queues.look()
        await queues.change([Leave(market) for market in OTHERS])
        # And leaving what one is not in.
        await queues.change([Leave(OTHERS[0])])
        await queues.look()

        assert joined == frozenset(OTHERS)
        assert without == joined - {OTHERS[1]}
        assert queues.queued == frozenset()
        assert queues.open == frozenset(OTHERS)


@awaited
async def test_a_market_that_refuses_is_left_alone_for_a_while(universe: World) -> None:
    """A node without a stake is refused everywhere, which is no error and not tried at once."""
    node = await universe.stranger(nos=0)
    async with universe.rpc() as rpc:
        queues = Queues(rpc, node, OTHERS[:2])
        await queues.look()
        await queues.change([Work(market) for market in OTHERS[:2]])
        await queues.look()

        assert queues.queued == frozenset()
        assert queues.open == frozenset()


@awaited
async def test_markets_that_do_not_exist_are_not_served(universe: World) -> None:
    """An address that is no market is passed over."""
    async with universe.rpc() as rpc:
        node = Wallet.load(universe.machine.key)
        queues = Queues(rpc, node, [MARKET.address, node.address])
        await queues.look()

        assert queues.open == {MARKET.address}
