"""
A host: a machine that runs jobs of a network and is paid for them.

    python -m nosana_jupyter.host run --network local --key key.json --all-markets
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .. import network as networks
from ..chain.rpc import Rpc
from ..chain.wallet import Wallet
from ..errors import NosanaError, UsageError
from ..locks import Held, holder, lock
from ..network import Network
from . import process
from .agent import Agent
from .api import application
from .machine import inspect

log = logging.getLogger("nosana_jupyter.host")

LONELY = 120.0
"""Seconds without a network after which a host with no job ends."""

FAREWELL = 5.0
"""Seconds that a host takes to hand in what it has before it ends."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    options = _parser().parse_args(arguments)
    key: Path = options.key
    if options.command == "status":
        pid = holder(key.parent / "lock")
        print(f"a host runs, process {pid}" if pid else "no host runs with this key")
        return 0 if pid else 3
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with lock(key.parent / "lock"):
            asyncio.run(_run(options))
    except Held:
        print("another host runs with this key", file=sys.stderr)
        return 1
    except NosanaError as error:
        print(f"{error}\n{error.hint}".strip(), file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nosana_jupyter.host", description="Run jobs of a Nosana network."
    )
    parser.add_argument("command", choices=["run", "status"])
    parser.add_argument("--network", default="local", help="name, or file with a network's value")
    parser.add_argument("--key", type=Path, required=True, help="key file of the node")
    parser.add_argument("--market", action="append", default=[], help="address or slug; repeatable")
    parser.add_argument("--all-markets", action="store_true", help="serve every market listed")
    parser.add_argument(
        "--trust", action="append", default=[],
        help="wallet whose jobs may run here without a container; repeatable",
    )  # fmt: skip
    parser.add_argument("--capacity", type=int, default=max(2, os.cpu_count() or 2))
    parser.add_argument("--port", type=int, default=0, help="of the node API; by default any")
    return parser


async def _run(options: argparse.Namespace) -> None:
    network = _network(options.network)
    process.refuse_strangers(network)
    folder = options.key.parent
    machine = await inspect(folder)
    wallet = Wallet.load(options.key)
    async with Rpc(network) as rpc:
        agent = Agent(
            network, rpc, wallet, folder,
            markets=await _markets(network, options),
            trusted=frozenset(options.trust),
            capacity=options.capacity,
        )  # fmt: skip
        server = application(agent, machine).listen(
            options.port, "127.0.0.1", max_buffer_size=8 << 20
        )
        port = next(iter(server._sockets.values())).getsockname()[1]  # noqa: SLF001 - no other way
        log.info("node %s serves %s markets", wallet.address, len(agent.markets))
        await _until_told(agent, port)
        server.stop()


async def _until_told(agent: Agent, port: int) -> None:
    """Work until a signal comes, then hand in what there is; give up on a network that is gone."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    work = asyncio.create_task(agent.run(port))
    signalled = asyncio.create_task(told.wait())
    while not told.is_set() and not work.done():
        await asyncio.wait([work, signalled], timeout=5, return_when=asyncio.FIRST_COMPLETED)
        if not agent.flows and time.monotonic() - agent.seen > LONELY:
            log.warning("the network has been gone for %s s; this host ends", LONELY)
            break
    agent.leaving = True
    agent.bell.set()
    if told.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(work), FAREWELL)
    for flow in agent.flows.values():
        flow.detach()
    work.cancel()
    signalled.cancel()
    for result in await asyncio.gather(work, signalled, return_exceptions=True):
        if isinstance(result, Exception):
            raise result


def _network(name: str) -> Network:
    path = Path(name)
    if path.suffix == ".json":
        return msgspec.json.decode(path.read_bytes(), type=Network)
    return networks.load(name)


async def _markets(network: Network, options: argparse.Namespace) -> list[str]:
    """
    Return the addresses of the markets to serve.

    Raises:
        UsageError: None is named, or one does not exist.
    """
    import httpx

    async with httpx.AsyncClient(timeout=10) as http:
        listed = (await http.get(f"{network.api}/api/markets/")).raise_for_status().json()
    if options.all_markets:
        return [each["address"] for each in listed]
    found = []
    for name in options.market:
        fitting = [each["address"] for each in listed if name in (each["address"], each["slug"])]
        if not fitting:
            raise UsageError(f"there is no market {name!r}")
        found += fitting
    if not found:
        raise UsageError("no market is named", hint="Say --market NAME or --all-markets.")
    return found


if __name__ == "__main__":
    sys.exit(main())
