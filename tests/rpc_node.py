"""A Solana node on a real socket, over a ledger in memory, that misbehaves on request."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from nosana_jupyter.chain import instructions, locking
from nosana_jupyter.chain.rpc import Rpc
from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.local.ledger import Ledger
from nosana_jupyter.local.rpc import Methods
from nosana_jupyter.network import DEVNET, Network

PRICE = 115
SECRET = "api-key-of-somebody-0123456789"


@dataclass(kw_only=True)
class Asked:
    """A question, and what an honest node would answer."""

    request: dict[str, Any]
    answer: Callable[[], dict[str, Any]]

    def ok(self, **changes: Any) -> bytes:
        """Return the honest answer as HTTP, with changes to its JSON."""
        return http(json.dumps(self.answer() | changes).encode())


Fault = Callable[[Asked], bytes | Awaitable[bytes]]
"""Returns what is written to the socket, which is then closed."""


def http(body: bytes, *, status: int = 200, length: int | None = None, **headers: str) -> bytes:
    """Return an HTTP answer; `length` is what its header claims."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Said", "Connection: close", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in names.items()]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def status(number: int, body: Any = None, **headers: str) -> Fault:
    """Answer an HTTP status."""
    return lambda _: http(json.dumps(body).encode(), status=number, **headers)


def says(code: int, message: str, data: Any = None) -> Fault:
    """Answer a JSON-RPC error."""
    error = {"code": code, "message": message} | ({"data": data} if data is not None else {})

    def fault(asked: Asked) -> bytes:
        answer = {"jsonrpc": "2.0", "id": asked.request["id"], "error": error}
        return http(json.dumps(answer).encode())

    return fault


def raw(body: bytes) -> Fault:
    """Answer some bytes as if they were JSON."""
    return lambda _: http(body)


def closed(_: Asked) -> bytes:
    """Close the connection without a word."""
    return b""


def cut(asked: Asked) -> bytes:
    """Answer, and lose the line half-way."""
    return asked.ok()[:-20]


def lost(asked: Asked) -> bytes:
    """Do what is asked, and lose the line before the answer."""
    asked.answer()
    return b""


async def silent(_: Asked) -> bytes:
    """Say nothing for long."""
    await asyncio.sleep(60)
    return b""


@dataclass
class Node:
    """A node; `script` holds what it does to the next questions of each method."""

    ledger: Ledger
    script: dict[str, list[Fault | None]] = field(default_factory=dict)
    always: dict[str, Fault] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Every question, in order."""

    url: str = ""

    async def __aenter__(self) -> Self:
        self._methods = Methods(self.ledger)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def count(self, method: str) -> int:
        """Return how often a method was asked for."""
        return sum(request["method"] == method for request in self.asked)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length:")[1].split("\r\n")[0])
            request = json.loads(await reader.readexactly(length))
            self.asked.append(request)
            asked = Asked(request=request, answer=lambda: self._methods.answer(request))
            method = request["method"]
            planned = self.script.get(method) or [self.always.get(method)]
            fault = planned.pop(0) or Asked.ok
            made = fault(asked)
            writer.write(made if isinstance(made, bytes) else await made)
            await writer.drain()
        writer.close()


@dataclass
class Town:
    """A ledger with a market, a user and a host, and a client of its node."""

    node: Node
    network: Network
    rpc: Rpc
    user: Wallet
    host: Wallet
    market: Pubkey

    @property
    def ledger(self) -> Ledger:
        """The truth, whatever the node says of it."""
        return self.node.ledger

    async def post(self, *, timeout: int = 3600, rpc: Rpc | None = None) -> Pubkey:
        """Post a job."""
        job, run = Keypair(), Keypair()
        wanted = instructions.list_job(
            self.network.programs, job=job.pubkey(), run=run.pubkey(), market=self.market,
            payer=self.user.pubkey, authority=self.user.pubkey, ipfs_job=bytes(range(32)),
            timeout=timeout,
        )  # fmt: skip
        await (rpc or self.rpc).send([wanted], self.user, [job, run])
        return job.pubkey()

    async def work(self, *, host: Wallet | None = None) -> None:
        """Offer the host to the market: it takes the first job."""
        run = Keypair()
        wanted = instructions.work(
            self.network.programs, run=run.pubkey(), market=self.market,
            node=(host or self.host).pubkey,
        )  # fmt: skip
        await self.rpc.send([wanted], host or self.host, [run])


def stake(ledger: Ledger, owner: Keypair) -> None:
    """Give a host the stake of nothing that a market asks for."""
    made = locking.stake(DEVNET.programs, owner=owner.pubkey(), amount=0, duration=14 * 86_400)
    ledger.submit([made], owner)


@asynccontextmanager
async def town(
    *, fee_divisor: int = 0, path: str = "", timeout: float = 5.0
) -> AsyncIterator[Town]:
    """Build a ledger, a node in front of it, and who lives there."""
    ledger = Ledger(None, programs=DEVNET.programs, fee_divisor=fee_divisor)
    user, host, market = Keypair(), Keypair(), Keypair()
    for pair in (user, host):
        ledger.airdrop(pair.pubkey(), 10**10)
        ledger.mint(pair.pubkey(), 10**9)
    stake(ledger, host)
    admin = ledger.authority
    opened = instructions.open_market(
        DEVNET.programs, market=market.pubkey(), authority=admin.pubkey(), job_price=PRICE
    )
    ledger.submit([opened], admin, market)
    async with Node(ledger) as node:
        network = msgspec.structs.replace(
            DEVNET, rpc=node.url + path, websocket=node.url.replace("http", "ws") + path,
            least_bid=0, most_bid=0,
        )  # fmt: skip
        async with Rpc(network, timeout=timeout) as rpc:
            yield Town(node, network, rpc, Wallet(user), Wallet(host), market.pubkey())
    ledger.close()
