"""
A host: a machine that runs jobs of a network and is paid for them.

    python -m nosana_jupyter.host run --network local --key key.json --all-markets
    python -m nosana_jupyter.host stake --network local --key key.json --market nvidia-4090
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

from .. import engines
from .. import network as networks
from ..chain.rpc import Rpc
from ..chain.wallet import Wallet
from ..errors import NetworkError, NosanaError, UsageError
from ..locks import Held, holder, lock
from ..network import Network
from . import kept, neighbours, staking
from .agent import PATIENCE, Agent
from .api import application
from .door import Door
from .machine import inspect
from .plain import Plain
from .station import containers, listen

log = logging.getLogger("nosana_jupyter.host")

LONELY = 120.0
"""Seconds without a network after which a host with no job ends."""

FAREWELL = 7.0
"""Seconds that a host takes to hand in what it has before it ends."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    options = _parser().parse_args(arguments)
    key: Path = options.key.absolute()
    if options.command == "status":
        return _status(key)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    for name in ("httpx", "httpx2"):
        # They log the path of each request.
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        if options.command == "stake":
            return asyncio.run(_stake(options, key))
        with lock(key.parent / "lock"):
            asyncio.run(_run(options, key))
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
    parser.add_argument("command", choices=["run", "stake", "status"])
    parser.add_argument("--network", default="local", help="name, or file with a network's value")
    parser.add_argument("--key", type=Path, required=True, help="key file of the node")
    parser.add_argument("--market", action="append", default=[], help="address or slug; repeatable")
    parser.add_argument("--all-markets", action="store_true", help="serve every market listed")
    parser.add_argument(
        "--trust", action="append", default=[],
        help="wallet whose jobs may run here without a container; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--trust-file", type=Path, metavar="FILE",
        help="file of more such wallets, one a line; read again when it changes",
    )  # fmt: skip
    parser.add_argument(
        "--trust-anyone", action="store_true", help="run anybody's jobs; needs containers"
    )
    parser.add_argument(
        "--capacity", type=int, default=max(2, os.cpu_count() or 2), help="most jobs at once"
    )
    parser.add_argument(
        "--executor", choices=engines.EXECUTORS,
        help="what jobs run with; by default containers where an engine answers",
    )  # fmt: skip
    parser.add_argument(
        "--patience", type=float, default=PATIENCE, metavar="SECONDS",
        help="give up a confidential job, unpaid, whose definition has not come by then",
    )  # fmt: skip
    parser.add_argument(
        "--keep", type=kept.gib, metavar="GIB",
        help="disk for models and files that later jobs of the same payer find here; by default "
        "a fifth of the disk, at most 100; 0 keeps nothing",
    )  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="stake real money without asking")
    parser.add_argument("--port", type=int, default=0, help="of the node API; by default any")
    return parser


def _status(key: Path) -> int:
    pid = holder(key.parent / "lock")
    address = Wallet.load(key).address if key.exists() else "no key yet"
    print(f"node {address}: " + (f"runs, process {pid}" if pid else "does not run"))
    return 0 if pid else 3


async def _stake(options: argparse.Namespace, key: Path) -> int:
    """Stake what the named markets ask for."""
    network = _network(options.network)
    markets, wallet = await _markets(network, options), Wallet.load(key)
    if network.real_money and not options.yes:
        raise UsageError(
            f"this locks up NOS that is worth money, on {network.name}", hint="Say --yes."
        )
    async with Rpc(network) as rpc:
        print(await staking.raise_to(rpc, wallet, markets))
    return 0


async def _run(options: argparse.Namespace, key: Path) -> None:
    if options.capacity < 1:
        raise UsageError("a host takes at least one job at a time")
    engine = await asyncio.to_thread(engines.find, engines.asked(options.executor))
    if engine is None and options.trust_anyone:
        raise UsageError(
            "without containers a host does not run jobs of people it was not told to trust",
            hint="Name them: --trust ADDRESS.",
        )
    network = _network(options.network)
    folder = key.parent
    wallet = Wallet.load(key)
    plain = Plain(network, keep=options.keep) if engine is None else None
    machine, markets = await asyncio.gather(
        inspect(folder, engine=str(engine or plain)), _markets(network, options)
    )
    executor = plain or containers(engine, network, wallet, machine, folder, keep=options.keep)
    if options.trust_anyone:
        await neighbours.warn()
    async with Rpc(network) as rpc:
        agent = Agent(
            network, rpc, wallet, executor, folder, markets=markets,
            trusted=None if options.trust_anyone else frozenset(options.trust),
            trust_file=options.trust_file, capacity=options.capacity, patience=options.patience,
        )  # fmt: skip
        server = Door(application(agent, machine))
        port = listen(server, options.port, folder / "port")
        log.info(
            "node %s serves %s markets, up to %s jobs at once, in %s",
            wallet.address, len(markets), options.capacity, executor,
        )  # fmt: skip
        try:
            await _until_told(agent, port)
        finally:
            server.stop()
            await server.close_all_connections()


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
            log.warning("the network has been gone for %d s; this host ends", LONELY)
            break
    if told.is_set() and not work.done():
        log.info("told to end: leaving queues, stopping jobs")
        agent.leaving = True
        agent.bell.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Whoever says it twice means at once. What runs is taken up again by the next host.
            loop.add_signal_handler(number, work.cancel)
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(work), FAREWELL)
    work.cancel()
    signalled.cancel()
    for result in await asyncio.gather(work, signalled, return_exceptions=True):
        if isinstance(result, Exception):
            raise result


def _network(name: str) -> Network:
    path = Path(name)
    if path.suffix != ".json":
        return networks.load(name)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Network)
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise UsageError(f"{path} describes no network: {error}") from None


async def _markets(network: Network, options: argparse.Namespace) -> list[str]:
    """
    Return the addresses of the markets to serve.

    Raises:
        UsageError: None is named, or one does not exist.
        NetworkError: The list of markets cannot be had.
    """
    import httpx

    try:
        async with httpx.AsyncClient(timeout=10, trust_env=networks.proxied(network.api)) as http:
            listed = (await http.get(f"{network.api}/api/markets/")).raise_for_status().json()
        known = {str(each["address"]): str(each["slug"]) for each in listed}
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise NetworkError(f"the markets cannot be listed ({type(error).__name__})") from error
    if options.all_markets:
        return list(known)
    found = []
    for name in options.market:
        fitting = [address for address, slug in known.items() if name in (address, slug)]
        if not fitting:
            raise UsageError(f"there is no market {name!r}")
        found += fitting
    if not found:
        raise UsageError("no market is named", hint="Say --market NAME or --all-markets.")
    return found


if __name__ == "__main__":
    sys.exit(main())
