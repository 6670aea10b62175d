"""A host that is named for a copy, and takes another job before it gets this one."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

import pytest
from rpc_node import stake
from solders.keypair import Keypair
from test_settling import CID, Block, live

from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.errors import ProgramError
from nosana_jupyter.market.markets import Quote
from nosana_jupyter.market.reputation import Reputation
from nosana_jupyter.rent.attempts import Attempts


@pytest.mark.parametrize(
    ("others", "name"), [(1, "NotInMarketQueue"), (0, "MarketInWrongState")], ids=["one", "none"]
)
def test_another_is_asked(others: int, name: str, tmp_path: Path) -> None:
    """Or waited for, where nobody waits in the market any more; nothing was spent on the first."""

    async def script(block: Block) -> None:
        place = block.place
        await place.work()
        for _ in range(others):
            other = Keypair()
            place.ledger.airdrop(other.pubkey(), 10**10)
            place.ledger.mint(other.pubkey(), 1)
            stake(place.ledger, other)
            await place.work(host=Wallet(other))
        quote = (await block.post()).quote
        assert quote is not None
        spent = block.nos()
        with pytest.raises(ProgramError) as caught:
            await block.jobs.post(replace(quote, node=place.host.address), CID)
        assert caught.value.name == name
        assert block.nos() == spent

        async def ask(*, spent: int, avoid: AbstractSet[str]) -> Quote:
            assert not spent
            return quote

        hosts = Reputation(place.network.name, tmp_path / "hosts.sqlite")
        try:
            tries = Attempts(ask, hosts, most=1)
            assert await tries.following(caught.value, lambda _: None, again=True) is quote
            assert not hosts.avoided()
        finally:
            hosts.close()

    live(tmp_path, script)
