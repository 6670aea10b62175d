"""A ledger with an exchange, its HTTP service that may lie, and somebody who swaps there."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import tornado.web
from rpc_node import Node
from solders.keypair import Keypair

from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.exchange import coins, swapping
from nosana_jupyter.exchange.book import Book, Deal
from nosana_jupyter.exchange.swapping import Offer
from nosana_jupyter.local import founding, pools
from nosana_jupyter.local.catalogue import USD_PER_NOS, USD_PER_SOL
from nosana_jupyter.local.ledger import Ledger
from nosana_jupyter.local.services import Coins, Pools, Price, Tokens
from nosana_jupyter.local.swaps import Build
from nosana_jupyter.network import MAINNET, Network
from nosana_jupyter.sources import rates_at, sol_rates_at

HAD_USDC = 100_000_000
HAD_NOS = 7_000_000
HAD_SOL = 10**10

Lie = Callable[[dict[str, Any]], None]
"""Changes an answer of the exchange."""


@dataclass
class Place:
    """Who swaps where."""

    ledger: Ledger
    node: Node
    rpc: Rpc
    wallet: Wallet
    book: Book
    lies: list[Lie] = field(default_factory=list)
    asked: int = 0
    headers: list[Any] = field(default_factory=list)
    """Of the questions to the exchange."""

    async def offer(self, text: str = "5 USDC", slippage: int = 50) -> Offer:
        coin, amount = coins.read(text, self.rpc.network)
        return await swapping.offer(self.rpc, self.wallet, coin, amount, slippage)

    async def swap(self, text: str = "5 USDC") -> Deal:
        found = await self.offer(text)
        return await swapping.carry_out(self.rpc, self.wallet, found, self.book)

    def held(self) -> tuple[int, int, int]:
        """Return micro-NOS, micro-USDC and lamports of the wallet, as the ledger has them."""
        account = self.ledger.get_account(self.wallet.pubkey)
        usdc = pools.tokens.associated(self.wallet.pubkey, pools.USDC)
        balance = self.ledger.token_balance(usdc)
        return (
            self.ledger.nos(self.wallet.pubkey),
            balance[0] if balance else 0,
            account.lamports if account else 0,
        )


def service(place: Place) -> tornado.web.Application:
    """Return the exchange and the price services; the first tells the lies of a place."""

    class Lying(Build):
        def finish(self, chunk: Any = None) -> Any:
            place.asked += 1
            place.headers.append(self.request.headers)
            if isinstance(chunk, dict):
                chunk = copy.deepcopy(chunk)
                for lie in place.lies:
                    lie(chunk)
                chunk = json.dumps(chunk)
            return super().finish(chunk)

    return tornado.web.Application(
        [
            (r"/swap/v2/build", Lying, {"ledger": place.ledger}),
            (r"/markets/price", Price),
            (r"/api/v3/simple/price", Coins),
            (r"/api/v2/simple/networks/solana/token_price/(\w+)", Pools),
            (r"/price/v3", Tokens),
        ],
        log_function=lambda _: None,
    )


@asynccontextmanager
async def exchange_town(folder: Path) -> AsyncIterator[Place]:
    """Build it."""
    ledger = Ledger(None, programs=MAINNET.programs)
    founding.open_exchange(ledger)
    user = Keypair()
    ledger.airdrop(user.pubkey(), HAD_SOL)
    ledger.mint(user.pubkey(), HAD_USDC, pools.USDC)
    ledger.mint(user.pubkey(), HAD_NOS)
    async with Node(ledger) as node:
        place = Place(ledger, node, None, Wallet(user), Book(folder / "journal.sqlite"))  # type: ignore[arg-type]
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        server = tornado.httpserver.HTTPServer(service(place))
        server.add_sockets(sockets)
        base = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        async with Rpc(network_at(node.url, base), timeout=5.0) as rpc:
            place.rpc = rpc
            yield place
        server.stop()
        await server.close_all_connections()
        place.book.close()
    ledger.close()


def network_at(rpc: str, services: str) -> Network:
    """Return mainnet with its services elsewhere."""
    return msgspec.structs.replace(
        MAINNET, rpc=rpc, websocket=rpc.replace("http", "ws"), api=services,
        rates=rates_at(services, services), sol_rates=sol_rates_at(services, services, services),
        exchange=f"{services}/swap/v2", least_bid=0, most_bid=0,
    )  # fmt: skip


__all__ = ["USD_PER_NOS", "USD_PER_SOL", "Lie", "Place", "exchange_town"]
