"""Access keys: a token that opens a market is found, and handed to the program."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from host_world import awaited
from rpc_node import Town, town
from solders.account import Account
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from nosana_jupyter.chain import addresses, instructions
from nosana_jupyter.chain.accounts import rent
from nosana_jupyter.host.decide import Work
from nosana_jupyter.host.queues import Queues


@dataclass
class Card:
    """A market that wants a token of a collection."""

    market: Pubkey
    collection: Pubkey


def admitted(place: Town, *, verified: bool = True, amount: int = 1) -> Card:
    """Open a market that wants an access key, and give the host one, among other tokens."""
    ledger, admin = place.ledger, place.ledger.authority
    market, collection = Keypair(), Keypair().pubkey()
    opened = instructions.open_market(
        place.network.programs, market=market.pubkey(), authority=admin.pubkey(), job_price=1,
        access_key=collection,
    )  # fmt: skip
    ledger.submit([opened], admin, market)
    for of, sure in ((Keypair().pubkey(), True), (collection, verified)):
        mint = Keypair().pubkey()
        ledger.plant(token(place.host.pubkey, mint, amount) | metadata(mint, of, sure))
    return Card(market.pubkey(), collection)


def token(owner: Pubkey, mint: Pubkey, amount: int) -> dict[Pubkey, Account]:
    """Return the token account of an owner, at an address of its own."""
    data = bytes(mint) + bytes(owner) + amount.to_bytes(8, "little") + bytes(36) + b"\x01"
    held = Account(lamports=rent(165), data=data.ljust(165, b"\0"), owner=addresses.TOKEN)
    return {addresses.ata(owner, mint): held}


def metadata(mint: Pubkey, collection: Pubkey, verified: bool) -> dict[Pubkey, Account]:
    """Return what says of which collection a token is."""
    text = b"".join(len(t).to_bytes(4, "little") + t for t in (b"name", b"SYM", b"https://x"))
    data = b"\x04" + bytes(64) + text + bytes(2) + b"\0" + bytes(2) + b"\0\0\x01"
    data += bytes([verified]) + bytes(collection)
    made = Account(lamports=rent(679), data=data.ljust(679, b"\0"), owner=addresses.METADATA)
    return {addresses.metadata(mint): made}


async def joined(place: Town, market: Pubkey) -> Queues:
    """Join a market as the host does; return its queues after another look."""
    queues = Queues(place.rpc, place.host, [str(market)])
    await queues.look()
    await queues.change([Work(str(market))])
    await queues.look()
    return queues


@awaited
async def test_a_token_of_the_collection_opens_the_market() -> None:
    """Of all tokens of the wallet the right one goes along, and its place in the queue is told."""
    async with town() as place:
        card = admitted(place)
        queues = await joined(place, card.market)

        assert queues.queued == {str(card.market)}
        assert queues.places == {str(card.market): (1, 1)}


@pytest.mark.parametrize("lacks", [{"verified": False}, {"amount": 0}])
@awaited
async def test_without_one_it_stays_away(lacks: dict[str, int]) -> None:
    """What is no proof is not sent, and the market is left alone for a while."""
    async with town() as place:
        card = admitted(place, **lacks)
        queues = await joined(place, card.market)

        assert queues.queued == frozenset()
        assert queues.open == frozenset()
        assert place.node.count("sendTransaction") == 0


@awaited
async def test_a_market_that_is_closed_to_us_closes_no_other() -> None:
    """Joined together with one that wants no key, the other is joined."""
    async with town() as place:
        card = admitted(place, amount=0)
        queues = Queues(place.rpc, place.host, [str(card.market), str(place.market)])
        await queues.look()
        await queues.change([Work(str(card.market)), Work(str(place.market))])
        await queues.look()

        assert queues.queued == {str(place.market)}
