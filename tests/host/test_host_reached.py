"""A host that nobody reaches takes no job: its poster would pay for nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from host_world import MARKET, World, awaited, until
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from nosana_jupyter.chain.wallet import Wallet
from nosana_jupyter.host import staking

pytestmark = pytest.mark.network


class Tunnel:
    """A tunnel that takes all names, and leads to none of them before it is told to."""

    def __init__(self) -> None:
        self.leads = False
        self.asked = 0


class Anything(RequestHandler):
    def initialize(self, tunnel: Tunnel) -> None:
        self.tunnel = tunnel

    def get(self, name: str) -> None:
        self.tunnel.asked += 1
        if not self.tunnel.leads:
            self.send_error(404)
            return
        self.finish(f'"{name.strip("/")}"')

    def post(self, _name: str) -> None:
        self.finish("{}")


@awaited
async def test_it_joins_once_the_tunnel_leads_to_it(universe: World, tmp_path: Path) -> None:
    """Names are taken and lead nowhere: it looks again and again, and stays out of the queue."""
    node = await universe.stranger(nos=10_000_000_000)
    key = tmp_path / "host" / "key.json"
    node.write(key)
    tunnel = Tunnel()
    listener, port = bind_unused_port()
    server = HTTPServer(
        Application([(r"/(.*)", Anything, {"tunnel": tunnel})], log_function=lambda _: None)
    )
    server.add_socket(listener)
    network = msgspec.structs.replace(universe.network, tunnel=f"http://127.0.0.1:{port}/{{id}}")
    path = tmp_path / "network.json"
    path.write_bytes(msgspec.json.encode(network))
    async with universe.rpc() as rpc:
        await staking.raise_to(rpc, node, [MARKET.address])

        async def queued() -> bool:
            found = await rpc.market(MARKET.address)
            return found is not None and node.pubkey in found.queue

        process = begun(universe, path, key)
        try:
            await until(lambda: tunnel.asked > 4, within=50, what="it does not look")
            before = await queued()
            tunnel.leads = True
            await until(queued, within=50, what="it does not join")
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 30)
            server.stop()
            await server.close_all_connections()
        assert not before
        assert not await queued()


def begun(universe: World, network: Path, key: Path) -> subprocess.Popen[Any]:
    """Start a host of its own on a network as a file says it."""
    return subprocess.Popen(
        [
            sys.executable, "-m", "nosana_jupyter.host", "run", "--network", str(network),
            "--key", str(key), "--market", MARKET.slug, "--executor", "process",
            "--trust", Wallet.load(Path(universe.network.wallet)).address,
        ],
        env={**os.environ, "NOSANA_JUPYTER_HOME": str(universe.home)},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
