"""
The access key of a market: a token of its collection, which a node holds to wait there.
"""

from __future__ import annotations

from solders.pubkey import Pubkey

from ..chain import addresses
from ..chain.metadata import verified_collection
from ..chain.rpc import Rpc
from ..errors import FundsError

MOST = 500
"""Tokens of a wallet that are looked at: anybody can send it more."""


class Access:
    """
    The tokens of a node that open markets.

    Args:
        rpc: The chain.
        node: Whose tokens.
    """

    def __init__(self, rpc: Rpc, node: Pubkey) -> None:
        self._rpc = rpc
        self._node = node
        self._known: dict[Pubkey, tuple[Pubkey, Pubkey]] = {}

    async def token(self, collection: Pubkey) -> tuple[Pubkey, Pubkey]:
        """
        Return the token account and the metadata of a token of a collection.

        Raises:
            FundsError: The node holds none.
        """
        if collection not in self._known:
            self._known |= await self._look()
        if collection not in self._known:
            raise FundsError(
                f"{self._node} holds no access key of the collection {collection}",
                hint="Nosana's backend gives it to nodes that it has admitted to the market.",
            )
        return self._known[collection]

    async def _look(self) -> dict[Pubkey, tuple[Pubkey, Pubkey]]:
        held = [each for each in await self._rpc.tokens_of(self._node) if each[2]][:MOST]
        places = [addresses.metadata(mint) for _, mint, _ in held]
        found = {}
        for (account, _, _), place, data in zip(
            held, places, await self._rpc.accounts(places), strict=True
        ):
            if data and (collection := verified_collection(data)) is not None:
                found[collection] = (account, place)
        return found
